"""Layers told from names."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from umm.checkpoint.layers import LayerName, Stack, main_stack, split

LLAMA = ["model.embed_tokens.weight", "model.norm.weight", "lm_head.weight"] + [
    f"model.layers.{i}.{part}.weight" for i in range(4) for part in ("self_attn.q_proj", "mlp.up_proj", "norm")
]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("model.layers.3.mlp.experts.7.w1.weight", LayerName("model.layers", 3, "mlp.experts.7.w1.weight")),
        ("gpt_neox.layers.11.attention.bias", LayerName("gpt_neox.layers", 11, "attention.bias")),
        ("h.0.attn.c_attn.weight", LayerName("h", 0, "attn.c_attn.weight")),
        ("transformer.h.10.ln_1.weight", LayerName("transformer.h", 10, "ln_1.weight")),
        ("scales.2", LayerName("scales", 2, "")),
        ("model.embed_tokens.weight", None),
        ("model.layers.03.weight", None),
        ("model.layers.x3.weight", None),
        ("model.layers.³.weight", None),
        ("model.layers.123456.weight", None),
        ("0.weight", None),
        ("", None),
    ],
)
def test_the_first_number_after_a_prefix_is_the_layer(name: str, expected: LayerName | None) -> None:
    assert split(name) == expected


@given(st.lists(st.sampled_from(["model", "layers", "0", "7", "12", "w", ""]), min_size=1, max_size=6))
def test_a_name_taken_apart_can_be_put_together(parts: list[str]) -> None:
    name = ".".join(parts)
    found = split(name)
    assert found is None or str(found) == name or name.endswith(".")


def test_a_tensor_is_renamed_into_another_layer() -> None:
    stack = Stack("model.layers", 4)
    assert stack.rename("model.layers.3.mlp.experts.7.w1", 12) == "model.layers.12.mlp.experts.7.w1"
    assert stack.layer("model.layers.3.mlp.experts.7.w1") == 3
    assert stack.layer("visual.blocks.3.w") is None
    assert stack.layer("lm_head.weight") is None
    with pytest.raises(ValueError, match="not in a layer"):
        stack.rename("lm_head.weight", 0)


def towers(vision: int, text: int) -> Iterable[str]:
    yield from (f"visual.blocks.{i}.{w}" for i in range(vision) for w in "abcdef")
    yield from (f"model.layers.{i}.{w}" for i in range(text) for w in "ab")


@pytest.mark.parametrize(
    ("names", "config", "expected"),
    [
        (LLAMA, {"num_hidden_layers": 4}, Stack("model.layers", 4)),
        (LLAMA, {}, Stack("model.layers", 4)),
        (towers(8, 4), {"text_config": {"num_hidden_layers": 4}}, Stack("model.layers", 4)),
        (towers(8, 4), {"llm_config": {"n_layer": 4}}, Stack("model.layers", 4)),
        (towers(8, 4), {"num_hidden_layers": 5}, Stack("visual.blocks", 8)),
        (towers(4, 4), {"num_layers": 4}, Stack("visual.blocks", 4)),
        (["a.0.w", "b.0.w"], {}, Stack("a", 1)),
        (["lm_head.weight"], {"num_hidden_layers": 2}, None),
        ([], {}, None),
    ],
)
def test_the_main_stack_is_the_one_the_config_speaks_of(
    names: Iterable[str], config: dict[str, object], expected: Stack | None
) -> None:
    assert main_stack(names, config) == expected
