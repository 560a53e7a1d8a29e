"""The canonical form: pinned bytes, and what it must not depend on."""

import json
import random
from dataclasses import replace
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from umm.recipe.canonical import canonical, digest
from umm.recipe.document import load
from umm.recipe.model import Input, ModelRef, Recipe

EXAMPLE = """
merge_method: ties
base_model: ./base@v1
models:
  - model: ./math+./lora
    id: m
    parameters:
      weight: [0, 0.5]
      density: {layers: [0.1, 1], other: 1e-3}
  - model: ./código
    parameters:
      weight: [{filter: mlp, value: 0.25}, {value: 1}]
dtype: float32
out_dtype: bfloat16
tokenizer: {tokens: {<s>: {source: {kind: model_token, model: ./math, token_id: 0}, force: true}}}
seed: 7
"""

PINNED = (
    '{"base_model":{"path":"./base","revision":"v1"},"dtype":"float32","merge_method":"ties","models":['
    '{"id":"m","model":{"adapter":"./lora","path":"./math"},"parameters":'
    '{"density":{"layers":[0.1,1.0],"other":0.001},"weight":[0.0,0.5]}},'
    '{"model":{"path":"./código"},"parameters":{"weight":[{"filter":"mlp","value":0.25},{"value":1.0}]}}],'
    '"out_dtype":"bfloat16","seed":7,"tokenizer":{"source":"union","tokens":'
    '{"<s>":{"force":true,"kind":"model_token","model":{"path":"./math"},"token_id":0}}}}'
)


def form(text: str) -> bytes:
    (recipe,) = load(text)
    return canonical(recipe)


def test_the_canonical_form_is_pinned() -> None:
    assert form(EXAMPLE).decode() == PINNED


def test_the_digest_is_pinned() -> None:
    (recipe,) = load(EXAMPLE)
    assert digest(recipe) == "blake3:7b79f744e71eb66ae36825f974ded25ea70dca1ddcf6f38cb1f3ab367828737f"


TIES: dict[str, Any] = {
    "merge_method": "ties",
    "base_model": "./base",
    "models": [
        {"model": "./a", "parameters": {"weight": 0.5}},
        {"model": "./b", "parameters": {"weight": 1.0}},
    ],
    "tokenizer": {"tokens": {"<a>": {"source": "./a"}, "<b>": {}}},
}


def changed(**keys: Any) -> str:
    return yaml.safe_dump(TIES | keys)


@pytest.mark.parametrize(
    "keys",
    [
        {"seed": 0},
        {"parameters": {"density": 1.0, "lambda": 1, "normalize": True, "rescale": 0}},
        {"models": [{"model": m, "parameters": {"weight": w, "density": 1}} for m, w in (("./a", 0.5), ("./b", 1))]},
        {
            "models": None,
            "modules": {"default": {"models": TIES["models"], "parameters": {"normalize": True}}},
        },
        {
            "tokenizer": {
                "source": "union",
                "tokens": {"<b>": {"force": False}, "<a>": {"source": {"model": "./a"}}},
            }
        },
        {"parameters": {"epsilon": 0.1}},
    ],
)
def test_what_only_restates_a_default_changes_nothing(keys: dict[str, Any]) -> None:
    assert form(changed(**keys)) == form(changed())


@pytest.mark.parametrize(
    "keys",
    [
        {"seed": 1},
        {"dtype": "float32"},
        {"out_dtype": "float32"},
        {"name": "x"},
        {"chat_template": "auto"},
        {"base_model": "./other"},
        {"tokenizer": None},
        {"tokenizer": {}},
        {"tokenizer": {"pad_to_multiple_of": 8, **TIES["tokenizer"]}},
        {"parameters": {"lambda": 0.5}},
        {"parameters": {"density": [1.0]}},
        {"models": TIES["models"][::-1]},
        {"models": [TIES["models"][0] | {"id": "a"}, TIES["models"][1]]},
        {"merge_method": "task_arithmetic"},
    ],
)
def test_what_means_something_else_has_another_form(keys: dict[str, Any]) -> None:
    assert form(changed(**keys)) != form(changed())


