"""A recipe file: one recipe, or several of which later ones use the results of earlier ones."""

from collections.abc import Iterator

from umm.errors import RecipeError
from umm.recipe.model import ModelRef, Recipe
from umm.recipe.parse import read_recipe
from umm.recipe.place import Place, Sheet
from umm.recipe.tree import Node, compose


def load(text: str, name: str = "recipe") -> tuple[Recipe, ...]:
    """The recipes of a YAML file in the order to run them, the final one last.

    A document's ``name`` may be used as a model in the documents after it. The final recipe is the one
    without a name, or else the last. ``name`` says in errors which file this is.
    """
    nodes = compose(text, name)
    if not nodes:
        raise RecipeError(f"{name}, line 1: the file holds no recipe")
    lines: dict[str | None, int] = {}
    recipes = []
    for node in nodes:
        recipe = read_recipe(Place(node, Sheet(name), node.line))
        _check_name(recipe, node, lines, name)
        lines[recipe.name] = node.line
        recipes.append((recipe, node))
    _check_order(recipes, lines, name)
    return tuple(sorted((r for r, _ in recipes), key=lambda r: r.name is None))


def _check_name(recipe: Recipe, node: Node, lines: dict[str | None, int], file: str) -> None:
    if recipe.name not in lines:
        return
    first = lines[recipe.name]
    if recipe.name is None:
        problem = f"name: only one document may have no name, and the one on line {first} has none; name this one"
    else:
        problem = f"name: {recipe.name} is already the name of the document on line {first}"
    raise RecipeError(f"{file}, line {node.line}: {problem}")


def _check_order(recipes: list[tuple[Recipe, Node]], lines: dict[str | None, int], file: str) -> None:
    """Each document may use only names made before it, which also rules out cycles."""
    made: set[str | None] = set()
    for recipe, node in recipes:
        for key, line, model in _mentioned(recipe, node.line):
            if model.path in lines and model.path not in made:
                own = model.path == recipe.name
                when = "its own" if own else f"that of the later document on line {lines[model.path]}"
                raise RecipeError(
                    f"{file}, line {line}: {key}: {model.path} is a result, {when}; "
                    "a document may use only the results of documents before it"
                )
        made.add(recipe.name)


def _mentioned(recipe: Recipe, line: int) -> Iterator[tuple[str, int, ModelRef]]:
    """The models that a document names, each with its key and the nearest line known."""
    for source in (*recipe.inputs, *(i for s in recipe.slices for i in s.inputs)):
        yield "model", source.line, source.model
    for model in (recipe.base, *(s.base for s in recipe.slices)):
        if model:
            yield "base_model", line, model
    if recipe.tokenizer:
        if isinstance(recipe.tokenizer.source, ModelRef):
            yield "tokenizer", line, recipe.tokenizer.source
        yield from (("tokenizer", line, rule.model) for rule in recipe.tokenizer.tokens.values() if rule.model)
