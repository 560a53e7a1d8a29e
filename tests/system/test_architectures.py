"""What comes out of a merge is a model: transformers loads it, with nothing missing, and it generates."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoTokenizer

from tests.umm.checkpoints import ARCHITECTURES, adapter, generated, merged, numbers, recipe, tiny
from tests.umm.tokenizers_made import byte_level
from umm.methods import METHODS


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Models this small only make the threads of torch wait for one another."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def llamas(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base and two fine-tunes of it."""
    return family(tmp_path_factory.mktemp("llamas"), "llama")


def family(folder: Path, architecture: str, **settings: Any) -> Path:
    tiny(folder / "base", architecture, **settings)
    tiny(folder / "a", architecture, seed=1, **settings)
    tiny(folder / "b", architecture, seed=2, **settings)
    return folder


def config(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "config.json").read_text())
    return found


def weights(folder: Path) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = load_file(folder / "model.safetensors")
    return found


def slices(*ranges: tuple[str, int, int], method: str = "passthrough") -> str:
    sources = [{"sources": [{"model": m, "layer_range": [first, last]}]} for m, first, last in ranges]
    return json.dumps({"slices": sources, "merge_method": method})


@pytest.mark.parametrize("method", sorted(METHODS))
def test_every_method_gives_a_llama_that_generates(llamas: Path, method: str, tmp_path: Path) -> None:
    merged(recipe(method), llamas, str(tmp_path / "out"))
    generated(tmp_path / "out")
    assert weights(tmp_path / "out").keys() == weights(llamas / "base").keys()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_architecture_is_merged_without_being_known(architecture: str, tmp_path: Path) -> None:
    family(tmp_path, architecture)
    for method in ("linear", "ties", "slerp", "della"):
        merged(recipe(method), tmp_path, method)
        generated(tmp_path / method)
    merged(slices(("a", 0, 2), ("b", 1, 2)), tmp_path, "taller")
    generated(tmp_path / "taller")
    assert config(tmp_path / "taller")["num_hidden_layers"] == 3


def test_a_linear_merge_is_the_weighted_mean(llamas: Path, tmp_path: Path) -> None:
    merged(recipe("linear"), llamas, str(tmp_path / "out"))
    a, b, out = weights(llamas / "a"), weights(llamas / "b"), weights(tmp_path / "out")
    for name, found in out.items():
        mean = (a[name].float() + 0.75 * b[name].float()) / 1.75
        assert torch.allclose(found.float(), mean, rtol=2**-8, atol=0), name
    assert config(tmp_path / "out") == config(llamas / "base")


# -- slices ----------------------------------------------------------------------------------------------------


def test_layers_are_stacked_in_the_order_of_the_slices(llamas: Path, tmp_path: Path) -> None:
    merged(slices(("a", 0, 2), ("b", 0, 1), ("b", 0, 2)), llamas, str(tmp_path / "out"))
    generated(tmp_path / "out")
    out = weights(tmp_path / "out")
    for layer, (model, source) in enumerate([("a", 0), ("a", 1), ("b", 0), ("b", 0), ("b", 1)]):
        name = "model.layers.{}.mlp.up_proj.weight"
        assert torch.equal(out[name.format(layer)], weights(llamas / model)[name.format(source)])
    assert torch.equal(out["model.embed_tokens.weight"], weights(llamas / "a")["model.embed_tokens.weight"])
    assert torch.equal(out["lm_head.weight"], weights(llamas / "b")["lm_head.weight"])


def test_a_gradient_runs_over_the_layers_of_a_slice(tmp_path: Path) -> None:
    family(tmp_path, "llama", num_hidden_layers=3)
    text = """
slices: [{sources: [{model: base, layer_range: [0, 3]}, {model: a, layer_range: [0, 3]}]}]
base_model: base
merge_method: slerp
parameters: {t: [{filter: mlp, value: [0, 1]}, {value: 0}]}
"""
    merged(text, tmp_path)
    generated(tmp_path / "out")
    out, base, other = weights(tmp_path / "out"), weights(tmp_path / "base"), weights(tmp_path / "a")
    name = "model.layers.{}.mlp.up_proj.weight"
    assert torch.equal(out[name.format(0)], base[name.format(0)])
    assert torch.equal(out[name.format(2)], other[name.format(2)])
    assert not torch.equal(out[name.format(1)], base[name.format(1)])
    attention = "model.layers.2.self_attn.q_proj.weight"
    assert torch.equal(out[attention], base[attention])


@pytest.mark.parametrize("architecture", ["qwen2", "qwen3", "gemma3_text"])
def test_lists_with_an_item_per_layer_follow_the_layers(architecture: str, tmp_path: Path) -> None:
    kinds = ["sliding_attention", "full_attention"]
    family(tmp_path, architecture, layer_types=kinds, sliding_window=8, use_sliding_window=True)
    merged(slices(("a", 0, 2), ("b", 1, 2), ("b", 0, 1)), tmp_path)
    assert config(tmp_path / "out")["layer_types"] == [*kinds, "full_attention", "sliding_attention"]
    generated(tmp_path / "out")


# -- tied embeddings -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("base", [True, False], ids=["tied base", "untied base"])
def test_a_tied_model_lends_its_embedding_to_an_untied_one(tmp_path: Path, base: bool) -> None:
    tiny(tmp_path / "base", tie_word_embeddings=base)
    tiny(tmp_path / "a", seed=1, tie_word_embeddings=not base)
    merged(recipe("task_arithmetic", experts=("a",)), tmp_path)
    assert config(tmp_path / "out")["tie_word_embeddings"] is False
    assert "lm_head.weight" in weights(tmp_path / "out")
    generated(tmp_path / "out")


