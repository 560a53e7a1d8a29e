"""Embeddings before the layers and heads after them, told by name."""

import pytest

from umm.checkpoint.ends import EMBEDDINGS, HEADS, is_embedding, is_head, stands_before
from umm.inspection.kind import Kind, kind_of


@pytest.mark.parametrize("module", EMBEDDINGS)
def test_every_embedding_is_one_wherever_it_matters(module: str) -> None:
    for name in (f"{module}.weight", f"model.{module}.weight"):
        assert is_embedding(name)
        assert stands_before(name)
        assert not is_head(name)
        assert kind_of(name) is Kind.EMBEDDING


@pytest.mark.parametrize("module", HEADS)
def test_every_head_is_one_wherever_it_matters(module: str) -> None:
    assert is_head(f"{module}.weight")
    assert is_head(f"{module}.bias")
    assert not stands_before(f"{module}.weight")
    assert kind_of(f"{module}.weight") is Kind.HEAD


@pytest.mark.parametrize(
    ("name", "before"),
    [
        ("transformer.wpe.weight", True),
        ("model.embed_norm.weight", True),
        ("transformer.word_embeddings_layernorm.bias", True),
        ("model.decoder.embed_positions.weight", True),
        ("gpt_neox.embed_out.weight", False),
        ("model.norm.weight", False),
        ("transformer.ln_f.weight", False),
    ],
)
def test_what_belongs_to_embeddings_stands_before_the_layers(name: str, before: bool) -> None:
    assert stands_before(name) is before
    assert not is_embedding(name)


@pytest.mark.parametrize(
    "name", ["weight", "embed_tokens", "embed_tokens.scale", "lm_head.scale", "my_embed_tokens.weight"]
)
def test_other_names_are_no_ends(name: str) -> None:
    assert not is_embedding(name)
    assert not is_head(name)
