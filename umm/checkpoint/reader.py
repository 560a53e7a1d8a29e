"""Opening a model folder: headers and JSON only, all checked; values are read later, straight into place.

Values are read with ``preadv`` into the caller's buffer, not through a memory map: that keeps resident memory
to the buffers, makes a truncated file an error instead of a SIGBUS, and was measured to be faster. Each file
stays open from the moment its header was checked, so what is read is what was checked.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Self

from umm.checkpoint.disk import read_exactly
from umm.checkpoint.dtype import Dtype
from umm.checkpoint.folder import MAX_SMALL_FILE_BYTES, ONLY, Folder, listed
from umm.checkpoint.header import MAX_TENSORS, PREFIX_BYTES, Entry, header_size, parse_header
from umm.checkpoint.source import Bytes
from umm.checkpoint.strict import shown
from umm.errors import CheckpointError

MAX_RAW_BYTES = 64 * 2**20
"""Size of a tensor that may be taken whole: masks and counters, never weights."""

BLOCK_BYTES = 4 * 2**20
"""How much ``blocks`` reads at a time."""

INTEGERS = frozenset({"BOOL", "U8", "I8", "U16", "I16", "U32", "I32", "U64", "I64"})


@dataclass(frozen=True)
class StoredTensor:
    """A tensor and the file it lies in; ``start`` is the byte offset there, ``size`` is in bytes.

    ``here`` is false where the folder holds a part of its model and this tensor is a hole.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    start: int
    size: int
    file: Path
    here: bool = True

    def require(self) -> None:
        """Refuse to read a hole: its zeros are nobody's values."""
        if not self.here:
            raise CheckpointError(
                f"{self.file.parent} holds a part of its model, and not {shown(self.name)} (see {ONLY} there); fetch "
                "the whole model, or ask for the tensors that are there"
            )


@dataclass(frozen=True)
class PlainTensor:
    """A :class:`~umm.checkpoint.source.Source` that reads one tensor from its file; thread-safe."""

    name: str
    dtype: Dtype
    shape: tuple[int, ...]
    stored: StoredTensor
    fd: int

    def read(self, start: int, count: int, out: Bytes) -> None:
        """Fill ``out[: count * dtype.width]`` with elements ``start .. start + count`` in row-major order."""
        offset, size = start * self.dtype.width, count * self.dtype.width
        self.stored.require()
        if start < 0 or count < 0 or offset + size > self.stored.size:
            raise ValueError(f"elements {start}..{start + count} lie outside of {self.name}")
        if len(out) < size:
            raise ValueError(f"a buffer of {len(out)} bytes for {size} bytes of {self.name}")
        if size:
            read_exactly(self.fd, out[:size].data, self.stored.start + offset, self.stored.file)


@dataclass(frozen=True)
class Weights:
    """Open weight files. ``tensors`` is sorted by name. Close them, or use them in a ``with`` statement."""

    folder: Path
    tensors: Mapping[str, StoredTensor]
    _files: dict[Path, int]

    @classmethod
    def called(cls, word: str, here: Folder) -> "Weights":
        """The weight files ``<word>.safetensors`` of a folder: headers and index checked, values not looked at."""
        with ExitStack() as undo:
            weights = cls(here.path, *_open(here, here.shards(word), undo))
            undo.pop_all()
        return weights

    def read(self, name: str, start: int, into: memoryview) -> None:
        """Fill ``into`` with a tensor's bytes from its byte ``start`` on, whatever its dtype; thread-safe."""
        stored = self.tensors[name]
        if start < 0 or start + len(into) > stored.size:
            raise ValueError(f"bytes {start}..{start + len(into)} lie outside of {name}")
        read_exactly(self._files[stored.file], into, stored.start + start, stored.file)

    def blocks(self, name: str) -> Iterator[bytearray]:
        """A tensor's bytes in order, a block at a time, whatever its dtype."""
        size = self.tensors[name].size
        for start in range(0, size, BLOCK_BYTES):
            block = bytearray(min(BLOCK_BYTES, size - start))
            self.read(name, start, memoryview(block))
            yield block

    def advise(self, name: str) -> None:
        """Tell the operating system that a tensor is about to be read, where it can be told."""
        stored = self.tensors[name]
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(self._files[stored.file], stored.start, stored.size, os.POSIX_FADV_WILLNEED)

    def close(self) -> None:
        """Close the weight files; sources stop working."""
        while self._files:
            os.close(self._files.popitem()[1])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@dataclass(frozen=True)
