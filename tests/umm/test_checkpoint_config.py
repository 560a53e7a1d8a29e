"""Configs of outputs."""

import json
from pathlib import Path

import pytest

from umm.checkpoint.config import config_bytes, layer_count, layer_count_path, output_config
from umm.checkpoint.dtype import Dtype
from umm.errors import MismatchError

QWEN: dict[str, object] = {
    "architectures": ["Qwen3ForCausalLM"],
    "eos_token_id": [1, 2, 3, 4],
    "layer_types": ["full", "full", "full", "sliding"],
    "num_hidden_layers": 4,
    "torch_dtype": "float32",
    "vocab_size": 100,
}
OTHER = QWEN | {"num_hidden_layers": 2, "layer_types": ["sliding", "full"]}


@pytest.mark.parametrize(
    ("config", "path", "count"),
    [
        ({"num_hidden_layers": 3}, ("num_hidden_layers",), 3),
        ({"n_layer": 3}, ("n_layer",), 3),
        ({"num_layers": 3}, ("num_layers",), 3),
        ({"n_layers": 3}, ("n_layers",), 3),
        ({"text_config": {"num_hidden_layers": 3}}, ("text_config", "num_hidden_layers"), 3),
        ({"llm_config": {"n_layer": 3}, "vision_config": {"n_layer": 9}}, ("llm_config", "n_layer"), 3),
        ({"num_hidden_layers": "3"}, None, None),
        ({"num_hidden_layers": True}, None, None),
        ({"text_config": [3]}, None, None),
        ({}, None, None),
    ],
)
def test_the_layer_count_is_found_by_its_usual_names(
    config: dict[str, object], path: tuple[str, ...] | None, count: int | None
) -> None:
    assert layer_count_path(config) == path
    assert layer_count(config) == count


def test_layers_and_lists_with_one_item_a_layer_follow_their_sources() -> None:
    layers = [(QWEN, 0), (QWEN, 3), (OTHER, 0), (OTHER, 1), (QWEN, 3)]
    made = output_config(QWEN, layers, Dtype.BF16)
    assert made["num_hidden_layers"] == 5
    assert made["layer_types"] == ["full", "sliding", "sliding", "full", "sliding"]
    assert made["eos_token_id"] == [1, 2, 3, 4]
    assert made["architectures"] == ["Qwen3ForCausalLM"]


def test_layers_in_their_own_places_change_nothing() -> None:
    made = output_config(QWEN, [(QWEN, i) for i in range(4)], Dtype.F32)
    assert made == QWEN


def test_without_layers_the_count_stays() -> None:
    assert output_config(QWEN, None, Dtype.F32) == QWEN


def test_the_text_section_is_changed_where_the_count_is_there() -> None:
    base = {"text_config": QWEN, "vision_config": {"num_hidden_layers": 9, "dtype": "float32"}}
    made = output_config(base, [(base, 3), ({"text_config": OTHER}, 0)], Dtype.F16, vocab_size=7)
    text = made["text_config"]
    assert isinstance(text, dict)
    assert (text["num_hidden_layers"], text["layer_types"]) == (2, ["sliding", "sliding"])
    assert (text["vocab_size"], text["torch_dtype"]) == (7, "float16")
    assert made["vision_config"] == {"num_hidden_layers": 9, "dtype": "float16"}
    assert "vocab_size" not in made


def test_a_list_that_another_model_lacks_is_a_mismatch() -> None:
    bare = {k: v for k, v in OTHER.items() if k != "layer_types"}
    with pytest.raises(MismatchError, match="'layer_types' has one item per layer in the base but none for layer 1"):
        output_config(QWEN, [(QWEN, 0), (bare, 1)], Dtype.BF16)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"dtype": "float32"}, {"dtype": "bfloat16"}),
        ({"torch_dtype": "float32"}, {"torch_dtype": "bfloat16"}),
        ({"dtype": "float32", "torch_dtype": "float32"}, {"dtype": "bfloat16", "torch_dtype": "bfloat16"}),
        ({}, {"dtype": "bfloat16", "torch_dtype": "bfloat16"}),
    ],
)
def test_the_dtype_keeps_the_spelling_it_has(before: dict[str, object], after: dict[str, object]) -> None:
    assert output_config(before, None, Dtype.BF16) == after


def test_vocabulary_and_tying_are_set() -> None:
    made = output_config(QWEN, None, Dtype.F32, vocab_size=128, tied=False)
    assert (made["vocab_size"], made["tie_word_embeddings"]) == (128, False)


def test_where_the_base_was_loaded_from_is_forgotten() -> None:
    assert "_name_or_path" not in output_config(QWEN | {"_name_or_path": "/home/me/model"}, None, Dtype.F32)


def test_the_base_is_not_changed() -> None:
    before = json.dumps(QWEN)
    output_config({"text_config": QWEN}, [({"text_config": QWEN}, 0)], Dtype.BF16, vocab_size=1, tied=True)
    assert json.dumps(QWEN) == before


def test_bytes_do_not_depend_on_the_order_of_keys() -> None:
    assert config_bytes(QWEN) == config_bytes(dict(reversed(QWEN.items())))
    assert json.loads(config_bytes(QWEN)) == QWEN


@pytest.mark.parametrize("spelling", ["dtype", "torch_dtype", None])
def test_transformers_understands_every_spelling(tmp_path: Path, spelling: str | None) -> None:
    import torch
    from transformers import AutoConfig

    base: dict[str, object] = {"model_type": "llama", "num_hidden_layers": 2, "vocab_size": 8}
    base |= {spelling: "float32"} if spelling else {}
    (tmp_path / "config.json").write_bytes(config_bytes(output_config(base, [(base, 1)] * 3, Dtype.BF16, 16)))
    loaded = AutoConfig.from_pretrained(tmp_path)
    assert (loaded.num_hidden_layers, loaded.vocab_size, loaded.dtype) == (3, 16, torch.bfloat16)
