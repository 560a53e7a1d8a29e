"""Chunk lists that were verified already, as many as are worth keeping in memory."""

from collections import OrderedDict
from threading import Lock

from protocol.blobs.chunks import ChunkList

MAX_CACHED_DIGESTS = 2**16
"""Digests in all lists kept: those of 64 GiB, about 6 MB of memory. The one asked for last is kept however long."""


class ListCache:
    """Forgets the list used longest ago first. Thread-safe."""

    def __init__(self) -> None:
        self._lists: OrderedDict[bytes, ChunkList] = OrderedDict()
        self._digests = 0
        self._lock = Lock()

    def get(self, blob_id: bytes) -> ChunkList | None:
        """The list, if it is still kept."""
        with self._lock:
            if blob_id in self._lists:
                self._lists.move_to_end(blob_id)
            return self._lists.get(blob_id)

    def add(self, chunks: ChunkList) -> None:
        """Keep a list, and let go of others."""
        with self._lock:
            if chunks.id not in self._lists:
                self._digests += len(chunks.digests)
            self._lists[chunks.id] = chunks
            while self._digests > MAX_CACHED_DIGESTS and len(self._lists) > 1:
                self._digests -= len(self._lists.popitem(last=False)[1].digests)

    def drop(self, blob_id: bytes) -> None:
        """Forget a list."""
        with self._lock:
            if (chunks := self._lists.pop(blob_id, None)) is not None:
                self._digests -= len(chunks.digests)
