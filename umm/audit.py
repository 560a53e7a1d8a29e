"""Merging only some tensors of a plan, to compare them with what somebody else published.

A tensor of the output depends on the tensors that go into it and on nothing else of the models, so it has the same
bytes here as in the whole merge, and needs no more than those inputs: the models may be folders in which the values
of all others were left out (``umm.checkpoint.folder.ONLY``). Nothing is written; what is kept are digests.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from umm.checkpoint.layout import OutTensor
from umm.digest import ROOT_FILES, Leaf, file_leaf, leaf
from umm.errors import RecipeError
from umm.field import TILE
from umm.kernels.tile import Backend
from umm.listing import inline
from umm.merge import Progress, run
from umm.plan import Plan
from umm.processors import usable


@dataclass(frozen=True)
class Remade:
    """One tensor as the merge makes it: its leaf in the root, and the digests of its chunks, which make its blob id."""

    tensor: OutTensor
    leaf: bytes
    chunks: tuple[bytes, ...]


def narrowed(plan: Plan, names: Collection[str]) -> Plan:
    """The plan with the steps of these tensors alone; what it says of files and models stays."""
    wanted = frozenset(names)
    if unknown := sorted(wanted - {step.name for step in plan.steps}):
        raise RecipeError(
            f"the merge makes no tensor {inline(unknown)}; it makes the tensors that the model's headers list"
        )
    return replace(plan, steps=tuple(step for step in plan.steps if step.name in wanted))


def needed(plan: Plan) -> Mapping[Path, frozenset[str]]:
    """The tensors of each model's folder that planning and merging these steps reads; adapters are read whole."""
    found: dict[Path, set[str]] = defaultdict(set)
    for step in plan.steps:
        if step.arguments is None:  # a mask or a counter is compared in all models before it is copied
            for model in plan.models:
                found[model.checkpoint.folder].add(step.names[0])
        for model, name in zip(step.models, step.names, strict=True):
            found[model.checkpoint.folder].add(name)
    return {folder: frozenset(names) for folder, names in found.items()}


def remake(
    plan: Plan,
    *,
    backend: Backend,
    threads: int | None = None,
    tile_size: int = TILE,
    progress: Progress = lambda _: None,
) -> Mapping[str, Remade]:
    """Merge every tensor of a plan, by name; the values are hashed and forgotten."""
    sinks = {step.name: _Hashed(step.output) for step in plan.steps}
    run(
        plan.method,
        plan.steps,
        sinks.__getitem__,
        backend=backend,
        threads=threads or usable(),
        tile_size=tile_size,
        progress=progress,
    )
    return {name: sink.remade() for name, sink in sinks.items()}


def file_leaves(plan: Plan) -> Mapping[str, bytes]:
    """The leaves of the files beside the weights that the merge would write."""
    return {name: file_leaf(name, data) for name, data in plan.files.items() if name in ROOT_FILES}


class _Hashed:
    """A sink that keeps no values."""

    def __init__(self, tensor: OutTensor) -> None:
        self._tensor = tensor
        self._leaf: Leaf = leaf(tensor.name, tensor.header_dtype, tensor.shape)

    def write(self, data: memoryview | bytes | bytearray) -> None:
        """Take the next bytes."""
        view = memoryview(data)
        if view.nbytes:
            self._leaf.update(view.cast("B"))

    def finish(self) -> bytes:
        """The leaf's digest."""
        return self._leaf.digest()

    def remade(self) -> Remade:
        """What is kept."""
        return Remade(self._tensor, self._leaf.digest(), self._leaf.chunks())
