"""Checking a round's recipe before any roster is known; errors are the recipe language's: line, key, what to do."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NoReturn

from node.recipes.text import line, plain
from protocol.errors import MalformedError
from protocol.records.forms import WORD
from umm.errors import RecipeError
from umm.methods import METHODS, Base, Method
from umm.recipe.model import ModelRef, Recipe
from umm.recipe.parse import read_recipe
from umm.recipe.place import Place, Shape, Sheet
from umm.recipe.reference import read_model
from umm.recipe.tree import Node, Pair, compose
from umm.recipe.wording import nearest, shown

BASE = "base"
CONTRIBUTIONS = "contributions"

DEFAULT_TEMPLATE = (
    "{merge_method: ties, base_model: base, "
    "models: [{model: contributions, parameters: {weight: 1, density: 0.5}}], parameters: {normalize: true}}"
)
"""What a round merges with when its convener says nothing: TIES, whose output has the base's dtype."""

REFUSED = {
    "seed": "the round gives the seed; remove this one",
    "name": "the result is named by its round; remove this one",
    "slices": "a round merges whole models; list them under models",
    "modules": "a round merges whole models; list them under models",
}
"""Keys of a recipe that a template has no use for, and what to do about each."""


@dataclass(frozen=True)
class Template:
    """A checked template. ``least`` and ``most`` bound how many contributions its method takes."""

    text: str
    recipe: Recipe
    document: Mapping[str, Any]
    least: int
    most: int | None

    @property
    def exact(self) -> bool:
        """Whether everybody gets the same bits; a round with another method needs a tolerance."""
        return METHODS[self.recipe.method].exact

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is accepted and has no effect."""
        return self.recipe.warnings

    @cached_property
    def one_line(self) -> str:
        """The same template on one line of ASCII, as a Round record carries it."""
        return line(self.document)

    @cached_property
    def entries(self) -> Mapping[str, Mapping[str, Any]]:
        """The entries under models, by what they stand for."""
        return {_path(entry["model"]): entry for entry in self.document["models"]}

    def entry(self, domain: str) -> Mapping[str, Any] | None:
        """The entry that covers the contributions of a domain."""
        return self.entries.get(f"{CONTRIBUTIONS}/{domain}") or self.entries.get(CONTRIBUTIONS)


def check_template(text: str, name: str = "recipe") -> Template:
    """The template in ``text``. ``name`` says in errors which file this is."""
    nodes = compose(text, name)
    if len(nodes) != 1:
        at = nodes[1].line if nodes else 1
        raise RecipeError(f"{name}, line {at}: a round's recipe is one document, found {len(nodes)}")
    place = Place(nodes[0], Sheet(name), nodes[0].line)
    _refuse_keys(place)
    keys = place.keys(Shape.RECIPE)
    listed = _check_models(keys["models"]) if "models" in keys else frozenset()
    recipe = read_recipe(replace(place, node=_padded(nodes[0])))
    _check_base(place, keys, recipe)
    _check_tokenizer(keys, recipe)
    method = METHODS[recipe.method]
    own = _bases_among_models(method, listed=BASE in listed)
    low, high = method.experts
    return Template(text, recipe, plain(nodes[0]), max(1, low - own), None if high is None else high - own)


def _refuse_keys(place: Place) -> None:
    if isinstance(place.value, Mapping):
        for key, entry in place.entries().items():
            if key in REFUSED and entry.value is not None:
                entry.fail(REFUSED[key])


def _check_base(place: Place, keys: Mapping[str, Place], recipe: Recipe) -> None:
    if recipe.base is None:
        place.fail(f"base_model is missing; write base_model: {BASE}, which is the round's base")
    if recipe.base != ModelRef(BASE):
        keys["base_model"].fail(f"found {shown(str(recipe.base))}; in a round the base model is {BASE}")


def _check_models(place: Place) -> frozenset[str]:
    """What the entries stand for."""
    lines: dict[str, int] = {}
    for entry in place.items():
        keys = entry.keys(Shape.MODEL)
        path = _placeholder(keys["model"])
        if path in lines:
            entry.fail(f"{path} is already listed on line {lines[path]}")
        if "id" in keys:
            keys["id"].fail("in a round each contribution has an id of its own; remove this one")
        lines[path] = entry.line
    if lines.keys() == {BASE}:
        place.fail(f"nothing here stands for the contributions; add an entry with model: {CONTRIBUTIONS}")
    return frozenset(lines)


def _placeholder(place: Place) -> str:
    """``base``, ``contributions`` or ``contributions/DOMAIN``."""
    reference = read_model(place)
    root, mark, domain = reference.path.partition("/")
    if reference.revision or reference.adapter or root not in (BASE, CONTRIBUTIONS) or (mark and root == BASE):
        _unknown(place, reference)
    if mark:
        try:
            WORD.read(domain, "the domain")
        except MalformedError as error:
            place.fail(f"{error}; write {CONTRIBUTIONS}/DOMAIN with a domain of the round")
    return reference.path


def _unknown(place: Place, reference: ModelRef) -> NoReturn:
    close = nearest(reference.path, (BASE, CONTRIBUTIONS))
    meant = f"; did you mean {close}?" if close else "."
    place.fail(
        f"other nodes do not have the model {shown(str(reference))}{meant} A round's recipe names {BASE}, "
        f"{CONTRIBUTIONS} and {CONTRIBUTIONS}/DOMAIN"
    )


def _check_tokenizer(keys: Mapping[str, Place], recipe: Recipe) -> None:
    place = keys.get("tokenizer") or keys.get("tokenizer_source")
    if place is None or recipe.tokenizer is None:
        return
    if recipe.tokenizer.source != BASE:
        place.fail(f"in a round the vocabulary is the base's; write the source {BASE}, or leave the tokenizer out")
    if any(rule.model for rule in recipe.tokenizer.tokens.values()):
        place.fail(
            "tokens: in a round no model gives single tokens; leave the source of the token out, or use kind: zero"
        )


# -- models that are not known yet -----------------------------------------------------------------------------


def _padded(node: Node) -> Node:
    """The document with stand-ins, so that a method which needs several models does not miss contributions to come."""
    document = node.value if isinstance(node.value, Mapping) else {}
    pair, method = document.get("models"), _method(document)
    if method is None or pair is None or not isinstance(pair.node.value, tuple):
        return node
    paths = [_path_of(item) for item in pair.node.value]
    entries = [i for i, path in zip(pair.node.value, paths, strict=True) if path and path.startswith(CONTRIBUTIONS)]
    missing = method.experts[0] - _bases_among_models(method, listed=BASE in paths) - len(entries)
    if not entries or missing <= 0:
        return node
    more = tuple(_renamed(entries[0], f"{CONTRIBUTIONS} {k + 2}") for k in range(missing))
    models = replace(pair, node=replace(pair.node, value=(*pair.node.value, *more)))
    return replace(node, value={**document, "models": models})


def _method(document: Mapping[str, Pair]) -> Method | None:
    pair = document.get("merge_method")
    value = pair.node.value if pair else None
    return METHODS.get(value) if isinstance(value, str) else None


def _path_of(item: Node) -> str | None:
    pair = item.value.get("model") if isinstance(item.value, Mapping) else None
    return pair.node.value if pair and isinstance(pair.node.value, str) else None


def _renamed(item: Node, path: str) -> Node:
    pairs: dict[str, Pair] = dict(item.value) if isinstance(item.value, Mapping) else {}
    pairs["model"] = replace(pairs["model"], node=replace(pairs["model"].node, value=path))
    return replace(item, value=pairs)


def _bases_among_models(method: Method, *, listed: bool) -> int:
    """How many of the models that the method takes the base is: one where it is a model like any other."""
    return int(method.base is Base.PEER or (method.base is Base.UNUSED and listed))


def _path(model: Any) -> str:
    """What an entry of a checked template stands for, in the short or the long form."""
    while isinstance(model, Mapping):
        model = model.get("path") or model["model"]
    return str(model)
