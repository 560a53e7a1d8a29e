"""Model cards."""

import yaml

from umm.card import model_card

TEXT = """models:
  - model: math-7b
  - model: org/code-7b+sql
base_model: base-7b
merge_method: ties
"""
ROOT = bytes(range(32))


def card(text: str = TEXT) -> str:
    return model_card(text, None, "base-7b", ["math-7b", "org/code-7b"], "TIES", ROOT)


def test_the_front_matter_is_what_the_hub_reads() -> None:
    front = yaml.safe_load(card().split("---\n")[1])
    assert front == {
        "base_model": ["base-7b", "math-7b", "org/code-7b"],
        "base_model_relation": "merge",
        "library_name": "transformers",
        "tags": ["merge", "umm"],
    }


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


def test_a_name_that_looks_like_yaml_stays_text() -> None:
    shown = model_card("", "a\n---\nb", None, ["on", "x: y"], "Linear", ROOT)
    assert yaml.safe_load(shown.split("---\n")[1])["base_model"] == ["on", "x: y"]
    assert "\n# a --- b\n" in shown
