"""What a plan refuses, each mistake in its own words, and what it finds out without reading a value."""

import json
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.umm.checkpoints import adapter, content, merged, numbers, plain, plan, recipe, stored
from tests.umm.tokenizers_made import byte_level
from umm.checkpoint.folder import MAX_SMALL_FILE_BYTES
from umm.errors import CheckpointError, MismatchError, RecipeError, UmmError
from umm.model import Folders, Models
from umm.plan import make_plan
from umm.recipe.document import load
from umm.recipe.model import ModelRef
from umm.vocabulary_plan import plan_vocabulary

MEAN = recipe("linear")


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A base and two fine-tunes of it."""
    for name in ("base", "a", "b"):
        plain(tmp_path / name, name)
    return tmp_path


def refusal(text: str, beside: Path) -> UmmError:
    """The error that a recipe ends in; nothing may be written, and nobody waits for it."""
    before = sorted(p.name for p in beside.iterdir())
    started = time.process_time()
    with pytest.raises(UmmError) as caught:
        merged(text, beside)
    assert time.process_time() - started < 5
    assert sorted(p.name for p in beside.iterdir()) == before
    return caught.value


def sliced(*sources: dict[str, Any], method: str = "linear", **keys: object) -> str:
    settings = {"parameters": {"weight": 1}} if method == "linear" else {}
    return json.dumps({"slices": [{"sources": list(sources)}], "merge_method": method, **settings, **keys})


def layers(model: str, first: int, last: int) -> dict[str, Any]:
    return {"model": model, "layer_range": [first, last]}


# -- models that do not line up --------------------------------------------------------------------------------


def test_missing_tensors_are_listed_by_model(models: Path) -> None:
    plain(models / "b", "b", extra={"model.extra.weight": stored(numbers("x", (4,)), "bfloat16")})
    error = refusal(MEAN, models)
    assert isinstance(error, MismatchError)
    assert "  a lacks 1: model.extra.weight\n" in str(error)
    assert "b lacks" not in str(error)


def test_of_many_missing_tensors_a_few_are_named_and_all_counted(models: Path) -> None:
    plain(models / "b", "b", layers=9)
    assert "a lacks 21: model.layers.2.input_layernorm.weight, " in str(refusal(MEAN, models))
    assert " and 13 more" in str(refusal(MEAN, models))


def test_models_of_different_width_are_refused_without_talk_of_tokenizers(models: Path) -> None:
    plain(models / "b", "b", width=16)
    error = refusal(MEAN, models)
    assert isinstance(error, MismatchError)
    assert "  model.layers.0.mlp.up_proj.weight: a [16, 8], b [32, 16]\n" in str(error)
    assert "  and 1 more\n" in str(error)
    assert str(error).endswith("Only models of one architecture and size can be merged.")


def test_different_rows_in_the_embedding_suggest_a_tokenizer(models: Path) -> None:
    plain(models / "b", "b", vocab=14)
    error = refusal(MEAN, models)
    assert "model.embed_tokens.weight: a [12, 8], b [14, 8]" in str(error)
    assert "tokenizer: {source: base}" in str(error)


def test_a_base_that_only_gives_its_config_must_fit_too(models: Path) -> None:
    plain(models / "base", layers=3)
    text = recipe("passthrough", base_model="base")
    assert "a lacks 3: model.layers.2.input_layernorm.weight" in str(refusal(text, models))
    plain(models / "base", width=16)
    assert "lm_head.weight: a [12, 8], base [12, 16]" in str(refusal(text, models))


def test_a_float_in_one_model_and_an_integer_in_another_do_not_mix(models: Path) -> None:
    plain(models / "a", "a", extra={"mask": stored(numbers("m", (4,)), "float32")})
    plain(models / "b", "b", extra={"mask": ("I64", (4,), bytes(32))})
    assert "'mask' holds I64, not numbers that can be merged" in str(refusal(MEAN, models))


def test_integers_that_differ_are_refused(models: Path) -> None:
    plain(models / "a", "a", extra={"mask": ("U8", (2,), b"\1\0")})
    plain(models / "b", "b", extra={"mask": ("U8", (2,), b"\1\1")})
    error = refusal(MEAN, models)
    assert isinstance(error, MismatchError)
    assert "mask differs between a and b, and it holds U8" in str(error)


# -- slices ----------------------------------------------------------------------------------------------------


def test_a_range_beyond_the_model_says_how_many_layers_there_are(models: Path) -> None:
    error = refusal(sliced(layers("a", 0, 2), layers("b", 1, 3)), models)
    assert str(error).startswith("line 1: layer_range: b has 2 layers (0 to 1)")
    assert "not 3" in str(error)


def test_a_base_outside_of_its_slice_is_named(models: Path) -> None:
    text = sliced(layers("a", 0, 2), layers("b", 0, 2), method="nuslerp", base_model="base")
    text = text.replace('"merge_method"', '"parameters": {"weight": 1}, "merge_method"')
    error = refusal(text, models)
    assert isinstance(error, RecipeError)
    assert "measures from the base model base, which is not among the sources of the slice" in str(error)


def test_a_model_without_layers_cannot_be_sliced(models: Path) -> None:
    plain(models / "a", "a", layers=0)
    assert "a has no numbered layers" in str(refusal(sliced(layers("a", 0, 1)), models))


def test_layers_of_different_kinds_cannot_be_laid_over_one_another(models: Path) -> None:
    extra = {"model.layers.1.mlp.gate.weight": stored(numbers("x", (2, 8)), "bfloat16")}
    plain(models / "b", "b", extra=extra)
    error = refusal(sliced(layers("a", 0, 2), layers("b", 0, 2)), models)
    assert "a (layer 1) lacks 1: mlp.gate.weight" in str(error)


@pytest.mark.parametrize("size", [{"width": 16}, {"layers": 0}, {"vocab": 14}], ids=str)
def test_slices_under_the_config_of_another_model_are_refused(models: Path, size: dict[str, Any]) -> None:
    plain(models / "base", **size)
    text = sliced(layers("a", 0, 2), method="passthrough", base_model="base")
    assert isinstance(refusal(text, models), MismatchError)


def test_slices_of_another_width_than_the_config_say_so(models: Path) -> None:
    plain(models / "base", width=16)
    error = refusal(sliced(layers("a", 1, 2), method="passthrough", base_model="base"), models)
    assert "  model.layers.0.mlp.up_proj.weight: a [16, 8], base [32, 16]\n" in str(error)
    assert "  model.norm.weight: a [8], base [16]" in str(error)
    pieces = [{"sources": [layers(m, 0, 1)]} for m in ("a", "base")]
    error = refusal(json.dumps({"slices": pieces, "merge_method": "passthrough"}), models)
    assert "  model.layers.1.mlp.up_proj.weight: base [32, 16], a [16, 8]\n" in str(error)


def test_slices_with_other_tensors_than_the_config_asks_for_name_them(models: Path) -> None:
    extra = {f"model.layers.{i}.mlp.gate.weight": stored(numbers("x", (2, 8)), "bfloat16") for i in range(2)}
    plain(models / "b", "b", extra=extra)
    missing = "model.layers.*.mlp.gate.weight"
    assert f"  missing in a: {missing}\n" in str(
        refusal(sliced(layers("b", 0, 1), method="passthrough", base_model="a"), models)
    )
    assert f"  missing in the slices: {missing}\n" in str(
        refusal(sliced(layers("a", 0, 1), method="passthrough", base_model="b"), models)
    )


def test_slices_may_take_some_kinds_of_layers_only(models: Path) -> None:
    extra = {"model.layers.1.mlp.gate.weight": stored(numbers("x", (2, 8)), "bfloat16")}
    for name in ("a", "b"):
        plain(models / name, name, extra=extra)
    for first, kinds in ((0, 0), (1, 1)):
        made = plan(sliced(layers("b", first, first + 1), method="passthrough", base_model="a"), models)
        assert sum("gate" in s.name for s in made.steps) == kinds


def test_slices_may_have_another_depth_and_vocabulary_than_the_config(models: Path) -> None:
    files = {"tokenizer.json": byte_level(290).encode()}
    plain(models / "a", "a", vocab=300, files=files)
    plain(models / "base", vocab=400, layers=5, files=files)
    text = sliced(layers("a", 0, 2), method="passthrough", base_model="base", tokenizer={"source": "a"})
    config = json.loads(plan(text, models).files["config.json"])
    assert (config["vocab_size"], config["num_hidden_layers"]) == (300, 2)
    plain(models / "base", vocab=400, width=16, files=files)
    assert "lm_head.weight: a [300, 8], base [300, 16]" in str(refusal(text, models))


# -- parameters ------------------------------------------------------------------------------------------------


def test_conditions_that_leave_tensors_out_are_refused(models: Path) -> None:
    text = recipe("slerp", experts=("a",), parameters={"t": [{"filter": "mlp", "value": 0.5}]})
    error = refusal(text, models)
    assert isinstance(error, RecipeError)
    assert "no value for the parameter t at lm_head.weight" in str(error)
    assert "without a filter" in str(error)


def test_conditions_under_one_model_name_that_model(models: Path) -> None:
    text = MEAN.replace('"weight": 1.0', '"weight": [{"filter": "mlp", "value": 0.5}]')
    assert "no value for the parameter weight of a at lm_head.weight" in str(refusal(text, models))


def test_odds_that_leave_the_unit_interval_are_refused(models: Path) -> None:
    error = refusal(recipe("della", parameters={"density": 0.9, "epsilon": 0.2}), models)
    assert isinstance(error, RecipeError)
    assert "density 0.9 with epsilon 0.2" in str(error)


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("conditional", [False, True])
def test_a_table_needs_a_value_for_every_layer(models: Path, count: int, conditional: bool) -> None:
    table: object = {"layers": [0.5] * count, "other": 1}
    if conditional:
        table = [{"filter": "mlp", "value": table}, {"value": 1}]
    text = recipe("slerp", experts=("a",), parameters={"t": table})
    error = refusal(text, models)
    assert isinstance(error, RecipeError)
    assert f"t: the per-layer table has {count} values, but the merged model has 2 layers" in str(error)


def test_a_chat_template_that_does_not_exist_is_refused_before_the_merge(models: Path) -> None:
    assert "Did you mean 'chatml'" in str(refusal(recipe("linear", chat_template="chatm"), models))


# -- tokenizers ------------------------------------------------------------------------------------------------


def test_different_vocabularies_need_a_rule(tmp_path: Path) -> None:
    words = {"a": byte_level(290), "b": byte_level(290, other=True)}
    for name, tokenizer in words.items():
        plain(tmp_path / name, name, vocab=300, files={"tokenizer.json": tokenizer.encode()})
    error = refusal(MEAN, tmp_path)
    assert isinstance(error, MismatchError)
    assert "different vocabularies" in str(error)
    assert "tokenizer: {source: union}" in str(error)


def test_a_rule_needs_tokenizers(models: Path) -> None:
    error = refusal(recipe("linear", tokenizer={"source": "union"}), models)
    assert "a has no tokenizer.json" in str(error)
    assert "save_pretrained" in str(error)


def test_without_tokenizers_there_is_a_warning(models: Path) -> None:
    (warning,) = plan(MEAN, models).warnings
    assert "no model has a tokenizer.json" in warning


# -- folders ---------------------------------------------------------------------------------------------------


def test_an_adapter_for_another_model_is_refused(models: Path) -> None:
    name = "model.layers.5.self_attn.q_proj"
    factors = {f"{name}.lora_A.weight": numbers("A", (2, 8)), f"{name}.lora_B.weight": numbers("B", (8, 2))}
    adapter(models / "lora", factors)
    error = refusal(recipe("ties", experts=("a+lora",)), models)
    assert isinstance(error, MismatchError)
    assert "the adapter does not fit" in str(error)
    assert name in str(error)


def test_a_truncated_file_is_found_from_its_header(models: Path) -> None:
    file = models / "b" / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1])
    error = refusal(MEAN, models)
    assert isinstance(error, CheckpointError)
    assert str(file) in str(error)


def test_a_plan_reads_no_values(models: Path) -> None:
    for name in ("base", "a", "b"):
        plain(models / name, name, vocab=12, width=8)
        file = models / name / "model.safetensors"
        head = 8 + int.from_bytes(file.read_bytes()[:8], "little")
        file.write_bytes(file.read_bytes()[:head] + b"\xff" * (file.stat().st_size - head))
    assert plan(recipe("ties"), models).parameters == 2 * 12 * 8 + 8 + 2 * (64 + 128 + 8)


# -- what a plan knows -----------------------------------------------------------------------------------------


def test_bytes_are_counted(models: Path) -> None:
    made = plan(recipe("ties", out_dtype="float32"), models)
    assert made.read_bytes == 3 * 2 * made.parameters
    assert made.written_bytes == 4 * made.parameters


def test_parameters_are_resolved_for_every_tensor(models: Path) -> None:
    table = {"layers": [0.25, 0.75], "other": 1}
    made = plan(recipe("slerp", experts=("a",), parameters={"t": table}), models)
    found = {s.name: s.arguments.number("t") for s in made.steps if s.arguments}
    assert found["model.norm.weight"] == 1
    assert found["model.layers.0.mlp.up_proj.weight"] == 0.25
    assert found["model.layers.1.mlp.up_proj.weight"] == 0.75


def test_depth_runs_from_the_first_layer_to_the_last(models: Path) -> None:
    depth = {s.name: s.depth for s in plan(recipe("ties"), models).steps}
    assert depth["model.layers.0.input_layernorm.weight"] == 0
    assert depth["model.layers.1.input_layernorm.weight"] == 1
    assert depth["lm_head.weight"] == 0


def test_the_base_comes_first_and_experts_keep_their_order(models: Path) -> None:
    text = recipe("ties", models=[{"model": m, "parameters": {"weight": 1}} for m in ("b", "base", "a")])
    (step, *_) = plan(text, models).steps
    assert step.has_base
    assert [str(m.ref) for m in step.models] == ["base", "b", "a"]


def test_masks_are_keyed_by_position_or_by_id(models: Path) -> None:
    plain_keys = plan(recipe("dare_linear"), models).steps[0].keys
    named = recipe("dare_linear", models=[{"model": m, "id": i, "parameters": {"weight": 1}} for m, i in
                                          (("b", "1"), ("a", "0"))])  # fmt: skip
    assert plan(named, models).steps[0].keys == plain_keys[::-1]
    assert plan(recipe("dare_linear", seed=1), models).steps[0].keys != plain_keys


def test_the_config_speaks_of_the_type_that_most_numbers_have(models: Path) -> None:
    extra = {"model.router.weight": stored(numbers("r", (2, 8)), "float32")}
    for name in ("a", "b"):
        plain(models / name, name, extra=extra)
    made = plan(MEAN, models)
    assert {s.output.header_dtype for s in made.steps} == {"BF16", "F32"}
    assert json.loads(made.files["config.json"])["dtype"] == "bfloat16"


@pytest.mark.parametrize("rule", [None, {"source": "base"}])
def test_equal_tokenizers_are_read_once(models: Path, rule: object) -> None:
    for name in ("base", "a", "b"):
        plain(models / name, name, vocab=300, files={"tokenizer.json": byte_level(290).encode()})
    keys: dict[str, Any] = {"tokenizer": rule} if rule else {}
    (document,) = load(recipe("ties", **keys))
    opened = Models.of(document, Folders(models, {}))
    made = plan_vocabulary(document, opened, opened[ModelRef("base")])
    opened.close()
    assert len({id(v) for v in made.vocabularies.values()}) == (1 if rule else 0)
    assert made.warnings == ()


@pytest.mark.parametrize("harm", [Path.unlink, lambda file: os.truncate(file, MAX_SMALL_FILE_BYTES + 1)])
@pytest.mark.parametrize("file", ["generation_config.json", "tokenizer.json"])
def test_a_small_file_that_changed_since_its_folder_was_opened_is_refused(
    models: Path, file: str, harm: Callable[[Path], None]
) -> None:
    tokenizer = byte_level(290).encode()
    for name in ("base", "a", "b"):
        plain(models / name, name, vocab=300, files={"tokenizer.json": tokenizer, "generation_config.json": b"{}"})
    (document,) = load(recipe("ties"))
    opened = Models.of(document, Folders(models, {}))
    harm(models / "base" / file)
    with pytest.raises(CheckpointError, match=re.escape(file)):
        make_plan(document, opened)
    opened.close()


def test_models_of_the_tokenizer_are_opened_too(models: Path) -> None:
    for name in ("base", "a", "b"):
        plain(models / name, name, vocab=300, files={"tokenizer.json": byte_level(290).encode()})
    made = plan(recipe("linear", tokenizer={"source": "./base"}), models)
    assert made.models[ModelRef("./base")].ref == ModelRef("./base")


def test_nothing_but_a_plan_is_made_of_a_plan(models: Path) -> None:
    before = {p.name: content(p) for p in models.iterdir()}
    plan(recipe("ties"), models)
    assert {p.name: content(p) for p in models.iterdir()} == before