def test_a_default_that_hides_a_weaker_level_is_kept() -> None:
    weaker = {"parameters": {"density": 0.5}}
    models = [TIES["models"][0], {"model": "./b", "parameters": {"weight": 1, "density": 1.0}}]
    assert form(changed(**weaker, models=models)) != form(changed(**weaker))


def test_an_output_type_equal_to_the_working_type_is_left_out() -> None:
    assert form(changed(dtype="float16", out_dtype="torch.float16")) == form(changed(dtype="float16"))


def test_warnings_and_lines_are_no_part_of_it() -> None:
    recipe = Recipe("linear", inputs=(Input(ModelRef("a"), line=3),), warnings=("w",))
    assert canonical(recipe) == canonical(replace(recipe, warnings=(), inputs=(Input(ModelRef("a")),)))


def test_a_recipe_built_by_hand_has_a_form_even_with_an_unknown_method() -> None:
    assert canonical(Recipe("mine", parameters={"x": 1.5})) == b'{"merge_method":"mine","parameters":{"x":1.5}}'


NUMBERS = st.floats(0, 1).map(lambda x: x + 0.0)
SETTINGS = st.one_of(
    NUMBERS,
    st.lists(NUMBERS, min_size=1, max_size=4),
    st.fixed_dictionaries({"layers": st.lists(NUMBERS, min_size=1, max_size=3), "other": NUMBERS}),
    st.lists(
        st.fixed_dictionaries({"value": NUMBERS, "filter": st.sampled_from(["mlp", "attn", "*"])}),
        min_size=1,
        max_size=3,
    ),
)


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    """A della recipe of up to three models, as the data that its YAML stands for."""
    count = draw(st.integers(1, 3))
    document: dict[str, Any] = {
        "merge_method": "della",
        "base_model": "./base",
        "models": [
            {"model": f"./m{i}", "parameters": {"weight": draw(SETTINGS), "density": draw(SETTINGS)}}
            for i in range(count)
        ],
        "parameters": draw(st.dictionaries(st.sampled_from(["epsilon", "lambda", "lines_beta"]), SETTINGS)),
    }
    extra = {
        "dtype": "bfloat16",
        "seed": 5,
        "tokenizer": {"source": "base", "tokens": {"x": {"source": "./m0"}}},
    }
    for key in draw(st.sets(st.sampled_from(sorted(extra)))):
        document[key] = extra[key]
    return document


def shuffled(value: Any, order: random.Random) -> Any:
    """The same data with the keys of every mapping in another order."""
    if isinstance(value, list):
        return [shuffled(v, order) for v in value]
    if isinstance(value, dict):
        keys = list(value)
        order.shuffle(keys)
        return {key: shuffled(value[key], order) for key in keys}
    return value


def spelled(document: dict[str, Any], style: str) -> str:
    if style == "json":
        return json.dumps(document)
    text = yaml.safe_dump(
        document, default_flow_style={"flow": True, "block": False}.get(style), sort_keys=False, indent=4
    )
    return "# comment\n\n" + "\n".join(f"{line} # comment" if style == "block" else line for line in text.split("\n"))


@given(documents(), st.randoms(use_true_random=False), st.sampled_from(["json", "flow", "block", "mixed"]))
def test_key_order_formatting_and_comments_change_nothing(document: Any, order: random.Random, style: str) -> None:
    again = spelled(shuffled(document, order), style)
    assert form(again) == form(yaml.safe_dump(document))


@given(documents())
def test_restating_defaults_changes_nothing(document: Any) -> None:
    restated = json.loads(json.dumps(document))
    restated["parameters"] = {"rescale": True, "normalize": True, "lambda": 1.0, "epsilon": 0.15} | document[
        "parameters"
    ]
    restated.setdefault("seed", 0)
    assert form(json.dumps(restated)) == form(json.dumps(document))
