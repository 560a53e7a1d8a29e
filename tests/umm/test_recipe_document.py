"""Files of several documents."""

import pytest

from umm.errors import RecipeError
from umm.recipe.document import load


def document(name: str, model: str, more: str = "") -> str:
    label = f"name: {name}\n" if name else ""
    return f"{label}merge_method: linear\nmodels: [{{model: {model}}}]\nparameters: {{weight: 1}}\n{more}"


def names(text: str) -> list[str | None]:
    return [recipe.name for recipe in load(text)]


def test_one_document_needs_no_name() -> None:
    assert names(document("", "./a")) == [None]


def test_documents_run_in_order_and_the_last_named_is_final() -> None:
    assert names("---\n".join([document("a", "./x"), document("b", "a"), document("c", "b")])) == [
        "a",
        "b",
        "c",
    ]


def test_the_unnamed_document_is_final_wherever_it_stands() -> None:
    text = "---\n".join([document("a", "./x"), document("", "a"), document("b", "a")])
    assert names(text) == ["a", "b", None]


def test_a_result_may_carry_an_adapter() -> None:
    assert names(document("a", "./x") + "---\n" + document("", "a+./lora")) == ["a", None]


@pytest.mark.parametrize(
    ("more", "key"),
    [
        ("base_model: b\n", "line 1: base_model"),
        ("tokenizer_source: b\n", "line 1: tokenizer"),
        ("tokenizer: {tokens: {x: {source: b}}}\n", "line 1: tokenizer"),
    ],
)
def test_a_later_result_is_refused_wherever_it_is_named(more: str, key: str) -> None:
    with pytest.raises(RecipeError, match=key):
        load(document("a", "./x", more) + "---\n" + document("b", "./y"))


def test_two_documents_that_use_each_other_are_refused() -> None:
    with pytest.raises(RecipeError, match="line 3: model: b is a result"):
        load(document("a", "b") + "---\n" + document("b", "a"))


def test_errors_count_lines_from_the_top_of_the_file() -> None:
    with pytest.raises(RecipeError, match=r"^many.yaml, line 8: models\[0\].model"):
        load(document("a", "./x") + "---\n" + document("b", "7"), "many.yaml")


@pytest.mark.parametrize("name", ["..", ".a", "-a", "a b", "a@b", "é", "x" * 65, "a\\b"])
def test_a_name_that_is_no_folder_name_is_refused(name: str) -> None:
    with pytest.raises(RecipeError, match="line 1: name"):
        load(document(name, "./x"))


def test_the_longest_name_is_accepted() -> None:
    assert names(document("x" * 64, "./a")) == ["x" * 64]
