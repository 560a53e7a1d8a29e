"""A shelf that lives in memory: for nodes that forget, and for tests."""

from protocol.blobs.chunks import CHUNK_BYTES, ChunkList
from protocol.envelope import Envelope


class MemoryShelf:
    """Records and blobs that were put here; see :class:`protocol.exchange.interface.Shelf`."""

    def __init__(self) -> None:
        self._records: dict[bytes, bytes] = {}
        self._blobs: dict[bytes, tuple[ChunkList, bytes]] = {}

    def put_record(self, envelope: Envelope) -> bytes:
        """Serve a record; its id."""
        self._records[envelope.id] = envelope.encode()
        return envelope.id

    def put_blob(self, data: bytes) -> ChunkList:
        """Serve a blob; its chunks."""
        chunks = ChunkList.of(data)
        self._blobs[chunks.id] = (chunks, data)
        return chunks

    async def record(self, record_id: bytes) -> bytes | None:
        """See :class:`Shelf`."""
        return self._records.get(record_id)

    async def chunk_list(self, blob_id: bytes) -> ChunkList | None:
        """See :class:`Source`."""
        found = self._blobs.get(blob_id)
        return found[0] if found is not None else None

    async def read_chunk(self, blob_id: bytes, index: int) -> bytes | None:
        """See :class:`Source`."""
        found = self._blobs.get(blob_id)
        if found is None:
            return None
        return found[1][index * CHUNK_BYTES : (index + 1) * CHUNK_BYTES] or None
