"""Which tensors the output has, and which tensor of which model goes into each: told from names alone."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from umm.checkpoint.ends import stands_before
from umm.checkpoint.layers import Stack, main_stack, split
from umm.checkpoint.tied import tied
from umm.errors import MismatchError, RecipeError
from umm.listing import inline
from umm.model import Model, Models
from umm.recipe.model import Input, ModelRef, Parameters, Recipe, Slice

Origins = tuple[tuple[Mapping[str, object], int], ...]
"""For every output layer, the config of a model and the layer of it that this one came from."""


@dataclass(frozen=True)
class Place:
    """Where in the model an output tensor stands, and which tensor of which input goes into it.

    ``t`` runs from 0 to 1 over the layers of a slice, ``depth`` over those of the output; both are 0 outside
    of layers. ``layer`` is the index in the output's main stack.
    """

    name: str
    inputs: tuple[tuple[Input, str], ...]
    t: float = 0.0
    layer: int | None = None
    depth: float = 0.0
    slice_parameters: Parameters = field(default_factory=dict)
    base: ModelRef | None = None


@dataclass(frozen=True)
class Ties:
    """Which name stands for which where embedding and head are one tensor."""

    dropped: str | None = None
    lent: Mapping[ModelRef, tuple[str, str]] = field(default_factory=dict)
    output_tied: bool | None = None

    @classmethod
    def of(cls, recipe: Recipe, models: Models, donor: Model) -> "Ties":
        """How the models of a recipe share embedding and head, and whether the output does."""
        opened = [models[ref] for ref in recipe.models()]
        tie = tied([(m.config, m.shapes) for m in opened])
        if tie is None:
            return cls()
        if tie.everywhere:
            return cls(dropped=tie.head, output_tied=True if tie.head in donor.shapes else None)
        lent = {opened[i].ref: (tie.head, tie.embedding) for i in tie.borrowers}
        return cls(lent=lent, output_tied=False)

    def names(self, model: Model) -> set[str]:
        """The tensors that a model brings, a shared head counted as its own where others have one."""
        own = {name for name in model.shapes if name != self.dropped}
        return own | ({self.lent[model.ref][0]} if model.ref in self.lent else set())

    def stored(self, model: Model, name: str) -> str:
        """Under which name a model stores a tensor."""
        head, embedding = self.lent.get(model.ref, ("", ""))
        return embedding if name == head else name


def whole(inputs: Sequence[Input], recipe: Recipe, models: Models, donor: Model, ties: Ties) -> list[Place]:
    """Every tensor of models that are merged whole; ``donor`` gives the config, so it must have them too."""
    first = models[inputs[0].model]
    names = {m.ref: ties.names(m) for m in (*(models[i.model] for i in inputs), donor)}
    _refuse_missing({str(ref): own for ref, own in names.items()})
    counts: dict[str, int] = {}
    for found in map(split, names[first.ref]):
        if found:
            counts[found.stack] = max(counts.get(found.stack, 0), found.index + 1)
    main = main_stack(names[first.ref], first.config)
    places = []
    for name in sorted(names[first.ref]):
        sources = tuple((i, name) for i in inputs)
        if found := split(name):
            count = counts[found.stack]
            layer = found.index if main and found.stack == main.prefix else None
            depth = found.index / max(1, count - 1)
            places.append(Place(name, sources, _fraction(found.index, count), layer, depth, base=recipe.base))
        else:
            places.append(Place(name, sources, base=recipe.base))
    return places


def sliced(recipe: Recipe, models: Models, ties: Ties) -> tuple[list[Place], Origins]:
    """Every tensor of a model put together from layer ranges, and where each output layer came from."""
    stacks = {m: _Layers.of(models[m]) for m in dict.fromkeys(i.model for s in recipe.slices for i in s.inputs)}
    places: list[Place] = []
    origins: list[tuple[Mapping[str, object], int]] = []
    total = sum(_length(s) for s in recipe.slices)
    for piece in recipe.slices:
        _check_ranges(piece, stacks)
        for offset in range(_length(piece)):
            first, out = piece.inputs[0], len(origins)
            places += _layer(piece, offset, (out, total), stacks, recipe.base)
            origins.append((models[first.model].config, _start(first) + offset))
    places += _outside_layers(recipe, models, stacks, ties)
    return places, tuple(origins)


def _fraction(index: int, count: int) -> float:
    """Where between the ends of a gradient a layer stands; the only layer of a slice stands at its end."""
    return index / (count - 1) if count > 1 else 1.0


def _refuse_missing(names: Mapping[str, set[str]]) -> None:
    everything = set().union(*names.values())
    lacking = {model: sorted(everything - own) for model, own in names.items() if everything - own}
    if lacking:
        lines = [f"  {model} lacks {len(missing)}: {inline(missing)}" for model, missing in lacking.items()]
        raise MismatchError(
            "the models do not have the same tensors, so they cannot be merged:\n"
            + "\n".join(lines)
            + "\nMerge models of one architecture and depth; adapters are written base+adapter."
        )


def _start(source: Input) -> int:
    return source.layers[0] if source.layers else 0


def _length(piece: Slice) -> int:
    start, end = piece.inputs[0].layers or (0, 0)
    return end - start


def stack_of(model: Model) -> Stack:
    """The layers of a model that is to be cut into slices."""
    stack = main_stack(model.shapes, model.config)
    if stack is None:
        raise MismatchError(f"{model.ref} has no numbered layers, so it cannot be cut into slices")
    return stack


@dataclass(frozen=True)
class _Layers:
    """A model's stack, and the tensors of each of its layers by what follows the layer's number in their names."""

    stack: Stack
    tensors: Mapping[int, Mapping[str, str]]

    @classmethod
    def of(cls, model: Model) -> "_Layers":
        stack = stack_of(model)
        tensors: dict[int, dict[str, str]] = defaultdict(dict)
        for name in model.shapes:
            found = split(name)
            if found and found.stack == stack.prefix:
                tensors[found.index][found.suffix] = name
        return cls(stack, dict(tensors))


def _check_ranges(piece: Slice, stacks: Mapping[ModelRef, _Layers]) -> None:
    for source in piece.inputs:
        end, count = (source.layers or (0, 0))[1], stacks[source.model].stack.count
        if end > count:
            raise RecipeError(
                f"line {source.line}: layer_range: {source.model} has {count} layers (0 to {count - 1}), "
                f"so a range must end at {count} at most, not {end}"
            )


def _layer(
    piece: Slice,
    offset: int,
    out: tuple[int, int],
    stacks: Mapping[ModelRef, _Layers],
    base: ModelRef | None,
) -> Iterator[Place]:
    """The tensors of one output layer; ``out`` is its index and how many there are."""
    members = [(i, stacks[i.model].tensors.get(_start(i) + offset, {})) for i in piece.inputs]
    _refuse_missing({f"{i.model} (layer {_start(i) + offset})": set(named) for i, named in members})
    t, depth = _fraction(offset, _length(piece)), out[0] / max(1, out[1] - 1)
    for suffix, name in sorted(members[0][1].items()):
        yield Place(
            stacks[piece.inputs[0].model].stack.rename(name, out[0]),
            tuple((i, named[suffix]) for i, named in members),
            t,
            out[0],
            depth,
            piece.parameters,
            piece.base or base,
        )


def _outside_layers(recipe: Recipe, models: Models, stacks: Mapping[ModelRef, _Layers], ties: Ties) -> Iterator[Place]:
    """Embeddings come from the first slice's models, everything else outside layers from the last one's."""
    for piece, before in ((recipe.slices[0], True), (recipe.slices[-1], False)):
        outside = {}
        for source in piece.inputs:
            names = ties.names(models[source.model])
            own = {n for n in names if stacks[source.model].stack.layer(n) is None}
            outside[str(source.model)] = {n for n in own if stands_before(n) is before}
        _refuse_missing(outside)
        for name in sorted(next(iter(outside.values()))):
            sources = tuple((i, name) for i in piece.inputs)
            yield Place(name, sources, slice_parameters=piece.parameters, base=piece.base or recipe.base)
