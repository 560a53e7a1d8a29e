"""The serving end of the road through p2pd.

Rules:

1. libp2p has proven the peer id of whoever asks; what it may ask is booked under that id. Ids of other kinds of keys
   than a node's are refused.
2. At most ``MAX_STREAMS`` streams are open at a time, ``MAX_STREAMS_PER_PEER`` of one peer id, those that still wait
   for a request among them; all of a request has to come within ``STALL_SECONDS``, so that trickling is no way to
   hold a stream. More streams are closed unread.
3. The asking side closes first: after the last frame the server waits for its acknowledgement, but not for ever.
4. A peer that accepts nothing for ``SEND_SECONDS`` is let go.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, suppress
from typing import Protocol, Self

from protocol.errors import MalformedError, PeerError
from protocol.exchange.interface import STALL_SECONDS
from protocol.exchange.requests import ChunkListRequest, RecordsRequest
from protocol.exchange.server import SEND_SECONDS, Server
from protocol.identity import PublicKey
from protocol.identity.libp2p import ID_BYTES
from protocol.roads.arrivals import Arrivals
from protocol.roads.libp2p_frames import (
    HANDLER,
    LENGTH_BYTES,
    AnyRequest,
    Say,
    WhoRequest,
    read_request,
    request_length,
    write_error,
    write_frame,
    write_piece,
)

MAX_STREAMS = 256

MAX_STREAMS_PER_PEER = 16
"""Twice what ``budget`` answers of one peer: a stream stays open until its end is acknowledged."""

MULTIHASH = b"\x12\x20"
"""What a peer id that is a SHA-256 digest begins with."""


class _PeerId(Protocol):
    def to_bytes(self) -> bytes: ...


class StreamInfo(Protocol):
    """What p2pd says about a stream."""

    peer_id: _PeerId


Handler = Callable[[StreamInfo, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Daemon(Protocol):
    """What a server needs of hivemind's ``P2P``."""

    async def add_binary_stream_handler(self, name: str, handler: Handler) -> None:
        """Hand every stream of this name to ``handler``."""
        ...

    async def remove_binary_stream_handler(self, name: str) -> None:
        """Refuse such streams again."""
        ...


class Libp2pServer:
    """A running server; to be closed. The swarm registers its handler again when it starts p2pd again."""

    def __init__(
        self,
        daemon: Callable[[], Daemon],
        key: PublicKey,
        server: Server,
        stall_seconds: float,
        send_seconds: float,
        max_streams: int,
    ) -> None:
        self._daemon = daemon
        self._key = key
        self._server = server
        self._stall = stall_seconds
        self._send_seconds = send_seconds
        self._max_streams = max_streams
        self._streams: dict[asyncio.Task[None], bytes] = {}
        """Each with the peer id at its other end."""
        self._closed = False

    @classmethod
    async def start(
        cls,
        daemon: Callable[[], Daemon],
        key: PublicKey,
        server: Server,
        *,
        stall_seconds: float = STALL_SECONDS,
        send_seconds: float = SEND_SECONDS,
        max_streams: int = MAX_STREAMS,
    ) -> Self:
        """Answer through p2pd, which runs with ``key``. Roads that share a ``server`` share its budget."""
        self = cls(daemon, key, server, stall_seconds, send_seconds, max_streams)
        await daemon().add_binary_stream_handler(HANDLER, self.handle)
        return self

    @property
    def open_streams(self) -> int:
        """Streams that are not closed yet."""
        return len(self._streams)

    async def close(self) -> None:
        """End every stream and accept no more. Closing twice is allowed."""
        closed, self._closed = self._closed, True
        try:
            if not closed:  # a p2pd that is told twice complains
                with suppress(OSError, EOFError, KeyError):  # it may be gone already, or was started anew
                    async with asyncio.timeout(self._stall):
                        await self._daemon().remove_binary_stream_handler(HANDLER)
        finally:
            for stream in self._streams:
                stream.cancel()
            await asyncio.gather(*self._streams, return_exceptions=True)

    async def handle(self, info: StreamInfo, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One stream, from its first byte to its last."""
        task = asyncio.current_task()
        try:
            peer = info.peer_id.to_bytes()
            if task is None or len(self._streams) >= self._max_streams:
                return
            if sum(other == peer for other in self._streams.values()) >= MAX_STREAMS_PER_PEER:
                return
            self._streams[task] = peer
            task.add_done_callback(self._streams.pop)
            with suppress(OSError, EOFError):  # whoever asked went away; TimeoutError is an OSError
                await self._serve(info, Arrivals(reader, self._stall), writer)
        finally:
            writer.close()

    async def _serve(self, info: StreamInfo, arrivals: Arrivals, writer: asyncio.StreamWriter) -> None:
        try:
            try:
                async with asyncio.timeout(self._stall):
                    length = request_length(await arrivals.exactly(LENGTH_BYTES))
                    request = read_request(await arrivals.exactly(length))
                async with aclosing(self._answer(_peer(info), request)) as frames:
                    async for frame in frames:
                        await self._send(writer, *frame)
                await self._send(writer, write_frame(Say.END))
            except PeerError as error:
                await self._send(writer, write_error(error))
            await arrivals.exactly(1)
        finally:
            arrivals.close()

    async def _send(self, writer: asyncio.StreamWriter, *parts: bytes) -> None:
        writer.writelines(parts)
        async with asyncio.timeout(self._send_seconds):
            await writer.drain()

    async def _answer(self, peer: bytes, request: AnyRequest) -> AsyncGenerator[tuple[bytes, ...], None]:
        """Frames, each in as many parts as need not be joined."""
        if isinstance(request, WhoRequest):
            yield (write_frame(Say.KEY, self._key.point),)
        elif isinstance(request, RecordsRequest):
            async with aclosing(self._server.records(peer, request)) as records:
                async for record in records:
                    yield (write_frame(Say.RECORD, record),)
        elif isinstance(request, ChunkListRequest):
            async with aclosing(self._server.chunk_list(peer, request)) as parts:
                async for part in parts:
                    yield (write_frame(Say.LIST, part),)
        else:
            async with aclosing(self._server.chunks(peer, request)) as pieces:
                async for piece in pieces:
                    yield write_piece(piece)


def _peer(info: StreamInfo) -> bytes:
    """The id of the key of whoever asks."""
    data = info.peer_id.to_bytes()
    if len(data) != len(MULTIHASH) + ID_BYTES or not data.startswith(MULTIHASH):
        raise MalformedError("you are not a node: a node's peer id begins with Qm")
    return data[len(MULTIHASH) :]
