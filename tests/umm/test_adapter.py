"""LoRA adapters: what they compute, where their tensors go, and what is refused."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.umm.arrays import ArraySource, bfloat16, everything, in_tiles
from tests.umm.handmade import tensor_file
from umm.checkpoint.adapter import Adapter, fit
from umm.checkpoint.adapter_config import AdapterConfig
from umm.checkpoint.dtype import Dtype
from umm.checkpoint.floats import Floats
from umm.checkpoint.lowrank import BLOCK_ELEMENTS, AdaptedTensor, Product, rectangles
from umm.errors import CheckpointError, MismatchError

SETTINGS: dict[str, Any] = {"peft_type": "LORA", "r": 2, "lora_alpha": 6}
ATTENTION = "base_model.model.model.layers.0.self_attn.q_proj"
WEIGHT = "model.layers.0.self_attn.q_proj.weight"


def values(*shape: int, seed: int = 0) -> Floats:
    return np.random.default_rng([seed, *shape]).standard_normal(shape, dtype=np.float32)


def config(**changes: Any) -> AdapterConfig:
    return AdapterConfig.parse({**SETTINGS, **changes}, "adapter_config.json")


def fitted(tensors: Mapping[str, Floats], shapes: Mapping[str, tuple[int, ...]], **changes: Any) -> Adapter:
    return fit(config(**changes), {k: ArraySource(v) for k, v in tensors.items()}, shapes, "adapter")


def lora(module: str, outputs: int, inputs: int, rank: int = 2) -> dict[str, Floats]:
    return {
        f"{module}.lora_A.weight": values(rank, inputs),
        f"{module}.lora_B.weight": values(outputs, rank),
    }


def step_by_step(w: Floats, b: Floats, a: Floats, scale: np.float32) -> Floats:
    """The formula of `umm.checkpoint.lowrank`, one scalar operation at a time."""
    out = np.empty_like(w)
    for i in range(w.shape[0]):
        for k in range(w.shape[1]):
            total = np.float32(0)
            for j in range(a.shape[0]):
                total = np.float32(total + np.float32(b[i, j] * a[j, k]))
            out[i, k] = np.float32(w[i, k] + np.float32(total * scale))
    return out


# Arithmetic


def test_a_product_is_added_one_float32_operation_at_a_time() -> None:
    w, b, a = values(5, 7), values(5, 3), values(3, 7)
    tensor = AdaptedTensor(ArraySource(w), Product(ArraySource(a), ArraySource(b), np.float32(0.3)))
    assert tensor.dtype is Dtype.F32
    assert everything(tensor).tobytes() == step_by_step(w, b, a, np.float32(0.3)).tobytes()


def test_the_bits_of_a_product_never_change() -> None:
    w = np.array([[0.1, -0.2, 0.3], [1e8, -1e-8, 0.7]], np.float32)
    b = np.array([[0.3, -0.7], [1.1, 0.9]], np.float32)
    a = np.array([[0.6, 0.1, -0.4], [0.2, 0.5, 0.9]], np.float32)
    product = Product(ArraySource(a), ArraySource(b), np.float32(1 / 3))
    bits = everything(AdaptedTensor(ArraySource(w), product)).view(np.uint32)
    # Computed with Python floats, each result packed into 4 bytes.
    golden = "3de81b4f be9d036a 3d4cccd0 4cbebc20 3e3f258b 3f52c5f8"
    assert [f"{x:08x}" for x in bits.reshape(-1)] == golden.split()


def test_a_transposed_product_has_the_bits_of_the_plain_one() -> None:
    w, b, a = values(5, 7), values(5, 3), values(3, 7)
    factors = (ArraySource(a), ArraySource(b), np.float32(2))
    plain = AdaptedTensor(ArraySource(w), Product(*factors))
    turned = AdaptedTensor(ArraySource(np.ascontiguousarray(w.T)), Product(*factors, transposed=True))
    assert everything(turned).tobytes() == np.ascontiguousarray(everything(plain).T).tobytes()


@pytest.mark.parametrize("convert", [bfloat16, lambda v: v.astype(np.float16)])
def test_half_precision_weights_and_factors_are_widened_first(convert: Any) -> None:
    w, b, a = (ArraySource(convert(v)) for v in (values(4, 6), values(4, 2), values(2, 6)))
    got = everything(AdaptedTensor(w, Product(a, b, np.float32(3))))
    exact = step_by_step(everything(w), everything(b), everything(a), np.float32(3))
    assert got.tobytes() == exact.tobytes()


def test_the_result_is_close_to_a_float64_product() -> None:
    w, b, a = values(40, 60), values(40, 32), values(32, 60)
    got = everything(AdaptedTensor(ArraySource(w), Product(ArraySource(a), ArraySource(b), np.float32(0.5))))
    exact = w.astype(np.float64) + 0.5 * (b.astype(np.float64) @ a.astype(np.float64))
    assert np.abs(got - exact).max() < 32 * 2.0**-24 * np.abs(exact).max()


@given(
    shape=st.tuples(st.integers(1, 6), st.integers(1, 9)),
    tile=st.integers(1, 60),
    turned=st.booleans(),
    seed=st.integers(0, 9),
)
def test_tile_boundaries_do_not_change_bits(shape: tuple[int, int], tile: int, turned: bool, seed: int) -> None:
    rows, columns = shape
    outputs, inputs = (columns, rows) if turned else (rows, columns)
    factors = ArraySource(values(3, inputs, seed=seed)), ArraySource(values(outputs, 3, seed=seed))
    tensor = AdaptedTensor(ArraySource(values(rows, columns, seed=seed)), Product(*factors, np.float32(0.7), turned))
    assert in_tiles(tensor, tile).tobytes() == everything(tensor).tobytes()


def test_rows_longer_than_a_block_are_cut_without_changing_bits() -> None:
    wide = BLOCK_ELEMENTS + 5
    factors = ArraySource(values(1, wide)), ArraySource(values(2, 1))
    tensor = AdaptedTensor(ArraySource(values(2, wide)), Product(*factors, np.float32(2)))
    assert everything(tensor).tobytes() == in_tiles(tensor, 9_999).tobytes()


@given(start=st.integers(0, 50), count=st.integers(0, 80), width=st.integers(1, 12), limit=st.integers(1, 40))
def test_rectangles_cover_a_range_once_and_in_order(start: int, count: int, width: int, limit: int) -> None:
    covered: list[int] = []
    for part in rectangles(start, count, width, limit):
        assert part.rows * part.columns <= limit
        assert part.offset == len(covered)
        covered += [(part.row + i) * width + part.column + k for i in range(part.rows) for k in range(part.columns)]
    assert covered == list(range(start, start + count))


# Settings


def test_scale_is_alpha_over_rank_rounded_to_float32() -> None:
    assert config(r=3, lora_alpha=7).scale_of("x") == np.float32(7 / 3)
    assert config(r=3, lora_alpha=7, use_rslora=True).scale_of("x") == np.float32(7 / 3**0.5)


def test_patterns_match_the_end_of_a_module_name_and_the_first_one_wins() -> None:
    settings = config(
        rank_pattern={r"layers\.0\..*q_proj": 4, "q_proj": 8, "^lm_head": 1},
        alpha_pattern={"mlp.up_proj": 32},
    )
    assert settings.rank_of("model.layers.0.self_attn.q_proj") == 4
    assert settings.rank_of("model.layers.1.self_attn.q_proj") == 8
    assert settings.rank_of("model.layers.1.self_attn.not_q_proj") == 2
    assert settings.rank_of("lm_head") == 1
    assert settings.scale_of("model.layers.3.mlp.up_proj") == 16


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"peft_type": "IA3"}, "IA3"),
        ({"peft_type": "ADALORA"}, "ADALORA"),
        ({"peft_type": None}, "peft_type"),
        ({"use_dora": True}, "DoRA"),
        ({"use_qalora": True}, "QALoRA"),
        ({"layer_replication": [[0, 2], [1, 3]]}, "layer_replication"),
        ({"trainable_token_indices": [3, 4]}, "trainable_token_indices"),
        ({"target_parameters": ["mlp.experts.gate_up_proj"]}, "target_parameters"),
        ({"alora_invocation_tokens": [1]}, "alora_invocation_tokens"),
        ({"init_lora_weights": "pissa"}, "pissa"),
        ({"init_lora_weights": "olora"}, "olora"),
        ({"a_setting_of_tomorrow": {"x": 1}}, "a_setting_of_tomorrow"),
        ({"r": 0}, "r is 0"),
        ({"r": True}, "r is True"),
        ({"lora_alpha": float("inf")}, "lora_alpha"),
        ({"use_rslora": "yes"}, "use_rslora"),
        ({"lora_alpha": float("nan")}, "lora_alpha"),
        ({"lora_alpha": 10**400}, "lora_alpha is 1000"),
        ({"lora_alpha": -(2**24) - 1}, "lora_alpha"),
        ({"lora_alpha": 1e300}, "lora_alpha"),
        ({"alpha_pattern": {"q": 10**400}}, "alpha_pattern['q'] is 1000"),
        ({"rank_pattern": {"(": 3}}, "'('"),
        ({"rank_pattern": {"q": 0}}, "rank_pattern"),
        ({"rank_pattern": ["q"]}, "rank_pattern"),
        ({"alpha_pattern": {"q" * 600: 1}}, "longer"),
    ],
)
def test_settings_that_cannot_be_merged_are_refused_by_name(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(CheckpointError, match=r"adapter_config\.json") as error:
        config(**changes)
    assert named in str(error.value)


def test_unknown_settings_that_are_off_are_accepted() -> None:
    assert config(a_setting_of_tomorrow=None, another=False, third=[], lora_dropout=0.1).rank == 2


# Fitting


def test_untouched_tensors_are_the_same_object() -> None:
    adapter = fitted(lora(ATTENTION, 4, 6), {WEIGHT: (4, 6), "model.norm.weight": (6,)})
    norm = ArraySource(values(6))
    assert adapter.apply("model.norm.weight", norm) is norm
    assert adapter.names == {WEIGHT}


def test_an_adapted_weight_is_the_base_plus_the_scaled_product() -> None:
    tensors, w = lora(ATTENTION, 4, 6), values(4, 6, seed=9)
    got = everything(fitted(tensors, {WEIGHT: (4, 6)}).apply(WEIGHT, ArraySource(w)))
    a, b = tensors.values()
    assert got.tobytes() == step_by_step(w, b, a, np.float32(3)).tobytes()


@pytest.mark.parametrize("spelling", ["lora_A.default.weight", "lora_A.weight"])
def test_the_name_of_the_default_adapter_may_be_in_the_key(spelling: str) -> None:
    tensors = {f"{ATTENTION}.{spelling}": values(2, 6), f"{ATTENTION}.lora_B.weight": values(4, 2)}
    assert fitted(tensors, {WEIGHT: (4, 6)}).names == {WEIGHT}


def test_embedding_factors_are_transposed() -> None:
    module = "base_model.model.model.embed_tokens"
    a, b = values(2, 10), values(4, 2)
    adapter = fitted(
        {f"{module}.lora_embedding_A": a, f"{module}.lora_embedding_B": b},
        {"model.embed_tokens.weight": (10, 4)},
    )
    w = values(10, 4)
    got = everything(adapter.apply("model.embed_tokens.weight", ArraySource(w)))
    ba = step_by_step(np.zeros((4, 10), np.float32), b, a, np.float32(3))
    assert got.tobytes() == (w + np.ascontiguousarray(ba.T)).tobytes()


def test_weights_stored_inputs_first_are_recognised_by_their_shape() -> None:
    tensors = lora("base_model.model.transformer.h.0.attn.c_attn", 9, 3)
    adapter = fitted(tensors, {"h.0.attn.c_attn.weight": (3, 9)})
    assert adapter.products["h.0.attn.c_attn.weight"].transposed


@pytest.mark.parametrize("flag", [True, False])
def test_a_square_weight_is_turned_as_the_settings_say_when_nothing_else_does(flag: bool) -> None:
    adapter = fitted(lora(ATTENTION, 4, 4), {WEIGHT: (4, 4)}, fan_in_fan_out=flag)
    assert adapter.products[WEIGHT].transposed is flag


def test_a_square_weight_is_turned_like_the_other_weights_of_the_layers() -> None:
    h = "base_model.model.transformer.h.0"
    tensors = {**lora(f"{h}.attn.c_proj", 3, 3), **lora(f"{h}.attn.c_attn", 9, 3)}
    tensors |= lora("base_model.model.lm_head", 11, 3)  # stored the other way
    shapes = {"h.0.attn.c_proj.weight": (3, 3), "h.0.attn.c_attn.weight": (3, 9), "lm_head.weight": (11, 3)}
    adapter = fitted(tensors, shapes, fan_in_fan_out=False)
    assert adapter.products["h.0.attn.c_proj.weight"].transposed
    assert not adapter.products["lm_head.weight"].transposed


@pytest.mark.parametrize("middle", ["modules_to_save.", "modules_to_save.default.", ""])
def test_a_full_tensor_replaces_the_base(middle: str) -> None:
    head = values(8, 4)
    adapter = fitted({f"base_model.model.lm_head.{middle}weight": head}, {"lm_head.weight": (8, 4)})
    assert everything(adapter.apply("lm_head.weight", ArraySource(values(8, 4, seed=5)))).tobytes() == head.tobytes()


def test_a_saved_base_layer_is_replaced_and_then_adapted() -> None:
    saved, tensors = values(4, 6, seed=3), lora(ATTENTION, 4, 6)
    adapter = fitted({**tensors, f"{ATTENTION}.base_layer.weight": saved}, {WEIGHT: (4, 6)})
    a, b = tensors.values()
    got = everything(adapter.apply(WEIGHT, ArraySource(values(4, 6, seed=8))))
    assert got.tobytes() == step_by_step(saved, b, a, np.float32(3)).tobytes()


def test_the_bias_of_an_adapter_is_scaled_and_added() -> None:
    tensors = {**lora(ATTENTION, 4, 6), f"{ATTENTION}.lora_B.bias": values(4, seed=1)}
    bias = WEIGHT.replace("weight", "bias")
    adapter = fitted(tensors, {WEIGHT: (4, 6), bias: (4,)})
    got = everything(adapter.apply(bias, ArraySource(values(4, seed=2))))
    assert got.tobytes() == (values(4, seed=2) + values(4, seed=1) * np.float32(3)).tobytes()


def test_everything_that_does_not_fit_is_listed() -> None:
    tensors = {
        **lora(ATTENTION, 4, 6),
        **lora("base_model.model.model.layers.9.mlp.up_proj", 4, 6),
        **lora("base_model.model.model.layers.0.mlp.up_proj", 4, 6, rank=3),
        "base_model.model.lm_head.weight": values(8, 4),
        "base_model.model.model.layers.1.mlp.up_proj.lora_A.weight": values(2, 4),
    }
    shapes = {WEIGHT: (4, 5), "lm_head.weight": (9, 4), "model.layers.0.mlp.up_proj.weight": (4, 6)}
    with pytest.raises(MismatchError) as error:
        fitted(tensors, shapes)
    message = str(error.value)
    assert "self_attn.q_proj: the factors make 4×6, the base has 4×5" in message
    assert "layers.9.mlp.up_proj: the base has no such weight" in message
    assert "layers.0.mlp.up_proj: the factors are 3×6 and 4×3, the rank in adapter_config.json is 2" in message
    assert "lm_head.weight: 8×4 in the adapter, 9×4 in the base" in message
    assert "layers.1.mlp.up_proj: one of the two factors is missing" in message


@pytest.mark.parametrize(
    ("extra", "told"),
    [
        ({f"{ATTENTION}.lora_B.bias": values(4)}, "bias of 4 that the base has no place for"),
        (lora("base_model.model.layers.0.self_attn.q_proj", 4, 6), "another module"),
    ],
)
def test_tensors_with_nowhere_to_go_are_refused(extra: dict[str, Floats], told: str) -> None:
    shapes = {"layers.0.self_attn.q_proj.weight": (4, 6)}
    with pytest.raises(MismatchError, match=told):
        fitted({**lora(ATTENTION, 4, 6), **extra}, shapes)


def test_factors_of_convolutions_are_refused() -> None:
    tensors = {
        f"{ATTENTION}.lora_A.weight": values(2, 6, 1, 1),
        f"{ATTENTION}.lora_B.weight": values(4, 2, 1, 1),
    }
    with pytest.raises(MismatchError, match="convolutions"):
        fitted(tensors, {WEIGHT: (4, 6, 1, 1)})


@pytest.mark.parametrize(
    "key",
    [
        f"{ATTENTION}.lora_magnitude_vector.weight",
        f"{ATTENTION}.lora_E",
        f"{ATTENTION}.lora_diag.weight",
        "base_model.model.model.embed_tokens.trainable_tokens_delta",
        "model.layers.0.self_attn.q_proj.lora_A.weight",
    ],
)
def test_tensors_of_other_kinds_of_adapters_are_refused(key: str) -> None:
    with pytest.raises(CheckpointError, match="adapter: tensor"):
        fitted({key: values(4)}, {WEIGHT: (4, 6)})


def test_two_spellings_of_one_tensor_are_refused() -> None:
    tensors = {**lora(ATTENTION, 4, 6), f"{ATTENTION}.lora_A.default.weight": values(2, 6)}
    with pytest.raises(CheckpointError, match="two tensors"):
        fitted(tensors, {WEIGHT: (4, 6)})


# Folders


def adapter_folder(folder: Path, dtype: str = "F32", settings: Mapping[str, Any] = SETTINGS) -> Path:
    tensors = {k: (dtype, v.shape, v.tobytes()) for k, v in lora(ATTENTION, 4, 6).items()}
    (folder / "adapter_config.json").write_text(json.dumps(settings))
    (folder / "adapter_model.safetensors").write_bytes(tensor_file(tensors))
    return folder


def test_an_adapter_opened_from_a_folder_computes_as_one_in_memory(tmp_path: Path) -> None:
    w = ArraySource(values(4, 6, seed=4))
    in_memory = fitted(lora(ATTENTION, 4, 6), {WEIGHT: (4, 6)}).apply(WEIGHT, w)
    with Adapter.open(adapter_folder(tmp_path), {WEIGHT: (4, 6)}) as adapter:
        assert everything(adapter.apply(WEIGHT, w)).tobytes() == everything(in_memory).tobytes()


def test_an_adapter_without_safetensors_is_refused(tmp_path: Path) -> None:
    (adapter_folder(tmp_path) / "adapter_model.safetensors").rename(tmp_path / "adapter_model.bin")
    with pytest.raises(CheckpointError, match="save_pretrained"):
        Adapter.open(tmp_path, {WEIGHT: (4, 6)})


def test_an_adapter_of_integers_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="I32"):
        Adapter.open(adapter_folder(tmp_path, "I32"), {WEIGHT: (4, 6)})


def test_a_truncated_adapter_is_refused(tmp_path: Path) -> None:
    file = adapter_folder(tmp_path) / "adapter_model.safetensors"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(CheckpointError, match="truncated"):
        Adapter.open(tmp_path, {WEIGHT: (4, 6)})


def test_a_folder_without_settings_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"adapter_config\.json"):
        Adapter.open(tmp_path, {})
