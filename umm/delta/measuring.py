"""What a steward wants to know of a delta before taking it: how large it is, and whether it brings numbers."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from umm.arithmetic import accumulate
from umm.checkpoint.dtype import Dtype
from umm.checkpoint.reader import Checkpoint
from umm.delta import bits
from umm.delta.folder import DeltaFolder, PackedTensor
from umm.delta.head import block_elements, blocks, width
from umm.delta.norm import NOTHING, Sums, norm, sums
from umm.delta.ordered import in_order
from umm.delta.values import block_bits
from umm.processors import usable

Progress = Callable[[int], None]
"""Hears how many bytes of changed tensors were looked at each time."""


@dataclass(frozen=True)
class Measured:
    """``norms`` has every changed tensor with floats; ``not_finite`` names those that bring NaN or infinity."""

    changed: int
    norm: float
    norms: dict[str, float]
    not_finite: tuple[str, ...]


@dataclass(frozen=True)
class _Job:
    packed: PackedTensor
    block: int


@dataclass(frozen=True)
class _Part:
    packed: PackedTensor
    sums: Sums
    size: int


def measure(base: Path, delta: Path, *, threads: int | None = None, progress: Progress = lambda _: None) -> Measured:
    """Unpack every frame of ``delta``, keeping none, and add up what it changes of ``base``.

    Raises what ``decode`` would raise: after this, it will not find anything wrong.
    """
    squares: dict[str, float] = {}
    not_finite: list[str] = []
    with Checkpoint.open(base) as old, DeltaFolder.open(delta, old) as changes:
        heads = {name: changes.packed(name) for name in changes.tensors}
        jobs = (_Job(p, block) for p in heads.values() for block in range(blocks(p.head.elements)))
        with closing(in_order(lambda job: _part(old, job), jobs, threads or usable())) as parts:
            for name, own in groupby(parts, key=lambda part: part.packed.name):
                total, finite = 0.0, True
                for part in own:
                    (total,) = accumulate([total], part.sums.squares[None])
                    finite = finite and part.sums.finite
                    progress(part.size)
                if Dtype.from_header(old.tensors[name].dtype):
                    squares[name] = total
                if not finite:
                    not_finite.append(name)
    norms = {name: norm({name: square}) for name, square in squares.items()}
    return Measured(len(heads), norm(squares), norms, tuple(not_finite))


def _part(old: Checkpoint, job: _Job) -> _Part:
    tensor = old.tensors[job.packed.name]
    size = width(tensor.dtype) * block_elements(job.packed.head.elements, job.block)
    change = job.packed.change(job.block)
    if change is None:
        return _Part(job.packed, NOTHING, size)
    base = block_bits(old, tensor, job.block)
    return _Part(
        job.packed, sums(base, bits.applied(base, change, tensor.dtype), Dtype.from_header(tensor.dtype)), size
    )
