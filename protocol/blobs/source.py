"""Where chunks come from: one question for the whole list of a blob's chunks, one for a chunk.

A server asks a :class:`Source` and does not care what is behind it: the store, a model folder that somebody else
wrote, or several of them in a :class:`Library`. Sources on a disk are written with blocking calls (``find`` and
``read``, for callers in threads and child processes) and get their asynchronous face from :class:`DiskSource`, which
runs the same calls in a few threads of its own, so that a slow disk never holds up the event loop.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Protocol, Self, TypeVar

from protocol.blobs.chunks import ChunkList
from protocol.errors import EnvironmentFault, TooLargeError, UsageError

DISK_THREADS = 4
"""Reads and writes of one source that may be in progress at once; each holds one chunk in memory."""

Result = TypeVar("Result")


class StoreDamage(EnvironmentFault):
    """Bytes on this machine's disk are no longer what they were when they were verified.

    ``index`` is the chunk, or None when the list of the blob's chunks itself is damaged. A store has forgotten the
    chunk (or the blob) by the time this is raised: it is missing again and can be fetched anew.
    """

    def __init__(self, blob_id: bytes, index: int | None, message: str) -> None:
        super().__init__(message)
        self.blob_id = blob_id
        self.index = index


class Source(Protocol):
    """Something that can be asked for blobs. Chunks that it returns are verified."""

    async def chunk_list(self, blob_id: bytes) -> ChunkList | None:
        """The blob's chunks and their digests; None if the blob is not here, not even in part."""
        ...

    async def read_chunk(self, blob_id: bytes, index: int) -> bytes | None:
        """One chunk; None if it is not here. Raises :class:`StoreDamage` if it was and has rotted."""
        ...


class Blobs(Protocol):
    """The same two questions, blocking."""

    def find(self, blob_id: bytes) -> ChunkList | None:
        """The blob's chunks and their digests; None if the blob is not here, not even in part."""
        ...

    def read(self, blob_id: bytes, index: int) -> bytes | None:
        """One chunk; None if it is not here. Raises :class:`StoreDamage` if it was and has rotted."""
        ...


class DiskSource(ABC):
    """Blocking ``find`` and ``read``, and a :class:`Source` made of them. Thread-safe; to be closed."""

    def __init__(self) -> None:
        self._threads: ThreadPoolExecutor | None = ThreadPoolExecutor(DISK_THREADS, type(self).__name__)

    @abstractmethod
    def find(self, blob_id: bytes) -> ChunkList | None:
        """See :class:`Blobs`."""

    @abstractmethod
    def read(self, blob_id: bytes, index: int) -> bytes | None:
        """See :class:`Blobs`."""

    def read_whole(self, blob_id: bytes, limit: int) -> bytes | None:
        """All of a small blob, a manifest for example; None if any of it is not here."""
        chunks = self.find(blob_id)
        if chunks is None:
            return None
        if chunks.size > limit:
            raise TooLargeError(f"blob {blob_id.hex()} has {chunks.size} bytes; the limit here is {limit}")
        parts = [self.read(blob_id, index) for index in range(len(chunks.digests))]
        found = [part for part in parts if part is not None]
        return b"".join(found) if len(found) == len(parts) else None

    async def chunk_list(self, blob_id: bytes) -> ChunkList | None:
        """See :class:`Source`."""
        return await self.off_loop(self.find, blob_id)

    async def read_chunk(self, blob_id: bytes, index: int) -> bytes | None:
        """See :class:`Source`."""
        return await self.off_loop(self.read, blob_id, index)

    async def off_loop(self, work: Callable[..., Result], *arguments: object) -> Result:
        """Run a blocking call of this source in one of its threads: ``await store.off_loop(store.put_chunk, …)``."""
        if self._threads is None:
            raise UsageError(f"this {type(self).__name__} is closed")
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)

    def close(self) -> None:
        """Wait for what is in progress, and end. Closing twice is allowed."""
        if self._threads is not None:
            self._threads.shutdown(wait=True, cancel_futures=True)
            self._threads = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Library:
    """Several sources, asked in the order in which they were added. A source that fails is passed over."""

    def __init__(self, *sources: Source) -> None:
        self._sources = tuple(sources)

    def add(self, source: Source) -> None:
        """Ask this source too, after the others."""
        self._sources = (*self._sources, source)

    def remove(self, source: Source) -> None:
        """Ask it no more. The caller closes it."""
        self._sources = tuple(other for other in self._sources if other is not source)

    async def chunk_list(self, blob_id: bytes) -> ChunkList | None:
        """See :class:`Source`."""
        return await self._first(lambda source: source.chunk_list(blob_id))

    async def read_chunk(self, blob_id: bytes, index: int) -> bytes | None:
        """See :class:`Source`. Damage in one source is only raised when no other has the chunk."""
        return await self._first(lambda source: source.read_chunk(blob_id, index))

    async def _first(self, ask: Callable[[Source], Awaitable[Result | None]]) -> Result | None:
        fault: EnvironmentFault | None = None
        for source in self._sources:
            try:
                found = await ask(source)
            except EnvironmentFault as error:
                fault = fault or error
                continue
            if found is not None:
                return found
        if fault is not None:
            raise fault
        return None
