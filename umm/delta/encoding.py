"""An expert as a delta: what differs from the base, packed."""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np

from umm.arithmetic import accumulate
from umm.checkpoint.dtype import Dtype
from umm.checkpoint.folder import Folder
from umm.checkpoint.reader import Checkpoint, StoredTensor
from umm.checkpoint.strict import shown
from umm.delta import bits
from umm.delta.files import copy, different, present
from umm.delta.folder import DELTA
from umm.delta.frames import pack
from umm.delta.head import blocks, width
from umm.delta.making import in_the_making
from umm.delta.norm import NOTHING, Sums, norm, sums
from umm.delta.ordered import in_order
from umm.delta.packing import DeltaFile
from umm.delta.values import block_bits, elements
from umm.errors import CheckpointError, MismatchError, NotFiniteError
from umm.listing import lines
from umm.processors import usable

Progress = Callable[[int], None]
"""Hears how many bytes of the expert were dealt with each time."""


@dataclass(frozen=True)
class DeltaReport:
    """What was packed. ``norms`` has every changed tensor of floats; ``inherited`` are files that only the base has."""

    changed: int
    unchanged: int
    raw_bytes: int
    packed_bytes: int
    norm: float
    norms: dict[str, float]
    files: tuple[str, ...]
    inherited: tuple[str, ...]


@dataclass(frozen=True)
class _Job:
    tensor: StoredTensor
    block: int


@dataclass(frozen=True)
class _Packed:
    """A block's frames, its sums, and how many bytes of the expert it was."""

    tensor: StoredTensor
    frames: tuple[bytes, ...]
    sums: Sums
    size: int


def encode(
    base: Path, expert: Path, out: Path, *, threads: int | None = None, progress: Progress = lambda _: None
) -> DeltaReport:
    """Write the delta of ``expert`` on ``base`` into the new folder ``out``, which appears whole or not at all.

    Raises a :class:`MismatchError` if the two do not have the same tensors, a :class:`NotFiniteError` if the expert
    brings NaN or infinity, a :class:`CheckpointError` if it is the base.
    """
    with Checkpoint.open(base) as old, Checkpoint.open(expert) as new:
        _check_alike(old, new)
        before, after = Folder.of(base), Folder.of(expert)
        beside = present(after)
        with in_the_making(out) as partial:
            with DeltaFile(partial / f"{DELTA}.safetensors", old.tensors.values()) as file:
                squares = _pack(old, new, file, threads or usable(), progress)
                if not squares:
                    raise CheckpointError(f"every tensor of {expert} is the base's: nothing was learned; train first")
                file.commit()
                packed_bytes = file.size
            files = tuple(name for name in beside if different(after, before, name))
            for name in files:
                copy(after, name, partial / name)
    floats = {name: square for name, square in squares.items() if square is not None}
    return DeltaReport(
        len(squares),
        len(old.tensors) - len(squares),
        sum(tensor.size for tensor in new.tensors.values()),
        packed_bytes,
        norm(floats),
        {name: norm({name: square}) for name, square in floats.items()},
        files,
        tuple(name for name in present(before) if name not in beside),
    )


def _check_alike(old: Checkpoint, new: Checkpoint) -> None:
    """Refuse an expert of another architecture."""
    problems = [f"{shown(name)} is missing" for name in old.tensors if name not in new.tensors]
    for name, tensor in new.tensors.items():
        there = old.tensors.get(name)
        if there is None:
            problems.append(f"{shown(name)} is not in the base")
        elif (tensor.dtype, tensor.shape) != (there.dtype, there.shape):
            problems.append(
                f"{shown(name)} is {tensor.dtype} {list(tensor.shape)}, in the base {there.dtype} {list(there.shape)}"
            )
    if problems:
        raise MismatchError(
            f"{new.folder} does not have the tensors of the base {old.folder}:\n{lines(problems)}\n"
            "A delta needs the same names, dtypes and shapes; save the model in the base's dtype, with all its tensors."
        )


def _pack(
    old: Checkpoint, new: Checkpoint, file: DeltaFile, threads: int, progress: Progress
) -> dict[str, float | None]:
    """Pack every tensor; the sum of squares of those that changed (None where there are no floats)."""
    found: dict[str, float | None] = {}
    with closing(in_order(lambda job: _block(old, new, job), _jobs(new), threads)) as packed:
        for name, parts in groupby(packed, key=lambda part: part.tensor.name):
            tensor, total = new.tensors[name], 0.0
            file.begin(tensor)
            for part in parts:
                if not part.sums.finite:
                    raise NotFiniteError(
                        f"{new.folder}: tensor {shown(name)} has NaN or infinity where the base has other values; "
                        "the training broke down, go back to an earlier checkpoint of it"
                    )
                file.append(part.frames)
                (total,) = accumulate([total], part.sums.squares[None])
                progress(part.size)
            if file.finish():
                found[name] = total if Dtype.from_header(tensor.dtype) else None
    return found


def _jobs(new: Checkpoint) -> Iterator[_Job]:
    for tensor in new.tensors.values():
        for block in range(blocks(elements(tensor))):
            yield _Job(tensor, block)


def _block(old: Checkpoint, new: Checkpoint, job: _Job) -> _Packed:
    tensor = job.tensor
    base = block_bits(old, old.tensors[tensor.name], job.block)
    expert = block_bits(new, tensor, job.block)
    if np.array_equal(base, expert):
        return _Packed(tensor, (b"",) * width(tensor.dtype), NOTHING, expert.nbytes)
    planes = bits.planes(bits.change(base, expert, tensor.dtype))
    stretches = bits.stretches(base, tensor.dtype)
    frames = tuple(pack(plane, stretches) for plane in planes)
    return _Packed(tensor, frames, sums(base, expert, Dtype.from_header(tensor.dtype)), expert.nbytes)
