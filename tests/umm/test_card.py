"""Model cards."""

import pytest
import yaml

from umm.card import model_card, public_name
from umm.recipe.model import Input, ModelRef, Recipe, TokenizerRule

TEXT = """models:
  - model: /home/me/models/math-7b
  - model: org/code-7b+/home/me/loras/sql
base_model: ../base-7b
merge_method: ties
tokenizer: {source: "/home/me/models/math-7b"}
"""
RECIPE = Recipe(
    method="ties",
    inputs=(
        Input(ModelRef("/home/me/models/math-7b")),
        Input(ModelRef("org/code-7b", adapter="/home/me/loras/sql")),
    ),
    base=ModelRef("../base-7b"),
    tokenizer=TokenizerRule(source=ModelRef("/home/me/models/math-7b")),
)
ROOT = bytes(range(32))


def card(text: str = TEXT, recipe: Recipe = RECIPE) -> str:
    return model_card(text, recipe, "../base-7b", ["/home/me/models/math-7b", "org/code-7b"], "TIES", ROOT)


def test_the_front_matter_is_what_the_hub_reads() -> None:
    front = yaml.safe_load(card().split("---\n")[1])
    assert front == {
        "base_model": ["base-7b", "math-7b", "org/code-7b"],
        "base_model_relation": "merge",
        "library_name": "transformers",
        "tags": ["merge", "umm"],
    }


def test_no_folder_of_the_authors_machine_is_named() -> None:
    assert "/home/me" not in card()
    assert "../" not in card()


def test_the_recipe_is_shown_as_yaml_that_still_parses() -> None:
    block = card().split("```yaml\n")[1].split("\n```")[0]
    assert yaml.safe_load(block)["models"] == [{"model": "math-7b"}, {"model": "org/code-7b+sql"}]


def test_a_recipe_with_backticks_stays_inside_its_block() -> None:
    shown = card(TEXT + "# ```\n# # A heading of a stranger\n")
    assert "````yaml\n" in shown
    assert shown.endswith("# # A heading of a stranger\n````\n")


def test_the_card_names_method_models_and_root() -> None:
    shown = card()
    assert "**TIES**" in shown
    assert "- `base-7b` (base)" in shown
    assert ROOT.hex() in shown


def test_the_same_merge_has_the_same_card() -> None:
    assert card() == card()


def test_a_template_file_is_named_without_its_folder() -> None:
    shown = card("chat_template: /home/me/chat.jinja\n", Recipe("ties", chat_template="/home/me/chat.jinja"))
    assert "chat_template: chat.jinja" in shown


def test_a_name_that_looks_like_yaml_stays_text() -> None:
    shown = model_card("", Recipe("linear", name="a\n---\nb"), None, ["on", "x: y"], "Linear", ROOT)
    assert yaml.safe_load(shown.split("---\n")[1])["base_model"] == ["on", "x: y"]
    assert "\n# a --- b\n" in shown


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("org/model", "org/model"),
        ("org/model-7B.v2", "org/model-7B.v2"),
        ("model", "model"),
        ("./model", "model"),
        ("./a/model/", "model"),
        ("/abs/model", "model"),
        ("~/model", "model"),
        ("C:\\models\\mine", "mine"),
        ("a/b/model", "model"),
        ("/hf/hub/models--org--name/snapshots/0a1b", "org/name"),
        ("..", "model"),
        ("/", "model"),
    ],
)
def test_a_model_is_called_by_its_public_name(path: str, name: str) -> None:
    assert public_name(path) == name
