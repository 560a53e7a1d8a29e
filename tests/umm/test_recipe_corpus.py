"""Whole files: the ones that must be refused, each with its own error, and the ones that must be accepted."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from umm.errors import RecipeError
from umm.methods import METHODS
from umm.recipe.canonical import canonical
from umm.recipe.document import load

RECIPES = Path(__file__).parent / "recipes"
DOCUMENTATION = Path(__file__).parents[2] / "docs" / "RECIPES.md"
GOOD = sorted((RECIPES / "good").glob("*.yaml"))
BROKEN = sorted((RECIPES / "broken").glob("*.yaml"))


@pytest.mark.timeout(5)
@pytest.mark.parametrize("path", BROKEN, ids=lambda p: p.stem)
def test_a_broken_recipe_is_refused_with_its_line_and_key(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    expected = text.splitlines()[0].removeprefix("# error: ")
    with pytest.raises(RecipeError) as refusal:
        load(text, path.name)
    message = str(refusal.value)
    assert message.startswith(f"{path.name}, {expected}")
    assert message.isprintable()


def test_every_broken_recipe_has_an_error_of_its_own() -> None:
    expected = [path.read_text(encoding="utf-8").splitlines()[0] for path in BROKEN]
    assert len(set(expected)) == len(expected) >= 36
    assert all(line.startswith("# error: line ") for line in expected)


@pytest.mark.parametrize("path", GOOD, ids=lambda p: p.stem)
def test_a_good_recipe_is_accepted(path: Path) -> None:
    recipes = load(path.read_text(encoding="utf-8"), path.name)
    assert recipes
    assert all(canonical(recipe) for recipe in recipes)


def test_only_the_files_about_warnings_warn() -> None:
    warned = {path.stem for path in GOOD for recipe in load(path.read_text(encoding="utf-8")) if recipe.warnings}
    assert warned == {"adapters", "four_levels", "no_effect"}


def test_the_good_recipes_use_every_method() -> None:
    used = {recipe.method for path in GOOD for recipe in load(path.read_text(encoding="utf-8"))}
    assert used == set(METHODS)


def test_reading_recipes_imports_nothing_heavy() -> None:
    heavy = {"torch", "numba", "transformers", "tokenizers"}
    code = f"import sys, umm.recipe.document, umm.recipe.canonical; print({heavy} & set(sys.modules))"
    run = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert run.stdout.strip() == "set()"


def test_every_example_in_the_documentation_is_accepted_without_warnings() -> None:
    examples = re.findall(r"```yaml\n(.*?)```", DOCUMENTATION.read_text(encoding="utf-8"), re.DOTALL)
    assert len(examples) >= 8
    assert [recipe.warnings for text in examples for recipe in load(text) if recipe.warnings] == []