class Checkpoint(Weights):
    """An open model folder: its weights, its config, and where its small files are."""

    config: Mapping[str, object]
    _small: Mapping[str, Path]

    @classmethod
    def open(cls, folder: Path) -> "Checkpoint":
        """Check everything that headers, index and config can tell, and keep the weight files open."""
        here = Folder.of(folder)
        shards = here.shards()
        config = here.config()
        with ExitStack() as undo:
            tensors, files = _open(here, shards, undo)
            _refuse_other_floats(tensors, folder)
            checkpoint = cls(folder, tensors, files, config, here.small_files())
            undo.pop_all()
        return checkpoint

    def source(self, name: str) -> PlainTensor:
        """Where a floating-point tensor's values come from; valid until the checkpoint is closed."""
        stored = self.tensors[name]
        dtype = Dtype.from_header(stored.dtype)
        if dtype is None:
            raise CheckpointError(
                f"{self.folder}: tensor {name!r} holds {stored.dtype}, not numbers that can be merged "
                "(BF16, F16 or F32); it can only be copied"
            )
        return PlainTensor(name, dtype, stored.shape, stored, self._files[stored.file])

    def raw(self, name: str) -> bytes:
        """All bytes of a small tensor, of any dtype: masks, counters, position ids."""
        stored = self.tensors[name]
        stored.require()
        if stored.size > MAX_RAW_BYTES:
            raise CheckpointError(
                f"{self.folder}: tensor {name!r} ({stored.dtype}) is {stored.size} bytes long; at most "
                f"{MAX_RAW_BYTES} can be copied whole"
            )
        return b"".join(self.blocks(name))

    def small_files(self) -> Mapping[str, Path]:
        """Tokenizer, generation and preprocessor files that are there, by name, links resolved."""
        return self._small

    def small_file(self, name: str) -> bytes:
        """One of these files, checked again as it is read."""
        return Folder.of(self.folder).read(name, MAX_SMALL_FILE_BYTES)


def _open(
    here: Folder, shards: Mapping[str, frozenset[str] | None], undo: ExitStack
) -> tuple[Mapping[str, StoredTensor], dict[Path, int]]:
    """Every tensor by name, and the open files; ``undo`` closes them."""
    found: dict[str, StoredTensor] = {}
    files: dict[Path, int] = {}
    for shard, expected in shards.items():
        fd, size, path = here.open(shard)
        undo.callback(os.close, fd)
        where = str(here.path / shard)
        entries = _entries(fd, size, path, where)
        _check_against_index(entries, expected, where)
        _add(found, entries, path, where)
        files[path] = fd
    return MappingProxyType(dict(sorted(found.items()))), files


def _entries(fd: int, size: int, path: Path, where: str) -> tuple[Entry, ...]:
    prefix = bytearray(min(PREFIX_BYTES, size))
    read_exactly(fd, memoryview(prefix), 0, path)
    head = bytearray(PREFIX_BYTES + header_size(bytes(prefix), size, where))
    read_exactly(fd, memoryview(head), 0, path)
    return parse_header(bytes(head), size, where)


def _check_against_index(entries: tuple[Entry, ...], expected: frozenset[str] | None, where: str) -> None:
    if expected is None:
        return
    present = {e.name for e in entries}
    if missing := sorted(expected - present):
        raise CheckpointError(f"{where} lacks {listed(missing)}, which the index puts there; fetch it again")
    if extra := sorted(present - expected):
        raise CheckpointError(f"{where} has {listed(extra)} that the index does not put there; fetch it again")


def _add(found: dict[str, StoredTensor], entries: tuple[Entry, ...], file: Path, where: str) -> None:
    only = Folder.of(file.parent).only()
    for e in entries:
        if e.name in found:
            raise CheckpointError(f"{where}: tensor {e.name!r} is also in {found[e.name].file.name}")
        here = only is None or e.name in only
        found[e.name] = StoredTensor(e.name, e.dtype, e.shape, e.start, e.size, file, here)
    if len(found) > MAX_TENSORS:
        raise CheckpointError(f"{where}: the model has more than {MAX_TENSORS} tensors")


def _refuse_other_floats(found: Mapping[str, StoredTensor], folder: Path) -> None:
    refused = [t for t in found.values() if t.dtype not in INTEGERS and Dtype.from_header(t.dtype) is None]
    if refused:
        kinds = ", ".join(sorted({t.dtype for t in refused}))
        names = listed(sorted(t.name for t in refused))
        raise CheckpointError(
            f"{folder} holds {kinds} in {names}; only BF16, F16 and F32 can be merged. Convert it first: "
            "load it in transformers with dtype=torch.bfloat16 and call save_pretrained"
        )
