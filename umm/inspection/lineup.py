"""Which tensors of base and experts stand beside each other, from names and shapes alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

from umm.checkpoint.layers import Stack
from umm.errors import MismatchError
from umm.inspection.kind import Kind, kind_of
from umm.listing import lines

Shape = tuple[int, ...]
Shapes = Mapping[str, Shape]


@dataclass(frozen=True)
class Subject:
    """One tensor to look at. ``shape`` is what all models have of it, cut to the smallest vocabulary.

    ``layer`` is None for what belongs to no layer, and for the layers of a second tower.
    """

    name: str
    layer: int | None
    kind: Kind
    shape: Shape

    @property
    def count(self) -> int:
        """How many values that is."""
        return prod(self.shape)


@dataclass(frozen=True)
class Vocabulary:
    """A tensor whose number of rows differs: ``base`` rows there, ``experts`` rows in each expert."""

    tensor: str
    base: int
    experts: tuple[int, ...]


@dataclass(frozen=True)
class Lineup:
    """What can be compared, and what had to be left out or cut for it."""

    subjects: tuple[Subject, ...]
    vocabularies: tuple[Vocabulary, ...] = ()
    tied: tuple[str, ...] = ()  # output heads that only some of the models store


def line_up(base: Shapes, experts: Mapping[str, Shapes], stack: Stack | None) -> Lineup:
    """Pair the tensors of all models, or raise a MismatchError that lists every tensor that has no equal.

    Two differences are no error, because merging has an answer to them: a different number of embedding rows
    (compared row by row as far as all models reach), and an output head stored by some and tied by others.
    """
    subjects, vocabularies, tied, faults = [], [], [], []
    names = dict.fromkeys([*base, *(name for shapes in experts.values() for name in shapes)])
    for name in names:
        kind, layer = kind_of(name), stack.layer(name) if stack else None
        shapes = [base.get(name), *(model.get(name) for model in experts.values())]
        present = [shape for shape in shapes if shape is not None]
        if len(present) < len(shapes):
            if kind is Kind.HEAD:
                tied.append(name)
            else:
                faults.append(_missing(name, name in base, experts))
        elif len(set(present)) == 1:
            subjects.append(Subject(name, layer, kind, present[0]))
        elif kind in (Kind.EMBEDDING, Kind.HEAD) and _differ_in_rows(present):
            rows = [shape[0] for shape in present]
            subjects.append(Subject(name, layer, kind, (min(rows), *present[0][1:])))
            vocabularies.append(Vocabulary(name, rows[0], tuple(rows[1:])))
        else:
            faults.append(_shapes(name, present[0], dict(zip(experts, present[1:], strict=True))))
    if faults:
        raise MismatchError(_message(faults))
    subjects.sort(key=lambda s: (s.layer is None, s.layer or 0, s.name))
    return Lineup(tuple(subjects), tuple(vocabularies), tuple(tied))


def _differ_in_rows(shapes: list[Shape]) -> bool:
    return all(len(shape) == 2 for shape in shapes) and len({shape[1] for shape in shapes}) == 1


def _missing(name: str, in_base: bool, experts: Mapping[str, Shapes]) -> str:
    holders = [label for label, model in experts.items() if name in model]
    if in_base:
        return f"{name}: missing in {', '.join(label for label in experts if label not in holders)}"
    return f"{name}: in {', '.join(holders)} but not in the base"


def _shapes(name: str, base: Shape, experts: Mapping[str, Shape]) -> str:
    other = ", ".join(f"{list(shape)} in {label}" for label, shape in experts.items() if shape != base)
    return f"{name}: {list(base)} in the base, {other}"


def _message(faults: list[str]) -> str:
    return (
        f"{len(faults)} tensors of base and experts do not line up:\n{lines(faults)}\n"
        "Only models with the architecture of the base can be compared with it; check the folders."
    )