def test_a_tied_family_stays_tied(tmp_path: Path) -> None:
    family(tmp_path, "llama", tie_word_embeddings=True)
    merged(recipe("ties"), tmp_path)
    assert config(tmp_path / "out")["tie_word_embeddings"] is True
    assert "lm_head.weight" not in weights(tmp_path / "out")
    generated(tmp_path / "out")


# -- types and files -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32"])
def test_the_output_has_the_type_of_the_base_or_of_the_recipe(tmp_path: Path, dtype: str) -> None:
    tiny(tmp_path / "base", dtype=dtype)
    tiny(tmp_path / "a", seed=1, dtype="float32")
    tiny(tmp_path / "b", seed=2, dtype="float16")
    wishes: list[tuple[str, dict[str, Any]]] = [
        (dtype, {}),
        ("float16", {"dtype": "float16"}),
        ("float32", {"dtype": "float16", "out_dtype": "float32"}),
    ]
    for k, (expected, wish) in enumerate(wishes):
        out = tmp_path / str(k)
        merged(recipe("ties", **wish), tmp_path, out.name)
        assert {str(t.dtype) for t in weights(out).values()} == {f"torch.{expected}"}
        assert config(out)["dtype"] == expected
        generated(out)


def test_sharded_inputs_and_outputs_load(tmp_path: Path) -> None:
    tiny(tmp_path / "base", shard="20KB")
    tiny(tmp_path / "a", seed=1, shard="30KB")
    tiny(tmp_path / "b", seed=2)
    assert len(list((tmp_path / "base").glob("*.safetensors"))) > 1
    merged(recipe("linear"), tmp_path, shard_bytes=15_000)
    assert len(list((tmp_path / "out").glob("*.safetensors"))) > 1
    generated(tmp_path / "out")


# -- adapters --------------------------------------------------------------------------------------------------


def test_an_adapter_on_a_base_is_an_expert(llamas: Path, tmp_path: Path) -> None:
    names = [f"model.layers.{i}.self_attn.q_proj" for i in (0, 1)]
    factors = {f"{n}.lora_A.weight": numbers(n + "A", (2, 32)) for n in names}
    factors |= {f"{n}.lora_B.weight": numbers(n + "B", (32, 2)) for n in names}
    adapter(tmp_path / "lora", factors)
    expert = f"base+{tmp_path / 'lora'}"
    merged(recipe("task_arithmetic", experts=(expert,)), llamas, str(tmp_path / "out"))
    generated(tmp_path / "out")
    out, base = weights(tmp_path / "out"), weights(llamas / "base")
    for name, found in out.items():
        module = name.removesuffix(".weight")
        expected = base[name].float()
        if module in names:
            product = factors[f"{module}.lora_B.weight"] @ factors[f"{module}.lora_A.weight"]
            expected = expected + 2 * torch.from_numpy(np.ascontiguousarray(product))
        assert torch.allclose(found.float(), expected, rtol=2**-8, atol=1e-6), name


# -- tokenizers ------------------------------------------------------------------------------------------------


def spoken(folder: Path, tokenizer: str, rows: int, seed: int = 0, **config: object) -> Path:
    """A model with a real tokenizer."""
    tiny(folder, seed=seed, vocab_size=rows)
    (folder / "tokenizer.json").write_text(tokenizer)
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", **config}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return folder


@pytest.mark.parametrize("source", ["union", "base"])
def test_models_of_different_vocabularies_are_aligned(tmp_path: Path, source: str) -> None:
    spoken(tmp_path / "base", byte_level(290), 300)
    spoken(tmp_path / "a", byte_level(300, other=True, added=("<|im_start|>", "<|end|>")), 310, seed=1)
    text = recipe("linear", experts=("base", "a"), base_model="base", tokenizer={"source": source})
    merged(text, tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out")
    rows = weights(tmp_path / "out")["model.embed_tokens.weight"].shape[0]
    assert config(tmp_path / "out")["vocab_size"] == rows >= len(tokenizer)
    assert ("<|im_start|>" in tokenizer.get_vocab()) is (source == "union")
    text = "hello there, größe"
    ids = tokenizer(text)["input_ids"]
    assert tokenizer.decode(generated(tmp_path / "out", tuple(ids))[: len(ids)]) == text
    if source == "base":
        assert AutoTokenizer.from_pretrained(tmp_path / "base")(text)["input_ids"] == ids


def test_the_row_of_a_token_follows_the_token(tmp_path: Path) -> None:
    spoken(tmp_path / "base", byte_level(290), 291)
    spoken(tmp_path / "a", byte_level(300, other=True), 301, seed=1)
    text = """
models: [{model: a}]
base_model: base
merge_method: passthrough
tokenizer: {source: base}
"""
    merged(text, tmp_path)
    ids = [AutoTokenizer.from_pretrained(tmp_path / m).get_vocab() for m in ("a", "out")]
    rows = [weights(tmp_path / m)["model.embed_tokens.weight"] for m in ("a", "out")]
    common = sorted(ids[0].keys() & ids[1].keys())
    assert len(common) > 256
    for token in common:
        assert torch.equal(rows[0][ids[0][token]], rows[1][ids[1][token]]), token


def test_the_chat_template_of_the_recipe_is_the_outputs(tmp_path: Path) -> None:
    spoken(tmp_path / "base", byte_level(290), 300, chat_template="{{ 'the old one' }}")
    spoken(tmp_path / "a", byte_level(290), 300, seed=1)
    merged(recipe("ties", experts=("a",), chat_template="chatml"), tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out")
    said = tokenizer.apply_chat_template([{"role": "user", "content": "hi"}], tokenize=False)
    assert said.startswith("<|im_start|>user\nhi")
