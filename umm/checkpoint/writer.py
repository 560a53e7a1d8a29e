"""Writing a model folder: streaming, resumable, and visible only when it is whole.

Everything is first written under ``.umm-partial``: files of their final length, filled tensor by tensor in
any order by any number of threads, and a journal of what is done. Only ``commit`` gives files their final
names, after all of them are on the disk, the one that makes the model loadable last. Kill the process at any
moment: the folder holds either no loadable model or the whole one, and the same work begun again goes on
where it was.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from types import MappingProxyType, TracebackType

from umm.checkpoint.disk import (
    Writeback,
    blaming_the_machine,
    hold,
    read_exactly,
    set_aside,
    sync_folder,
    write_exactly,
)
from umm.checkpoint.folder import INDEX, PARTIAL
from umm.checkpoint.journal import Journal, journalled_leaves
from umm.checkpoint.layout import OutTensor, Place, json_bytes, lay_out
from umm.checkpoint.output import (
    JOURNAL,
    RECEIPT,
    check_space,
    discard,
    identity,
    may_resume,
    publish,
    remove_if_empty,
    take_back,
)
from umm.digest import HASHING_THREADS, ROOT_FILES, file_leaf, leaf, root

__all__ = ["OutTensor", "TensorSink", "Writer"]

RECEIPT_VERSION = 1

HASH_BLOCK_BYTES = 4 * 2**20
"""How much is read at a time when unfinished output is checked."""

DEFAULT_METADATA: Mapping[str, str] = MappingProxyType({"format": "pt"})
"""What transformers wants to see in a header before it loads the file."""

NOTHING: Mapping[str, object] = MappingProxyType({})


class TensorSink:
    """Takes one tensor's bytes in order. One thread at a time; any number of sinks side by side."""

    def __init__(
        self, place: Place, fd: int, path: Path, writeback: Writeback, finished: Callable[[str, bytes], None]
    ) -> None:
        self._tensor, self._start = place.tensor, place.start
        self._fd, self._path = fd, path
        self._writeback, self._finished = writeback, finished
        self._leaf = leaf(place.tensor.name, place.tensor.header_dtype, place.tensor.shape)
        self._written = 0

    def write(self, data: memoryview | bytes | bytearray) -> None:
        """Append bytes; they go to their place on disk and into the digest, both outside of any lock."""
        view = memoryview(data)
        if view.nbytes == 0:
            return
        view = view.cast("B")
        if self._written + view.nbytes > self._tensor.size:
            raise ValueError(f"more than the {self._tensor.size} bytes of {self._tensor.name}")
        offset = self._start + self._written
        write_exactly(self._fd, view, offset, self._path)
        self._leaf.update(view)
        self._written += view.nbytes
        self._writeback.wrote(offset, view.nbytes)

    def finish(self) -> bytes:
        """The leaf digest, noted in the journal."""
        if self._written != self._tensor.size:
            raise ValueError(f"{self._written} of the {self._tensor.size} bytes of {self._tensor.name}")
        digest = self._leaf.digest()
        self._finished(self._tensor.name, digest)
        return digest


