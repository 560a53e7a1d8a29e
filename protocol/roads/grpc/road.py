"""The asking end of the direct road.

Rules:

1. A connection leads to the node that was looked at and expected, see `line`.
2. Every wait is bounded: for a connection by ``CONNECT_SECONDS``, for each message by ``STALL_SECONDS``.
3. Nothing that arrives is larger than ``messages.MAX_ANSWER_BYTES``; gRPC decompresses nothing.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Self, TypeVar

import grpc
import grpc.aio

from protocol.blobs.chunks import MAX_BLOB_BYTES, ChunkList
from protocol.errors import PeerError, UnavailableError
from protocol.exchange import answers
from protocol.exchange.interface import STALL_SECONDS
from protocol.exchange.requests import ChunkListRequest, ChunksRequest, RecordsRequest
from protocol.identity import Key, PublicKey
from protocol.roads.grpc import messages
from protocol.roads.grpc.address import Address
from protocol.roads.grpc.line import Lines
from protocol.roads.grpc.status import error_of

OPTIONS = (
    ("grpc.use_local_subchannel_pool", 1),  # a connection belongs to one peer object
    ("grpc.enable_http_proxy", 0),
    ("grpc.enable_retries", 0),  # whoever downloads decides what is asked again, and of whom
    ("grpc.max_receive_message_length", messages.MAX_ANSWER_BYTES),
    ("grpc.max_send_message_length", messages.MAX_REQUEST_BYTES),
    ("grpc.max_metadata_size", 8 * 1024),
    ("grpc.absolute_max_metadata_size", 8 * 1024),
    ("grpc.compression_enabled_algorithms_bitset", 1),  # none
    ("grpc.per_message_decompression", 0),
    ("grpc.min_reconnect_backoff_ms", 1000),
)


Item = TypeVar("Item")


class GrpcRoad:
    """Connects as the owner of a key; ``now`` is in unix seconds."""

    def __init__(self, key: Key, now: float, stall_seconds: float = STALL_SECONDS) -> None:
        self._lines = Lines(key, now, OPTIONS)
        self._stall = stall_seconds

    async def connect(self, address: str, expected: PublicKey | None) -> "GrpcPeer":
        """See :class:`protocol.exchange.interface.Road`. An address is ``host:port``."""
        where = Address.parse(address)
        identity, channel = await self._lines.open(where, expected)
        return GrpcPeer(where, identity, channel, self._stall)


class GrpcPeer:
    """A node at the other end of a TLS connection."""

    def __init__(self, address: Address, identity: PublicKey, channel: grpc.aio.Channel, stall_seconds: float) -> None:
        self._address = address
        self._identity = identity
        self._channel = channel
        self._stall = stall_seconds

    @property
    def address(self) -> str:
        """See :class:`protocol.exchange.interface.Peer`."""
        return str(self._address)

    @property
    def identity(self) -> PublicKey:
        """See :class:`protocol.exchange.interface.Peer`."""
        return self._identity

    async def records(self, ids: Sequence[bytes]) -> list[bytes]:
        """See :class:`protocol.exchange.interface.Peer`."""
        request = RecordsRequest(tuple(ids))
        found = self._ask("Records", messages.write_records_request(request), messages.read_record)
        return await answers.records(found, request, self.address)

    async def chunk_list(self, blob_id: bytes, limit: int = MAX_BLOB_BYTES) -> ChunkList:
        """See :class:`protocol.exchange.interface.Peer`."""
        request = ChunkListRequest(blob_id)
        parts = self._ask("ChunkList", messages.write_chunk_list_request(request), messages.read_chunk_list_part)
        return await answers.chunk_list(parts, request, limit, self.address)

    def chunks(self, blob_id: bytes, indices: Sequence[int]) -> AsyncGenerator[tuple[int, bytes], None]:
        """See :class:`protocol.exchange.interface.Peer`."""
        request = ChunksRequest(blob_id, tuple(indices))
        pieces = self._ask("Chunks", messages.write_chunks_request(request), messages.read_piece)
        return answers.chunks(pieces, request)

    async def close(self) -> None:
        """See :class:`protocol.exchange.interface.Peer`."""
        await self._channel.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _ask(self, method: str, request: bytes, read: Callable[[bytes], Item]) -> AsyncGenerator[Item, None]:
        """What the messages of an answer say. Leaving this generator ends the call on both sides."""
        ask: grpc.aio.UnaryStreamMultiCallable[bytes, bytes] = self._channel.unary_stream(messages.path(method))
        try:
            call = ask(request)
        except grpc.aio.UsageError:
            raise UnavailableError(f"the connection to {self._address} is closed") from None
        try:
            while True:
                async with asyncio.timeout(self._stall):
                    answer = await call.read()
                if not isinstance(answer, bytes):
                    break  # grpc.aio.EOF
                yield read(answer)
        except TimeoutError:
            raise UnavailableError(f"{self._address} sent nothing for {self._stall:g} s") from None
        except grpc.aio.AioRpcError as error:
            raise self._error(error) from None
        finally:
            call.cancel()

    def _error(self, error: grpc.aio.AioRpcError) -> PeerError:
        return error_of(error.code(), error.details() or "", tuple(error.trailing_metadata()), str(self._address))
