"""What makes a well-formed recipe impossible to merge, as far as the text alone shows it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from umm.methods import Method
from umm.methods.registry import Base
from umm.recipe.model import Input, ModelRef, Parameters, Recipe
from umm.recipe.place import Place


@dataclass(frozen=True)
class _Group:
    """Models that are merged with one another: all of ``models``, or the sources of one slice."""

    inputs: tuple[Input, ...]
    places: tuple[Place, ...]
    place: Place
    base: ModelRef | None
    weaker: tuple[Parameters, ...]  # the levels below the input's own
    whole: bool  # an unlisted base takes part as a whole model; a slice cannot tell its layers


def check(recipe: Recipe, method: Method, document: Place, body: Place) -> None:
    """Refuse a recipe whose models, base or parameters do not fit the method.

    ``body`` is the place of ``models`` or ``slices`` in the document.
    """
    method_place = document.entries()["merge_method"]
    for group in _groups(recipe, body):
        _check_base(group, method, method_place)
        _check_twice(group)
        _check_lengths(group)
        _check_count(group, method)
        _check_required(group, method, method_place)
    if recipe.slices:
        _check_tables(document, _output_layers(recipe))


def _groups(recipe: Recipe, body: Place) -> Iterator[_Group]:
    weaker = (recipe.module_parameters, recipe.parameters)
    places = tuple(body.items())
    if recipe.inputs:
        yield _Group(recipe.inputs, places, body, recipe.base, weaker, whole=True)
    for piece, place in zip(recipe.slices, places, strict=False):
        sources = place.entries()["sources"]
        base = piece.base or recipe.base
        yield _Group(piece.inputs, tuple(sources.items()), sources, base, (piece.parameters, *weaker), whole=False)


def _check_base(group: _Group, method: Method, method_place: Place) -> None:
    if method.base not in (Base.REQUIRED, Base.ENDPOINT):
        return
    if group.base is None:
        method_place.fail(f"{method.name} needs base_model, the model that the others are compared with")
    if not group.whole and all(i.model != group.base for i in group.inputs):
        group.place.fail(f"the base model {group.base} is missing; list it with the layers to use in this slice")


def _check_twice(group: _Group) -> None:
    seen: dict[tuple[ModelRef, tuple[int, int] | None], int] = {}
    ids: dict[str, int] = {}
    for source, place in zip(group.inputs, group.places, strict=True):
        key = (source.model, source.layers)
        if key in seen:
            place.fail(f"the model {source.model} is already listed on line {seen[key]}")
        seen[key] = source.line
        if source.id in ids:
            place.fail(f"the id {source.id} is already taken on line {ids[source.id]}")
        if source.id is not None:
            ids[source.id] = source.line


def _check_lengths(group: _Group) -> None:
    lengths = [i.layers[1] - i.layers[0] for i in group.inputs if i.layers]
    for place, length in zip(group.places, lengths, strict=False):
        if length != lengths[0]:
            place.fail(f"layer_range has {length} layers, the slice's first source has {lengths[0]}; make them equal")


def _experts(group: _Group, method: Method) -> tuple[tuple[Input, Place], ...]:
    """The inputs that count as models to merge: the base does not, unless it is a model like any other."""
    pairs = tuple(zip(group.inputs, group.places, strict=True))
    if method.base in (Base.UNUSED, Base.PEER):
        return pairs
    return tuple((source, place) for source, place in pairs if source.model != group.base)


def _joins_unlisted(group: _Group, method: Method) -> bool:
    """Whether a base that is named but not listed takes part as one more model."""
    listed = group.base is None or any(i.model == group.base for i in group.inputs)
    return method.base is Base.PEER and group.whole and not listed


def _check_count(group: _Group, method: Method) -> None:
    count = len(_experts(group, method)) + _joins_unlisted(group, method)
    low, high = method.experts
    if low <= count and (high is None or count <= high):
        return
    wanted = f"at least {low}" if high is None else f"exactly {low}" if low == high else f"{low} to {high}"
    beside = "" if group.base is None or method.base in (Base.UNUSED, Base.PEER) else " beside the base"
    noun = "model" if wanted.endswith(" 1") else "models"
    group.place.fail(f"{method.name} takes {wanted} {noun}{beside}, found {count}")


def _check_required(group: _Group, method: Method, method_place: Place) -> None:
    """A required parameter must be set at some level. Whether conditions cover all tensors, the plan sees."""
    for parameter in method.parameters:
        name = parameter.name
        if not parameter.required or any(name in level for level in group.weaker):
            continue
        if parameter.scope == "merge":
            method_place.fail(f"{method.name} needs the parameter {name}; set it under parameters of the recipe")
        for source, place in _experts(group, method):
            if name not in source.parameters:
                place.fail(
                    f"{method.name} needs the parameter {name}, which is not set for {source.model}; "
                    "set it under this model's parameters, or for all under parameters of the recipe"
                )
        if _joins_unlisted(group, method):
            method_place.fail(f"{method.name} needs the parameter {name} for {group.base} too; list it as a model")


def _output_layers(recipe: Recipe) -> int:
    return sum(s.inputs[0].layers[1] - s.inputs[0].layers[0] for s in recipe.slices if s.inputs[0].layers)


def _check_tables(place: Place, layers: int) -> None:
    """Per-layer tables must have one value for each layer of the output."""
    if isinstance(place.value, tuple):
        for item in place.items():
            _check_tables(item, layers)
    elif isinstance(place.value, Mapping):
        for key, entry in place.entries().items():
            if key == "layers" and isinstance(entry.value, tuple) and len(entry.value) != layers:
                entry.fail(f"the table has {len(entry.value)} values, but the slices make {layers} layers")
            _check_tables(entry, layers)
