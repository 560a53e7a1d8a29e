"""Blobs on this machine's disk: verified on the way in and on the way out, counted to the byte, safe to kill.

A blob is opened with its chunk list and then filled with chunks in any order, by any number of threads. Below the
store's folder lie ``blobs/ab/<id>``, one file a blob (``blobfile``), and ``pins`` (``pins``). Rules:

1. A chunk is verified before anything of it touches the disk, and again whenever it is read.
2. A chunk that ``put_chunk`` has returned for is there after the process is killed at any moment. (After a failure of
   power, of what was not flushed some may be missing again, pins too; nothing wrong is ever believed.)
3. The same blob is kept once, however many checkpoints it is a part of.
4. The files of all blobs together never exceed the quota: room is made when a blob is opened, for all of it, by
   evicting unpinned blobs used longest ago. A pinned blob is never evicted. Pin what you fill before you open it.
5. A rotten chunk is missing again, a blob with a rotten list is gone, and whoever was reading is told. Nothing else
   is lost.
6. One process at a time has a store open.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import RLock

from protocol.blobs import blobfile, pins
from protocol.blobs.blobfile import BlobFile
from protocol.blobs.chunks import CHUNK_BYTES, DIGEST_BYTES, ChunkList
from protocol.blobs.disk import blaming_the_machine, hold, make_folder, sync_all
from protocol.blobs.list_cache import ListCache
from protocol.blobs.quota import Quota
from protocol.blobs.source import DiskSource, StoreDamage
from protocol.errors import EnvironmentFault, ForgedError, PeerError, UsageError

LOCAL = "local"
"""Who pins a blob when nobody is named."""

OPEN = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW


class Store(DiskSource):
    """The blobs under one folder, with at most ``quota_bytes`` of files."""

    def __init__(self, folder: Path, quota_bytes: int) -> None:
        super().__init__()
        self.folder = folder
        self._blobs, self._partial, self._pins = folder / "blobs", folder / "partial", folder / "pins"
        self._quota = Quota(quota_bytes)
        self._lists = ListCache()
        self._unflushed: set[Path] = set()
        self._lock = RLock()
        self._held = ExitStack()
        with ExitStack() as undo, blaming_the_machine("open the store", folder):
            for path in (folder, self._blobs, self._partial, self._pins):
                make_folder(path)
            busy = f"another process uses the store {folder}; stop it or choose another folder"
            self._held.callback(os.close, hold(folder, busy))
            undo.callback(self._held.close)
            self._take_stock()
            undo.pop_all()

    # -- filling ---------------------------------------------------------------------------------------------------

    def open(self, chunks: ChunkList, holder: str | None = None) -> None:
        """Make room for a blob, so that its chunks can be put; one that is here already stays as it is.

        ``holder`` pins it first. Raises an :class:`EnvironmentFault` when there is no room.
        """
        if holder is not None:
            self.pin(chunks.id, holder)
        with self._lock, blaming_the_machine("create a blob in", self.folder):
            if self._is_sound(chunks.id):
                self._quota.touch(chunks.id)
                return
            size = blobfile.file_bytes(chunks.size)
            for victim in self._quota.victims(size):
                self._remove(victim)
            self._create(chunks)
            self._quota.add(chunks.id, size)
            self._unflushed.add(self._path(chunks.id))
            self._lists.add(chunks)

    def put_chunk(self, blob_id: bytes, index: int, data: bytes | bytearray | memoryview) -> None:
        """Keep a chunk of an open blob. Raises a :class:`ForgedError`, with nothing written, if it is not that one."""
        with self._file(blob_id) as file:
            if file is None:
                raise UsageError(f"blob {blob_id.hex()} is not open; it may have been evicted, so pin it, then open it")
            file.chunks.check(index, data)
            if file.has(index):
                return
            with blaming_the_machine("write", self._path(blob_id)):
                file.write(index, data)
                with self._lock:
                    self._finish(blob_id, file, index)

    def put(self, data: bytes, holder: str | None = None) -> ChunkList:
        """Keep a whole blob that is at hand, a manifest for example."""
        chunks = ChunkList.of(data)
        self.open(chunks, holder)
        for index in range(len(chunks.digests)):
            self.put_chunk(chunks.id, index, memoryview(data)[index * CHUNK_BYTES :][: chunks.chunk_length(index)])
        return chunks

    def flush(self) -> None:
        """Make every chunk that was put and every pin that was set or dropped until now outlive a failure of power."""
        with self._lock:
            paths, self._unflushed = self._unflushed, set()
        try:
            with blaming_the_machine("flush", self.folder):  # a file before the names that lead to it
                sync_all([*paths, *{path.parent for path in paths}, self._blobs])
        except EnvironmentFault:
            with self._lock:
                self._unflushed |= paths
            raise

    # -- asking ----------------------------------------------------------------------------------------------------

    def __contains__(self, blob_id: bytes) -> bool:
        with self._lock:
            return blob_id in self._quota

    def missing(self, blob_id: bytes) -> tuple[range, ...]:
        """The chunks of an open blob that are still to be put; empty when it is complete."""
        with self._file(blob_id) as file:
            if file is None:
                raise UsageError(f"blob {blob_id.hex()} is not open in the store {self.folder}")
            return file.gaps()

    def find(self, blob_id: bytes) -> ChunkList | None:
        """The blob's chunks, whether or not all of them are here; None if the blob is not open."""
        with self._file(blob_id) as file:
            return None if file is None else file.chunks

    def read(self, blob_id: bytes, index: int) -> bytes | None:
        """A verified chunk; None if it is missing. Raises :class:`StoreDamage` once if it has rotted."""
        with self._file(blob_id) as file, blaming_the_machine("read", self._path(blob_id)):
            if file is None or not 0 <= index < len(file.chunks.digests):
                return None
            data = _genuine(file, index)
            if data is None and file.has(index):
                with self._lock:  # a writer may have mended it meanwhile, so look again before forgetting it
                    data = self._genuine_or_forgotten(blob_id, file, index)
            if data is not None:
                os.utime(file.fd)  # the order of last use, for the next process
                with self._lock:
                    self._quota.touch(blob_id)
            return data

    @property
    def used_bytes(self) -> int:
        """Bytes of the files of all blobs."""
        return self._quota.used

    @property
    def pinned_bytes(self) -> int:
        """Bytes of those that are pinned."""
        return self._quota.pinned

    # -- keeping ---------------------------------------------------------------------------------------------------

    def pin(self, blob_id: bytes, holder: str = LOCAL) -> None:
        """Never evict this blob, whether it is here yet or not, until ``holder`` unpins it; outlives the process."""
        pins.check_holder(holder)
        with self._lock, blaming_the_machine("write a pin in", self._pins):
            pins.add(self._pins, blob_id, holder)
            self._unflushed.add(self._pins / holder)
            self._quota.pin(blob_id, holder)

    def unpin(self, blob_id: bytes, holder: str = LOCAL) -> None:
        """``holder`` needs it no more."""
        pins.check_holder(holder)
        with self._lock, blaming_the_machine("remove a pin in", self._pins):
            pins.drop(self._pins, blob_id, holder)
            self._unflushed.add(self._pins / holder)
            self._quota.unpin(blob_id, holder)

    def release(self, holder: str) -> None:
        """``holder`` needs nothing any more."""
        with self._lock:
            for blob_id in self._quota.held_by(holder):
                self.unpin(blob_id, holder)

    def close(self) -> None:
        """Wait for what is in progress and let other processes have the store."""
        super().close()
        self._held.close()

    # -- within ----------------------------------------------------------------------------------------------------

    def _path(self, blob_id: bytes) -> Path:
        name = blob_id.hex()
        return self._blobs / name[:2] / name

    def _take_stock(self) -> None:
        """Count what is on the disk, from the file used longest ago to the one used last, and keep the quota."""
        for leftover in self._partial.iterdir():
            leftover.unlink()
        found = [
            (status.st_mtime_ns, entry.name, status.st_size)
            for shelf in self._blobs.iterdir()
            if shelf.is_dir()
            for entry in os.scandir(shelf)
            if pins.BLOB_NAME.fullmatch(entry.name) and entry.name.startswith(shelf.name)
            for status in [entry.stat(follow_symlinks=False)]
        ]
        for _, name, size in sorted(found):
            self._quota.add(bytes.fromhex(name), size)
        for blob_id, holder in pins.load(self._pins):
            self._quota.pin(blob_id, holder)
        for victim in self._quota.surplus():
            self._remove(victim)

    def _create(self, chunks: ChunkList) -> None:
        partial, path = self._partial / chunks.id.hex(), self._path(chunks.id)
        try:
            path.parent.mkdir(mode=0o700, exist_ok=True)
            blobfile.create(partial, chunks)
            partial.replace(path)
        except OSError:
            partial.unlink(missing_ok=True)
            raise

    def _remove(self, blob_id: bytes) -> None:
        self._path(blob_id).unlink(missing_ok=True)
        self._lists.drop(blob_id)
        self._unflushed.discard(self._path(blob_id))
        self._quota.remove(blob_id)

    def _finish(self, blob_id: bytes, file: BlobFile, index: int) -> None:
        if file.removed():
            raise UsageError(f"blob {blob_id.hex()} was evicted while it was filled; pin it, then open it again")
        file.mark(index)
        self._unflushed.add(self._path(blob_id))
        self._quota.touch(blob_id)

    def _is_sound(self, blob_id: bytes) -> bool:
        try:
            return self.find(blob_id) is not None
        except StoreDamage:
            return False  # it is gone and is about to be made anew

    @contextmanager
    def _file(self, blob_id: bytes) -> Iterator[BlobFile | None]:
        """The blob's file for a moment, its list verified; None if there is no such blob."""
        fd = self._open(self._path(blob_id)) if len(blob_id) == DIGEST_BYTES else None
        if fd is None:
            self._miss(blob_id)
            yield None
            return
        try:
            yield BlobFile(fd, self._lists.get(blob_id) or self._read_list(fd, blob_id))
        finally:
            os.close(fd)

    def _open(self, path: Path) -> int | None:
        with blaming_the_machine("open", path):
            try:
                return os.open(path, OPEN)
            except FileNotFoundError:
                return None

    def _miss(self, blob_id: bytes) -> None:
        """A file that somebody else took away is not counted any longer."""
        with self._lock:
            if blob_id in self._quota and not self._path(blob_id).exists():
                self._remove(blob_id)

    def _read_list(self, fd: int, blob_id: bytes) -> ChunkList:
        try:
            with blaming_the_machine("read", self._path(blob_id)):
                chunks = blobfile.read_list(fd, blob_id)
        except PeerError as error:
            with self._lock:
                if os.fstat(fd).st_nlink and blob_id in self._quota:  # still the file of that name
                    self._remove(blob_id)
            where = self._path(blob_id)
            raise StoreDamage(blob_id, None, f"{where} is damaged ({error}); it was removed, fetch it again") from error
        self._lists.add(chunks)
        return chunks

    def _genuine_or_forgotten(self, blob_id: bytes, file: BlobFile, index: int) -> bytes | None:
        data = _genuine(file, index)
        if data is not None or not file.has(index):
            return data
        file.forget(index)
        where = f"chunk {index} of {self._path(blob_id)}"
        raise StoreDamage(blob_id, index, f"{where} has rotted on the disk; it was dropped, fetch it again")


def _genuine(file: BlobFile, index: int) -> bytes | None:
    """The chunk, unless it is missing or not what the list says."""
    data = file.read(index)
    try:
        if data is not None:
            file.chunks.check(index, data)
    except ForgedError:
        return None
    return data