class Writer:
    """One output folder in the making.

    ``fingerprint`` says what is being written: recipe and inputs. Unfinished work of the same fingerprint is
    continued (``done`` holds the tensors whose bytes were found whole). A folder with anything else in it is
    refused unless ``force`` allows replacing the model there, which happens at ``commit``.
    """

    done: Mapping[str, bytes]

    def __init__(
        self,
        folder: Path,
        tensors: Sequence[OutTensor],
        *,
        shard_bytes: int,
        fingerprint: str,
        metadata: Mapping[str, str] = DEFAULT_METADATA,
        force: bool = False,
    ) -> None:
        self.folder = folder
        self._layout = lay_out(tensors, shard_bytes, metadata)
        self._partial = folder / PARTIAL
        self._held: list[int] = []
        self._fds: dict[str, int] = {}
        with ExitStack() as undo:
            undo.callback(self.close)
            with blaming_the_machine("create", folder):
                fresh = not folder.exists()
                folder.mkdir(parents=True, exist_ok=True)
            if fresh:
                undo.callback(remove_if_empty, folder)
            self._held.append(hold(folder))
            work = identity(fingerprint, self._layout)
            resuming = may_resume(folder, work, force=force)
            if not resuming:
                discard(self._partial)
                undo.callback(discard, self._partial)
            self._prepare(resuming=resuming)
            self._journal = Journal(self._partial / JOURNAL, work)
            self._held.append(self._journal.fd)
            self.done = MappingProxyType(self._verified())
            undo.pop_all()
        self._writeback = {name: Writeback(fd) for name, fd in self._fds.items()}
        self._leaves = dict(self.done)

    def begin(self, name: str) -> TensorSink:
        """Start a tensor that is not ``done``."""
        if name in self._leaves:
            raise ValueError(f"{name} is written already")
        place = self._layout.places[name]
        fd, writeback = self._fds[place.file], self._writeback[place.file]
        return TensorSink(place, fd, self._partial / place.file, writeback, self._finished)

    def root(self, files: Mapping[str, bytes]) -> bytes:
        """The root that ``commit`` will return for these files; a card may name it, being no part of it."""
        return root(self._leaves, _file_leaves(files))

    def commit(self, files: Mapping[str, bytes], about: Mapping[str, object] = NOTHING) -> bytes:
        """Write the small files and ``umm.json``, make everything durable, publish it; returns the root.

        ``about`` is kept in ``umm.json`` as it is: the recipe's digest and whatever else the caller vouches
        for.
        """
        if missing := self._layout.places.keys() - self._leaves.keys():
            raise ValueError(f"{len(missing)} tensors are not finished, {min(missing)} among them")
        for name in files:
            _check_small_name(name)
        digest = self.root(files)
        small = {**files, RECEIPT: self._receipt(files, digest, about)}
        if self._layout.index is not None:
            small[INDEX] = self._layout.index
        for name, data in small.items():
            _write_small(self._partial, name, data)
        for file, fd in self._fds.items():
            with blaming_the_machine("sync", self._partial / file):
                os.fsync(fd)
        sync_folder(self._partial)
        publish(self.folder, [*small, *self._fds], self._layout.last)
        self.close()
        return digest

    def abandon(self) -> None:
        """Give up: remove the unfinished work, and the folder if nothing else is in it."""
        discard(self._partial)
        self.close()
        remove_if_empty(self.folder)

    def close(self) -> None:
        """Let go of the folder; unfinished work stays, to be resumed."""
        for fd in (*self._held, *self._fds.values()):
            os.close(fd)
        self._held, self._fds = [], {}

    def __enter__(self) -> "Writer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _prepare(self, *, resuming: bool) -> None:
        """Open every file at its full length, with its header in place."""
        if resuming:
            take_back(self.folder, self._layout)
        check_space(self.folder, self._layout)
        with blaming_the_machine("create", self._partial):
            self._partial.mkdir(exist_ok=True)
        for shard in self._layout.shards:
            path = self._partial / shard.file
            with blaming_the_machine("create", path):
                self._fds[shard.file] = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            set_aside(self._fds[shard.file], shard.size, path)
            write_exactly(self._fds[shard.file], memoryview(shard.head), 0, path)

    def _verified(self) -> dict[str, bytes]:
        """Journalled tensors whose bytes on disk still have the journalled digest."""
        claimed = {n: d for n, d in journalled_leaves(self._journal.path).items() if n in self._layout.places}
        with ThreadPoolExecutor(HASHING_THREADS) as pool:
            found = pool.map(self._leaf_on_disk, claimed)
            return {n: digest for (n, digest), here in zip(claimed.items(), found, strict=True) if here == digest}

    def _leaf_on_disk(self, name: str) -> bytes:
        place = self._layout.places[name]
        made = leaf(name, place.tensor.header_dtype, place.tensor.shape)
        end = place.start + place.tensor.size
        for at in range(place.start, end, HASH_BLOCK_BYTES):
            block = bytearray(min(HASH_BLOCK_BYTES, end - at))
            read_exactly(self._fds[place.file], memoryview(block), at, self._partial / place.file)
            made.update(block)
        return made.digest()

    def _finished(self, name: str, digest: bytes) -> None:
        self._journal.add(name, digest)
        self._leaves[name] = digest

    def _receipt(self, files: Mapping[str, bytes], digest: bytes, about: Mapping[str, object]) -> bytes:
        return json_bytes(
            {
                "version": RECEIPT_VERSION,
                "root": digest.hex(),
                "tensors": {name: d.hex() for name, d in self._leaves.items()},
                "files": {name: d.hex() for name, d in _file_leaves(files).items()},
                "about": dict(about),
            }
        )


def _file_leaves(files: Mapping[str, bytes]) -> dict[str, bytes]:
    return {name: file_leaf(name, data) for name, data in files.items() if name in ROOT_FILES}


def _check_small_name(name: str) -> None:
    if (
        Path(name).name != name
        or name.startswith(".")
        or name.endswith(".safetensors")
        or name in (JOURNAL, RECEIPT, INDEX)
    ):
        raise ValueError(f"{name!r} is not a name for a small file")


def _write_small(partial: Path, name: str, data: bytes) -> None:
    with blaming_the_machine("write", partial / name), (partial / name).open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
