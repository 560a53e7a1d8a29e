"""What this node serves to others: records from the database, blobs from the store and from folders."""

from collections.abc import Callable

from node.database import Database
from protocol.blobs.chunks import CHUNK_BYTES, ChunkList
from protocol.blobs.source import Library

Pages = Callable[[bytes], tuple[ChunkList, bytes] | None]
"""Small blobs that live in memory: logs."""


class NodeShelf:
    """See :class:`protocol.exchange.interface.Shelf`."""

    def __init__(self, database: Database, library: Library, pages: Pages) -> None:
        self._database, self._library, self._pages = database, library, pages

    async def record(self, record_id: bytes) -> bytes | None:
        """Read in the event loop: a page of SQLite, mostly in memory."""
        return self._database.envelope(record_id)

    async def chunk_list(self, blob_id: bytes) -> ChunkList | None:
        """See :class:`protocol.blobs.source.Source`."""
        page = self._pages(blob_id)
        return page[0] if page is not None else await self._library.chunk_list(blob_id)

    async def read_chunk(self, blob_id: bytes, index: int) -> bytes | None:
        """See :class:`protocol.blobs.source.Source`."""
        page = self._pages(blob_id)
        if page is not None:
            return page[1][index * CHUNK_BYTES : (index + 1) * CHUNK_BYTES] or None
        return await self._library.read_chunk(blob_id, index)
