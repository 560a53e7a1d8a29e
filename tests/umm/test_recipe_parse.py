"""What a document becomes: references, levels, tokenizers, and which rules apply to which method."""

import pytest

from umm.errors import RecipeError
from umm.recipe.document import load
from umm.recipe.model import Condition, Gradient, ModelRef, PerLayer, Recipe, TokenizerRule, TokenRule


def only(text: str) -> Recipe:
    (recipe,) = load(text)
    return recipe


def linear(more: str = "", model: str = "./math") -> str:
    return f"merge_method: linear\nmodels:\n  - model: {model}\n    parameters: {{weight: 1}}\n{more}"


@pytest.mark.parametrize(
    ("spelling", "expected"),
    [
        ("./a", ModelRef("./a")),
        ("org/model@main", ModelRef("org/model", "main")),
        ("./a+./b", ModelRef("./a", None, "./b")),
        ("./a@v1+./b@v2", ModelRef("./a", "v1", "./b@v2")),
        ("{model: ./a}", ModelRef("./a")),
        ("{model: {path: a+b@c}}", ModelRef("a+b@c")),
        ("{model: {path: ./a, revision: v1}, lora: ./b}", ModelRef("./a", "v1", "./b")),
        ("{model: ./a@v1, lora: {path: ./b, revision: v2}}", ModelRef("./a", "v1", "./b@v2")),
        ("2024-01-01", ModelRef("2024-01-01")),
    ],
)
def test_a_model_reference_is_read(spelling: str, expected: ModelRef) -> None:
    assert only(linear(model=spelling)).inputs[0].model == expected


@pytest.mark.parametrize(
    "spelling", ["'@v1'", "./a@", "+./b", "./a+", "./a+@v", "''", "[]", "{}", "{model: {}}", '"a\\n"']
)
def test_half_a_model_reference_is_refused(spelling: str) -> None:
    with pytest.raises(RecipeError, match="line 3: models"):
        load(linear(model=spelling))


def test_settings_of_every_kind_are_read() -> None:
    text = """
merge_method: ties
base_model: ./base
models:
  - model: ./a
    parameters: {weight: 1, density: [0, 1]}
  - model: ./b
    parameters: {weight: {value: [1, 2], filter: mlp}, density: {layers: [0.5, 1], other: 0}}
  - model: ./c
    parameters: {weight: [{value: 1e-3, filter: "*"}], density: [{value: 1, filter: null}]}
"""
    a, b, c = (i.parameters for i in only(text).inputs)
    assert a == {"weight": 1.0, "density": Gradient((0.0, 1.0))}
    assert b == {"weight": (Condition(Gradient((1.0, 2.0)), "mlp"),), "density": PerLayer((0.5, 1.0), 0.0)}
    assert c == {"weight": (Condition(0.001),), "density": (Condition(1.0),)}


def test_values_take_the_type_of_their_parameter() -> None:
    text = "merge_method: karcher\nmodels: [{model: ./a}, {model: ./b}]\nparameters: {max_iter: 7.0, tol: 1}"
    parameters = only(text).parameters
    assert parameters == {"max_iter": 7, "tol": 1.0}
    assert [type(v) for v in parameters.values()] == [int, float]


@pytest.mark.parametrize("spelling", ["1", "1.0", "true", "yes", "on"])
def test_a_switch_may_be_written_as_a_number(spelling: str) -> None:
    assert only(linear(f"parameters: {{normalize: {spelling}}}")).parameters == {"normalize": True}


def test_the_only_module_is_the_recipe() -> None:
    text = "merge_method: linear\nmodules:\n  text:\n    models: [{model: ./a}]\n    parameters: {weight: 2}\n"
    recipe = only(text)
    assert [i.model.path for i in recipe.inputs] == ["./a"]
    assert recipe.module_parameters == {"weight": 2.0}
    assert recipe.parameters == {}


def test_slices_keep_their_ranges_bases_and_lines() -> None:
    text = """merge_method: task_arithmetic
slices:
  - base_model: ./x
    sources:
      - {model: ./x, layer_range: [0, 2]}
      - {model: ./a, layer_range: [4, 6], parameters: {weight: 1}}
    parameters: {lambda: 2}
"""
    (piece,) = only(text).slices
    assert piece.base == ModelRef("./x")
    assert [i.layers for i in piece.inputs] == [(0, 2), (4, 6)]
    assert [piece.line, *(i.line for i in piece.inputs)] == [3, 5, 6]
    assert piece.parameters == {"lambda": 2.0}


def test_null_counts_as_absent() -> None:
    recipe = only(linear("base_model: null\ntokenizer: ~\ndtype:\nslices: null\nparameters:\n"))
    assert (recipe.base, recipe.tokenizer, recipe.dtype, recipe.parameters) == (None, None, None, {})


@pytest.mark.parametrize("spelling", ["bfloat16", "torch.bfloat16"])
def test_a_dtype_is_kept_in_one_spelling(spelling: str) -> None:
    recipe = only(linear(f"dtype: {spelling}\nout_dtype: {spelling}"))
    assert (recipe.dtype, recipe.out_dtype) == ("bfloat16", "bfloat16")


