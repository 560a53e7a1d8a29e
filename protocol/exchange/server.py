"""The serving side, for every road: requests in, budgets kept, answers out in pieces.

A road authenticates the peer, reads a request, and sends what these generators yield, one item at a time; it closes
the generator when the peer goes away, which gives the stream back. A road bounds each single send by
``SEND_SECONDS``.

Rules:

1. Nothing is looked up before the request is admitted, and nothing is sent before its bytes are spent.
2. One chunk is in memory per stream, no more.
3. A request has ``GRACE_SECONDS`` and the time that its answer takes at ``SLOWEST_BYTES_PER_SECOND``; then it ends.
   So a peer that reads as slowly as it can does not hold a stream for ever.
4. What is damaged on this machine's disk is absent.
"""

from collections.abc import AsyncGenerator

from protocol.blobs.chunks import CHUNK_BYTES, ChunkList
from protocol.errors import BusyError, EnvironmentFault, UnavailableError
from protocol.exchange.budget import STREAM_RETRY_SECONDS, Budget, Ticket
from protocol.exchange.clock import Clock
from protocol.exchange.interface import Shelf
from protocol.exchange.pieces import Piece, cut, list_parts
from protocol.exchange.requests import ChunkListRequest, ChunksRequest, RecordsRequest

SEND_SECONDS = 30.0
"""How long a peer may take to accept one message."""

GRACE_SECONDS = 30.0

SLOWEST_BYTES_PER_SECOND = 16 * 1024

LOOKUP_BYTES = 512
"""What each thing asked for costs of the byte budget even if it is not here: looking takes time as well."""


class Server:
    """Answers requests of authenticated peers from one shelf, within one budget."""

    def __init__(self, shelf: Shelf, budget: Budget, clock: Clock) -> None:
        self._shelf = shelf
        self._budget = budget
        self._clock = clock

    async def records(self, peer: bytes, request: RecordsRequest) -> AsyncGenerator[bytes, None]:
        """Encoded envelopes: those that are here, in the order asked for. ``peer`` is the asking key's id."""
        with self._budget.admit(peer, self._clock.now()) as ticket:
            due = self._clock.now() + GRACE_SECONDS
            for record_id in request.ids:
                envelope = await self._record(record_id)
                size = len(envelope) if envelope is not None else 0
                due = await self._spend(ticket, size, due)
                if envelope is not None:
                    yield envelope

    async def chunk_list(self, peer: bytes, request: ChunkListRequest) -> AsyncGenerator[bytes, None]:
        """A chunk list in parts. Raises :class:`UnavailableError` if the blob is not here."""
        with self._budget.admit(peer, self._clock.now()) as ticket:
            due = await self._spend(ticket, 0, self._clock.now() + GRACE_SECONDS)
            found = await self._find(request.blob_id)
            if found is None:
                raise UnavailableError(f"blob {request.blob_id.hex()} is not here")
            for part in list_parts(found):
                due = await self._spend(ticket, len(part), due)
                yield part

    async def chunks(self, peer: bytes, request: ChunksRequest) -> AsyncGenerator[Piece, None]:
        """The pieces of the chunks asked for, or word that one is absent."""
        with self._budget.admit(peer, self._clock.now()) as ticket:
            due = self._clock.now() + GRACE_SECONDS
            for index in request.indices:
                for piece in cut(index, await self._read(request.blob_id, index)):
                    due = await self._spend(ticket, len(piece.data), due)
                    yield piece

    async def _spend(self, ticket: Ticket, size: int, due: float) -> float:
        """Wait for the budget, which is not held against the peer; when the request is due then."""
        now = self._clock.now()
        if now > due:
            raise BusyError("the peer is busy: you read too slowly; ask for less at a time", STREAM_RETRY_SECONDS)
        cost = size + LOOKUP_BYTES
        wait = ticket.spend(cost, now)
        if wait > 0:
            await self._clock.sleep(wait)
        return due + wait + cost / SLOWEST_BYTES_PER_SECOND

    async def _record(self, record_id: bytes) -> bytes | None:
        try:
            return await self._shelf.record(record_id)
        except EnvironmentFault:
            return None

    async def _find(self, blob_id: bytes) -> ChunkList | None:
        try:
            return await self._shelf.chunk_list(blob_id)
        except EnvironmentFault:
            return None

    async def _read(self, blob_id: bytes, index: int) -> bytes | None:
        try:
            chunk = await self._shelf.read_chunk(blob_id, index)
        except EnvironmentFault:
            return None
        return chunk if chunk and len(chunk) <= CHUNK_BYTES else None
