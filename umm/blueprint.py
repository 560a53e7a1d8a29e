"""What a merged model's config demands of its tensors: those that the config's owner, the donor, has itself.

With slices, layers come in any number and order, so a tensor in a layer is held against the donor's tensors of the same
name in any of its layers. Slices under the config of another architecture or size would make a folder that nothing
loads.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from umm.assembly import Ties
from umm.checkpoint.layers import Stack, split
from umm.errors import MismatchError
from umm.listing import inline
from umm.model import Model

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Blueprint:
    """The donor's shapes by name; if there is a ``stack``, its layers count as one, written with a ``*``."""

    donor: Model
    shapes: Mapping[str, frozenset[Shape]]
    stack: Stack | None = None

    @classmethod
    def of(cls, donor: Model, ties: Ties, stack: Stack | None = None) -> "Blueprint":
        """The blueprint that a donor gives; ``stack`` is the one whose layers the recipe rearranges."""
        found: dict[str, set[Shape]] = defaultdict(set)
        for name in ties.names(donor):
            found[_key(name, stack)].add(donor.shapes[ties.stored(donor, name)])
        return cls(donor, {key: frozenset(shapes) for key, shapes in found.items()}, stack)

    def allowed(self, name: str) -> frozenset[Shape]:
        """The shapes that an output tensor may have; none if the donor has nothing like it."""
        return self.shapes.get(_key(name, self.stack), frozenset())


def refuse_other_names(names: Sequence[str], donor: Model, ties: Ties, stack: Stack) -> None:
    """Refuse slices that have tensors the donor has nowhere, or lack what it has outside of layers or in each layer."""
    ours, theirs = _Outline.of(names, stack), _Outline.of(ties.names(donor), stack)
    lacking = {
        str(donor.ref): ours.everything - theirs.everything,
        "the slices": theirs.required - ours.required,
    }
    if any(lacking.values()):
        listed = [f"  missing in {where}: {inline(sorted(keys))}" for where, keys in lacking.items() if keys]
        raise MismatchError(
            f"the slices do not have the tensors of {donor.ref}, whose config the merged model gets:\n"
            + "\n".join(listed)
            + "\nName a base_model of the same architecture as the sources."
        )


@dataclass(frozen=True)
class _Outline:
    """Which tensors a model has anywhere, and which it has outside of layers or in every layer."""

    everything: frozenset[str]
    required: frozenset[str]

    @classmethod
    def of(cls, names: Iterable[str], stack: Stack) -> "_Outline":
        outside: set[str] = set()
        layers: dict[int, set[str]] = defaultdict(set)
        for name in names:
            layer = stack.layer(name)
            (outside if layer is None else layers[layer]).add(_key(name, stack))
        inside = list(layers.values())
        return cls(frozenset(outside.union(*inside)), frozenset(outside.union(set.intersection(*inside or [set()]))))


def _key(name: str, stack: Stack | None) -> str:
    found = split(name)
    if stack is None or found is None or found.stack != stack.prefix:
        return name
    return f"{found.stack}.*.{found.suffix}"