def test_token_rules_are_read_and_sorted() -> None:
    text = """
base_model: ./math
tokenizer:
  source: base
  tokens:
    z: {source: {kind: zero}}
    <a>: {source: ./math, force: true}
    b: {source: {kind: model_token, model: ./math, token: x}}
    c: {source: {kind: model_token, model: ./math, token_id: 0}}
    d: {source: null}
  pad_to_multiple_of: 8
"""
    rule = only(linear(text)).tokenizer
    math = ModelRef("./math")
    assert rule is not None
    assert (rule.source, rule.pad_to_multiple_of) == ("base", 8)
    assert list(rule.tokens.items()) == [
        ("<a>", TokenRule("model", math, force=True)),
        ("b", TokenRule("model_token", math, token="x")),  # noqa: S106 - a token of a vocabulary
        ("c", TokenRule("model_token", math, token_id=0)),
        ("d", TokenRule()),
        ("z", TokenRule("zero")),
    ]


@pytest.mark.parametrize(
    ("spelling", "expected"),
    [("union", "union"), ("./math", ModelRef("./math")), ("{model: ./a}", ModelRef("./a"))],
)
def test_the_legacy_tokenizer_source_means_the_same(spelling: str, expected: object) -> None:
    old = only(linear(f"tokenizer_source: {spelling}")).tokenizer
    new = only(linear(f"tokenizer: {{source: {spelling}}}")).tokenizer
    assert old == new
    assert old is not None
    assert old.source == expected


def test_an_empty_tokenizer_is_the_union() -> None:
    assert only(linear("tokenizer: {}")).tokenizer == TokenizerRule()


def test_a_parameter_of_another_method_is_left_out_with_a_warning() -> None:
    recipe = only(linear("parameters:\n  density: 0.5\n"))
    assert recipe.warnings == ("line 6: density has no effect with linear",)
    assert recipe.parameters == {}


def test_parameters_of_the_base_are_left_out_with_a_warning() -> None:
    text = (
        "merge_method: ties\nbase_model: ./x\nparameters: {weight: 1}\n"
        "models:\n  - {model: ./x, parameters: {weight: 2}}\n  - model: ./a\n"
    )
    recipe = only(text)
    assert recipe.inputs[0].parameters == {}
    assert recipe.warnings == ("line 5: weight under ./x has no effect: it is the base model",)


def test_the_base_of_linear_keeps_its_parameters() -> None:
    recipe = only(linear("base_model: ./math"))
    assert recipe.inputs[0].parameters == {"weight": 1.0}
    assert recipe.warnings == ()


def test_warnings_come_by_line_and_once() -> None:
    shared = "parameters: &p {weight: 1, density: 1}\nmodels: [{model: ./a, parameters: *p}]"
    text = f"merge_method: passthrough\n{shared}"
    assert only(text).warnings == (
        "line 2: density has no effect with passthrough",
        "line 2: weight has no effect with passthrough",
    )


def test_a_required_parameter_may_be_set_at_any_level() -> None:
    slices = "slices: [{sources: [{model: ./a, layer_range: [0, 1]%s}]%s}]"
    weight = ", parameters: {weight: 1}"
    for text in (
        slices % (weight, ""),
        slices % ("", weight),
        slices % ("", "") + "\nparameters: {weight: 1}",
    ):
        assert only(f"merge_method: linear\n{text}")


def test_a_required_parameter_with_conditions_only_is_left_to_the_plan() -> None:
    assert only("merge_method: linear\nmodels: [{model: ./a, parameters: {weight: [{filter: mlp, value: 1}]}}]")


def test_a_named_base_counts_where_it_takes_part_like_any_model() -> None:
    text = "merge_method: karcher\nbase_model: ./base\nmodels: [{model: ./a}]"
    assert only(text).base == ModelRef("./base")


def test_the_same_model_may_give_different_layers_to_one_slice() -> None:
    sources = "[{model: ./a, layer_range: [0, 2]}, {model: ./a, layer_range: [2, 4]}]"
    recipe = only(f"merge_method: linear\nparameters: {{weight: 1}}\nslices: [{{sources: {sources}}}]")
    assert len(recipe.slices[0].inputs) == 2


def test_the_same_layers_twice_in_one_slice_are_refused() -> None:
    sources = "[{model: ./a, layer_range: [0, 2]}, {model: ./a, layer_range: [0, 2]}]"
    with pytest.raises(RecipeError, match="already listed"):
        load(f"merge_method: linear\nparameters: {{weight: 1}}\nslices: [{{sources: {sources}}}]")


def test_every_condition_of_one_setting_is_checked() -> None:
    conditions = "  - value: 1\n  - value: x"
    text = f"merge_method: slerp\nbase_model: ./b\nmodels: [{{model: ./a}}]\nparameters:\n  t:\n{conditions}"
    with pytest.raises(RecipeError, match=r"line 7: parameters\.t\[1\]\.value: expected a number, found x"):
        load(text)


def test_hostile_names_are_shortened_and_quoted_in_errors() -> None:
    with pytest.raises(RecipeError) as refusal:
        load(linear('"\\e[31m' + "x" * 9000 + '": 1'))
    assert str(refusal.value).isprintable()
    assert len(str(refusal.value)) < 400
