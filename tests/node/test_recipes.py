"""A round's recipe: what a convener may write, and what a roster makes of it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from node.recipes import DEFAULT_TEMPLATE, Member, check_template, expand
from protocol.records.round import MAX_RECIPE, Recipe
from umm.errors import RecipeError
from umm.recipe.canonical import digest
from umm.recipe.document import load
from umm.recipe.model import ModelRef

SEED = bytes(range(32))
IDS = [bytes([k]) * 32 for k in (7, 1, 200, 16)]
ROOT = Path(__file__).parents[2]

TWO_DOMAINS = """
merge_method: dare_ties
base_model: base
models:
  - model: contributions
    parameters: {weight: 1, density: 0.5}
  - model: base
  - model: contributions/math
    parameters:
      weight: [0.2, 0.8]
      density:
        - {value: {layers: [0.1, 0.2], other: 0.3}, filter: mlp}
        - value: 1e-1
parameters: {normalize: true}
out_dtype: float32
"""


def member(k: int, domain: str = "code", kind: str = "delta") -> Member:
    return Member(IDS[k], kind, domain)


def place(contribution: Member) -> str:
    return f"/experts/{contribution.id.hex()}"


def expanded(text: str, *roster: Member) -> str:
    return expand(text, roster, SEED, "/bases/b", place)


# -- templates -------------------------------------------------------------------------------------------------


def test_the_default_is_ties_at_half_density_and_fits_into_a_record() -> None:
    template = check_template(DEFAULT_TEMPLATE)
    assert template.recipe.method == "ties"
    assert template.exact
    assert template.warnings == ()
    assert (template.least, template.most) == (1, None)
    assert Recipe(text=DEFAULT_TEMPLATE).text == DEFAULT_TEMPLATE
    assert template.one_line == DEFAULT_TEMPLATE
    (recipe,) = load(expanded(DEFAULT_TEMPLATE, member(0), member(1)))
    assert recipe.dtype is None
    assert recipe.parameters == {"normalize": True}
    assert [dict(i.parameters) for i in recipe.inputs] == [{"weight": 1.0, "density": 0.5}] * 2


MEDIAN = "merge_method: median\nbase_model: base\nmodels:\n- model: "
WRONG = {
    "- 1": "recipe, line 1: expected a recipe with",
    "": "line 1: a round's recipe is one document, found 0",
    "a: 1\n---\nb: 1": "line 3: a round's recipe is one document, found 2",
    "merge_method: tie\nmodels: [{model: contributions}]": "line 1: merge_method: unknown merge method tie; did",
    "merge_methd: ties": "line 1: merge_methd: unknown key in a recipe; did you mean merge_method",
    "merge_method: ties\nseed: 3": "line 2: seed: the round gives the seed; remove this one",
    "merge_method: ties\nname: x": "line 2: name: the result is named by its round",
    "merge_method: ties\nslices: []": "line 2: slices: a round merges whole models",
    "merge_method: ties\nmodules: {}": "line 2: modules: a round merges whole models",
    "merge_method: model_stock\nmodels:\n- model: contributions": "line 1: merge_method: model_stock needs base_model",
    "merge_method: median\nmodels:\n- model: contributions": "line 1: base_model is missing; write base_model: base",
    "merge_method: ties\nbase_model: ./b\nmodels:\n- model: contributions\n  parameters: {weight: 1}": (
        "line 2: base_model: found ./b; in a round the base model is base"
    ),
    "merge_method: median\nbase_model: base@v2\nmodels:\n- model: contributions": "found base@v2",
    MEDIAN + "contribution": (
        "line 4: models[0].model: other nodes do not have the model contribution; did you mean contributions?"
    ),
    MEDIAN + "./math": "do not have the model ./math. A round's recipe",
    MEDIAN + "contributions+lora": "the model contributions+lora",
    MEDIAN + "base/x": "do not have the model base/x",
    MEDIAN + "contributions/": "models[0].model: the domain has 0",
    MEDIAN + "contributions/Math": "not a word of lower-case letters",
    MEDIAN + "contributions/a/b": "write contributions/DOMAIN",
    MEDIAN + "contributions\n- model: contributions": (
        "line 5: models[1]: contributions is already listed on line 4"
    ),
    MEDIAN + "contributions\n  id: a": "line 5: models[0].id: in a round",
    MEDIAN + "base": "line 3: models: nothing here stands for",
    MEDIAN + "contributions\n  wieght: 1": "unknown key in an entry",
    "merge_method: ties\nbase_model: base\nmodels:\n- model: contributions": "ties needs the parameter weight",
    "merge_method: ties\nbase_model: base\nmodels:\n- model: contributions\n  parameters: {weight: 1, density: 2}": (
        "line 5: models[0].parameters.density: 2 is too large"
    ),
    "merge_method: linear\nbase_model: base\nmodels:\n- model: contributions\n  parameters: {weight: 1}": (
        "linear needs the parameter weight for base too; list it as a model"
    ),
    "merge_method: slerp\nbase_model: base\nmodels: [{model: contributions/a}, {model: contributions}]\n"
    "parameters: {t: 1}": (
        "line 3: models: slerp takes exactly 1 model beside the base, found 2"
    ),
    MEDIAN + "contributions\ntokenizer: {source: union}": (
        "line 5: tokenizer: in a round the vocabulary is the base's"
    ),
    MEDIAN + "contributions\ntokenizer_source: ./x": "the vocabulary is",
    MEDIAN + "contributions\n"
    "tokenizer: {source: base, tokens: {a: {source: ./x}}}": "no model gives single tokens",
    "merge_method: median\nbase_model: base\nmodels:\n- &m {model: contributions}\n- *x": "alias *x has no anchor",
}  # fmt: skip


@pytest.mark.parametrize("text", WRONG)
def test_what_a_convener_gets_wrong_is_named_with_its_line(text: str) -> None:
    with pytest.raises(RecipeError) as caught:
        check_template(text)
    assert WRONG[text] in str(caught.value)


def test_a_file_is_called_by_its_name_in_errors() -> None:
    with pytest.raises(RecipeError, match=r"round\.yaml, line 1: "):
        check_template("[", "round.yaml")


@pytest.mark.parametrize(
    ("method", "least", "most", "more"),
    [
        ("slerp", 1, 1, "parameters: {t: 0.5}"),
        ("nuslerp", 2, 2, "parameters: {weight: 1}"),
        ("model_stock", 2, None, ""),
        ("median", 1, None, ""),
        ("passthrough", 1, 1, ""),
    ],
)
def test_a_template_knows_how_many_contributions_its_method_takes(
    method: str, least: int, most: int | None, more: str
) -> None:
    template = check_template(f"merge_method: {method}\nbase_model: base\nmodels: [{{model: contributions}}]\n{more}")
    assert (template.least, template.most) == (least, most)
    enough = [member(k) for k in range(least)]
    load(expand(template, enough, SEED, "b", place))
    wrong = [enough[1:]] if least > 1 else []
    wrong += [[member(k) for k in range(most + 1)]] if most else []
    for roster in wrong:
        with pytest.raises(RecipeError, match=f"{method} takes .* contributions, and this roster has {len(roster)};"):
            expand(template, roster, SEED, "b", place)


def test_a_base_that_is_a_model_like_any_other_is_not_counted_as_a_contribution() -> None:
    models = "models: [{model: base}, {model: contributions}]"
    text = f"{{merge_method: linear, base_model: base, {models}, parameters: {{weight: 1}}}}"
    template = check_template(text)
    assert (template.least, template.most) == (1, None)
    (recipe,) = load(expanded(text, member(1)))
    assert [str(i.model) for i in recipe.inputs] == ["/bases/b", place(member(1))]


def test_one_line_reads_as_the_many() -> None:
    text = TWO_DOMAINS + 'chat_template: "{{ a }}\\n\\tb\\u2028é😀"\n'
    template = check_template(text)
    assert "\n" not in template.one_line
    assert template.one_line.isascii()
    assert len(Recipe(text=template.one_line).text or "") < MAX_RECIPE
    assert digest(check_template(template.one_line).recipe) == digest(template.recipe)
    roster = (member(0), member(1, "math"))
    assert yaml.safe_load(expanded(template.one_line, *roster)) == yaml.safe_load(expanded(text, *roster))
    (recipe,) = load(expanded(text, *roster))
    assert recipe.chat_template == "{{ a }}\n\tb\u2028é😀"


# -- rosters ---------------------------------------------------------------------------------------------------


def test_each_contribution_becomes_an_entry_of_its_own() -> None:
    text = expanded(TWO_DOMAINS, member(0), member(1, "math"), member(2, kind="checkpoint"))
    (recipe,) = load(text)
    assert recipe.base == ModelRef("/bases/b")
    assert [i.model.path for i in recipe.inputs] == ["/bases/b", *(place(member(k)) for k in (1, 0, 2))]
    assert [i.id for i in recipe.inputs] == [None, IDS[1].hex(), IDS[0].hex(), IDS[2].hex()]
    assert recipe.seed == int.from_bytes(SEED[:8], "little")
    assert recipe.out_dtype == "float32"
    (template,) = load(TWO_DOMAINS)
    assert recipe.inputs[1].parameters == template.inputs[2].parameters
    assert recipe.inputs[2].parameters == recipe.inputs[3].parameters == template.inputs[0].parameters


def test_an_adapter_is_put_on_the_base() -> None:
    (recipe,) = load(expanded(DEFAULT_TEMPLATE, member(0, kind="adapter")))
    assert recipe.inputs[0].model == ModelRef("/bases/b", None, place(member(0)))


@pytest.mark.parametrize("base", ["/a+b/base", "/a@b/base", "1e5", "- x: y", "true", "/ü/#x", "base"])
def test_paths_may_have_marks_that_mean_something_in_a_recipe(base: str) -> None:
    roster = (member(0), member(1, kind="adapter"))
    (recipe,) = load(expand(DEFAULT_TEMPLATE, roster, SEED, base, lambda m: f"/c++/{m.id.hex()}"))
    assert recipe.base == ModelRef(base)
    assert [i.model for i in recipe.inputs] == [
        ModelRef(base, None, f"/c++/{IDS[1].hex()}"), ModelRef(f"/c++/{IDS[0].hex()}")
    ]  # fmt: skip


def test_what_cannot_be_expanded_says_which_contribution_and_why() -> None:
    only_math = "{merge_method: median, base_model: base, models: [{model: contributions/math}]}"
    with pytest.raises(
        RecipeError, match=rf"no entry for contribution {IDS[0].hex()} of the domain code; .* needs contr"
    ):
        expanded(only_math, member(1, "math"), member(0))
    with pytest.raises(RecipeError, match="the roster is empty"):
        expanded(DEFAULT_TEMPLATE)
    with pytest.raises(RecipeError, match="in the roster twice"):
        expanded(DEFAULT_TEMPLATE, member(0), member(0, "math"))
    with pytest.raises(RecipeError, match=f"contribution {IDS[0].hex()} is of the kind distributions"):
        expanded(DEFAULT_TEMPLATE, member(0, kind="distributions"))
    with pytest.raises(RecipeError, match="has an @ in its path"):
        expand(DEFAULT_TEMPLATE, [member(0, kind="adapter")], SEED, "b", lambda _: "/home/me@work/a")
    with pytest.raises(RecipeError, match=r"cannot merge a roster of 1: .* characters that cannot be printed"):
        expand(DEFAULT_TEMPLATE, [member(0)], SEED, "b", lambda _: "/x\x1b[31m")


def test_a_roster_too_long_for_a_recipe_is_refused() -> None:
    roster = [Member(k.to_bytes(32, "big"), "delta", "code") for k in range(5000)]
    with pytest.raises(RecipeError, match=r"cannot merge a roster of 5000: .* more than 50000 values"):
        expand(DEFAULT_TEMPLATE, roster, SEED, "b", place)


ROSTERS = st.lists(
    st.builds(
        Member, st.binary(min_size=32, max_size=32), st.sampled_from(["delta", "checkpoint", "adapter"]),
        st.sampled_from(["math", "code", "law"]),
    ),
    min_size=2, max_size=6, unique_by=lambda m: m.id,
)  # fmt: skip


@settings(max_examples=25, deadline=None)
@given(ROSTERS, st.randoms(use_true_random=False))
def test_the_order_of_a_roster_means_nothing(roster: list[Member], random: object) -> None:
    shuffled = list(roster)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert expanded(TWO_DOMAINS, *shuffled) == expanded(TWO_DOMAINS, *roster)


@settings(max_examples=25, deadline=None)
@given(ROSTERS, st.integers(0, 5))
def test_a_roster_without_one_contribution_is_the_recipe_without_its_entry(roster: list[Member], k: int) -> None:
    gone = roster[k % len(roster)]
    whole = yaml.safe_load(expanded(TWO_DOMAINS, *roster))
    rest = expanded(TWO_DOMAINS, *(m for m in roster if m is not gone))
    whole["models"] = [entry for entry in whole["models"] if entry.get("id") != gone.id.hex()]
    assert yaml.safe_load(rest) == whole


def test_ids_made_of_digits_stay_text() -> None:
    digits = [Member(bytes.fromhex(text * 32), "delta", "code") for text in ("12", "1e", "00")]
    (recipe,) = load(expanded(DEFAULT_TEMPLATE, *digits))
    assert [i.id for i in recipe.inputs] == ["00" * 32, "12" * 32, "1e" * 32]


def test_checking_a_template_loads_no_torch() -> None:
    program = (
        "import json, sys; import node.recipes as r; r.expand(r.DEFAULT_TEMPLATE, [r.Member(bytes(32), 'delta', 'a')],"
        " bytes(32), 'b', lambda _: 'c'); print(json.dumps([m for m in ('torch', 'numba') if m in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, check=True)
    assert json.loads(done.stdout) == []
