"""A mirror as a peer: the same questions, answered from ranges of files.

Rules:

1. A mirror proves nothing: every chunk is verified like that of any peer, against a list that proves itself.
2. It has no records. A chunk list it can only make by reading the whole blob, so it is asked last (``scheduler``).
3. Bytes are asked for in runs of neighbouring chunks, one request for each run.
"""

from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from typing import Self

from protocol.blobs.chunks import CHUNK_BYTES, MAX_BLOB_BYTES, ChunkList, Hasher
from protocol.blobs.manifest import Manifest
from protocol.errors import ForgedError, TooLargeError, UnavailableError
from protocol.exchange.requests import ChunksRequest, RecordsRequest
from protocol.roads.mirrors.files import Files
from protocol.roads.mirrors.places import Place, Places


class Mirror:
    """The files at one address, seen through the manifest of what they should be."""

    def __init__(self, address: str, manifest: Manifest, files: Files) -> None:
        self._address = address
        self._files = files
        self._places = Places(manifest, files, address)
        self._closed = False

    @property
    def address(self) -> str:
        """See :class:`protocol.exchange.interface.Peer`."""
        return self._address

    @property
    def identity(self) -> None:
        """Nobody: files do not sign."""
        return

    async def records(self, ids: Sequence[bytes]) -> list[bytes]:
        """None: rule 2."""
        RecordsRequest(tuple(ids))
        return []

    async def chunk_list(self, blob_id: bytes, limit: int = MAX_BLOB_BYTES) -> ChunkList:
        """Made by reading the whole blob."""
        place = await self._place(blob_id)
        if place.size > limit:
            raise TooLargeError(f"a blob of {place.size} bytes where at most {limit} are accepted")
        hasher = Hasher()
        if place.size:
            async with aclosing(self._files.read(place.file, place.start, place.size)) as pieces:
                async for piece in pieces:
                    hasher.update(piece)
        chunks = hasher.finish()
        if chunks.id != blob_id:
            raise ForgedError(f"{self._address} holds other bytes in {place.file} than blob {blob_id.hex()}")
        return chunks

    async def chunks(self, blob_id: bytes, indices: Sequence[int]) -> AsyncGenerator[tuple[int, bytes], None]:
        """See :class:`protocol.exchange.interface.Peer`."""
        request = ChunksRequest(blob_id, tuple(indices))
        place = await self._place(blob_id)
        for run in runs([index for index in request.indices if index * CHUNK_BYTES < place.size]):
            async with aclosing(self._run(place, run)) as found:
                async for chunk in found:
                    yield chunk

    async def close(self) -> None:
        """See :class:`protocol.exchange.interface.Peer`."""
        self._closed = True
        await self._files.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _place(self, blob_id: bytes) -> Place:
        if self._closed:
            raise UnavailableError(f"the mirror {self._address} is closed")
        return await self._places.find(blob_id)

    async def _run(self, place: Place, run: range) -> AsyncGenerator[tuple[int, bytes], None]:
        """Neighbouring chunks, with one chunk in memory."""
        begin, end = run.start * CHUNK_BYTES, min(run.stop * CHUNK_BYTES, place.size)
        index, chunk = run.start, bytearray()
        async with aclosing(self._files.read(place.file, place.start + begin, end - begin)) as pieces:
            async for piece in pieces:
                chunk += piece
                while len(chunk) >= min(CHUNK_BYTES, place.size - index * CHUNK_BYTES) > 0:
                    size = min(CHUNK_BYTES, place.size - index * CHUNK_BYTES)
                    yield index, bytes(chunk[:size])
                    del chunk[:size]
                    index += 1


def runs(indices: Sequence[int]) -> Iterator[range]:
    """Ascending numbers as ranges without gaps."""
    start = 0
    for at in range(1, len(indices) + 1):
        if at == len(indices) or indices[at] != indices[at - 1] + 1:
            yield range(indices[start], indices[at - 1] + 1)
            start = at
