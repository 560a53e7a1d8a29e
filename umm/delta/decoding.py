"""A delta on its base as the expert's folder, bit for bit."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from math import prod
from pathlib import Path

from umm.checkpoint.disk import blaming_the_machine, set_aside, write_exactly
from umm.checkpoint.folder import INDEX, Folder
from umm.checkpoint.layout import Layout, OutTensor, Place, lay_out
from umm.checkpoint.output import check_space
from umm.checkpoint.reader import Checkpoint
from umm.checkpoint.writer import DEFAULT_METADATA
from umm.delta import bits
from umm.delta.files import copy, present
from umm.delta.folder import DeltaFolder, PackedTensor
from umm.delta.head import BLOCK, blocks, width
from umm.delta.making import in_the_making
from umm.delta.ordered import in_order
from umm.delta.values import block_bits
from umm.processors import usable

SHARD_BYTES = 5 * 10**9
"""Values in one weight file, as merges have it."""

Progress = Callable[[int], None]
"""Hears how many bytes of the expert were written each time."""


@dataclass(frozen=True)
class _Job:
    """One block of one tensor, and where it goes; ``changes`` is None for a tensor that is the base's."""

    place: Place
    block: int
    changes: PackedTensor | None


def decode(
    base: Path,
    delta: Path,
    out: Path,
    *,
    only: frozenset[str] | None = None,
    threads: int | None = None,
    progress: Progress = lambda _: None,
) -> None:
    """Write the expert that ``delta`` was made of into the new folder ``out``, which appears whole or not at all.

    With ``only``, no values but those tensors' are read or written: the weight files have their headers and their full
    length, with holes in place of the rest. Such a folder is for looking at these tensors, not for loading.
    """
    with Checkpoint.open(base) as old, DeltaFolder.open(delta, old) as changes:
        wanted = old.tensors.keys() if only is None else only
        if strange := wanted - old.tensors.keys():
            raise ValueError(f"{min(strange)} is not a tensor of {base}")
        layout = lay_out(
            [OutTensor(t.name, t.dtype, t.shape) for t in old.tensors.values()], SHARD_BYTES, DEFAULT_METADATA
        )
        packed = {name: changes.packed(name) for name in changes.tensors if name in wanted}
        jobs = (job for name in layout.places if name in wanted for job in _jobs(layout.places[name], packed.get(name)))
        with in_the_making(out) as partial:
            if only is None:
                check_space(partial, layout)
            with _Files(partial, layout, sparse=only is not None) as files:
                with closing(in_order(lambda job: _write(old, job, files), jobs, threads or usable())) as written:
                    for size in written:
                        progress(size)
                files.sync()
            _copy_files(Folder.of(base), changes, partial)


class _Files:
    """The weight files, open at their full length with their headers in place."""

    def __init__(self, partial: Path, layout: Layout, *, sparse: bool) -> None:
        self._partial = partial
        self._fds: dict[str, int] = {}
        self._open = ExitStack()
        with ExitStack() as undo:
            undo.push(self._open)
            if layout.index is not None:
                self._create(INDEX, layout.index, len(layout.index), sparse=sparse)
            for shard in layout.shards:
                self._create(shard.file, shard.head, shard.size, sparse=sparse)
            undo.pop_all()

    def _create(self, name: str, head: bytes, size: int, *, sparse: bool) -> None:
        path = self._partial / name
        with blaming_the_machine("create", path):
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
            self._open.callback(os.close, fd)
            os.ftruncate(fd, size)
        if not sparse:
            set_aside(fd, size, path)
        write_exactly(fd, memoryview(head), 0, path)
        self._fds[name] = fd

    def write(self, data: memoryview, place: Place, offset: int) -> None:
        """Put bytes of a tensor in their place; thread-safe."""
        write_exactly(self._fds[place.file], data, place.start + offset, self._partial / place.file)

    def sync(self) -> None:
        """Wait until everything is on the disk."""
        for name, fd in self._fds.items():
            with blaming_the_machine("sync", self._partial / name):
                os.fsync(fd)

    def __enter__(self) -> "_Files":
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()


def _jobs(place: Place, changes: PackedTensor | None) -> Iterator[_Job]:
    for block in range(blocks(prod(place.tensor.shape))):
        yield _Job(place, block, changes)


def _write(old: Checkpoint, job: _Job, files: _Files) -> int:
    tensor = old.tensors[job.place.tensor.name]
    values = block_bits(old, tensor, job.block)
    change = job.changes.change(job.block) if job.changes else None
    if change is not None:
        values = bits.applied(values, change, tensor.dtype)
    files.write(values.view("u1").data, job.place, job.block * BLOCK * width(tensor.dtype))
    return values.nbytes


def _copy_files(base: Folder, changes: DeltaFolder, partial: Path) -> None:
    """The base's files, each in its place if the delta does not bring another."""
    for name in sorted({*present(base), *changes.files}):
        copy(changes.folder if name in changes.files else base, name, partial / name)
