"""The serving end of the direct road.

Rules:

1. Nobody is served who has not proven in TLS to be a node: the certificate's key counts, see ``certificate``.
2. Requests are bytes until our own parser has read them. gRPC decompresses nothing: a few bytes cannot become many.
3. What gRPC would let grow is bounded: connections, streams on each, headers, messages, the time of a handshake.
4. One message is not waited for longer than ``SEND_SECONDS``: a peer that stops reading is let go.
"""

import asyncio
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from functools import lru_cache
from typing import Self, TypeVar

import grpc
import grpc.aio

from protocol.errors import BusyError, EnvironmentFault, ForgedError, PeerError, UnavailableError
from protocol.exchange.pieces import Piece
from protocol.exchange.server import SEND_SECONDS, Server
from protocol.identity import Key, PublicKey
from protocol.roads.grpc import messages
from protocol.roads.grpc.address import Address
from protocol.roads.grpc.certificate import credentials, node_key, open_root
from protocol.roads.grpc.status import retry_metadata, status_of

MAX_CONNECTIONS = 256

STREAMS_PER_CONNECTION = 16

MAX_CALLS = 256
"""At once, on all connections: those that are being refused included."""

MAX_HEADER_BYTES = 8 * 1024

HANDSHAKE_SECONDS = 10

IDLE_SECONDS = 300
"""After which a connection without a request is closed; a client opens it again when it needs it."""

CACHED_CERTIFICATES = 512
"""Vouchers already checked; a connection asks for its own with every request."""

OPTIONS = (
    ("grpc.so_reuseport", 0),  # or two servers could share a port without noticing
    ("grpc.max_allowed_incoming_connections", MAX_CONNECTIONS),
    ("grpc.max_concurrent_streams", STREAMS_PER_CONNECTION),
    ("grpc.max_receive_message_length", messages.MAX_REQUEST_BYTES),
    ("grpc.max_send_message_length", messages.MAX_ANSWER_BYTES),
    ("grpc.max_metadata_size", MAX_HEADER_BYTES),
    ("grpc.absolute_max_metadata_size", MAX_HEADER_BYTES),
    ("grpc.server_handshake_timeout_ms", HANDSHAKE_SECONDS * 1000),
    ("grpc.max_connection_idle_ms", IDLE_SECONDS * 1000),
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.compression_enabled_algorithms_bitset", 1),  # none
    ("grpc.per_message_decompression", 0),
)

Context = grpc.aio.ServicerContext[bytes, bytes]
Handler = Callable[[bytes, Context], Awaitable[None]]
Item = TypeVar("Item")


class GrpcServer:
    """A running server; to be closed."""

    def __init__(self, server: grpc.aio.Server, address: Address) -> None:
        self._server = server
        self.address = address

    @classmethod
    async def start(
        cls,
        key: Key,
        server: Server,
        now: float,
        *,
        host: str = "0.0.0.0",  # noqa: S104 (peers are strangers: the point is to be reachable)
        port: int = 0,
        send_seconds: float = SEND_SECONDS,
    ) -> Self:
        """Answer as the owner of ``key``. ``now`` is in unix seconds, port 0 is any that is free."""
        made = grpc.aio.server(options=OPTIONS, maximum_concurrent_rpcs=MAX_CALLS)
        _Service(server, send_seconds).add_to(made)
        own = credentials(key, now)
        secure = grpc.ssl_server_credentials(
            [(own.private_key, own.certificate)], root_certificates=open_root(now), require_client_auth=True
        )
        wanted = Address(host, port)
        try:
            bound = made.add_secure_port(str(wanted), secure)
        except RuntimeError as error:
            raise EnvironmentFault(f"cannot listen on {wanted}: {error}; is another program using the port?") from None
        await made.start()
        return cls(made, Address(host, bound))

    async def close(self, grace: float = 0.0) -> None:
        """Let requests finish for ``grace`` seconds, then end them. Closing twice is allowed."""
        await self._server.stop(grace)


class _Service:
    """The three methods."""

    def __init__(self, server: Server, send_seconds: float) -> None:
        self._server = server
        self._send_seconds = send_seconds

    def add_to(self, server: grpc.aio.Server) -> None:
        methods: dict[str, Handler] = {"Records": self._records, "ChunkList": self._chunk_list, "Chunks": self._chunks}
        handlers: dict[str, grpc.RpcMethodHandler[bytes, bytes]]
        handlers = {name: grpc.unary_stream_rpc_method_handler(method) for name, method in methods.items()}
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(messages.SERVICE, handlers),))

    async def _records(self, data: bytes, context: Context) -> None:
        def answer(peer: bytes) -> AsyncGenerator[bytes, None]:
            return self._server.records(peer, messages.read_records_request(data))

        await self._serve(context, answer, messages.write_record)

    async def _chunk_list(self, data: bytes, context: Context) -> None:
        def answer(peer: bytes) -> AsyncGenerator[bytes, None]:
            return self._server.chunk_list(peer, messages.read_chunk_list_request(data))

        await self._serve(context, answer, messages.write_chunk_list_part)

    async def _chunks(self, data: bytes, context: Context) -> None:
        def answer(peer: bytes) -> AsyncGenerator[Piece, None]:
            return self._server.chunks(peer, messages.read_chunks_request(data))

        await self._serve(context, answer, messages.write_piece)

    async def _serve(
        self,
        context: Context,
        answer: Callable[[bytes], AsyncGenerator[Item, None]],
        write: Callable[[Item], bytes],
    ) -> None:
        """Send everything that ``answer`` gives to the peer at the other end, or say why not."""
        try:
            async with aclosing(answer(peer_of(context).id)) as items:
                async for item in items:
                    async with asyncio.timeout(self._send_seconds):
                        await context.write(write(item))
            return
        except PeerError as error:
            refusal = error
        except TimeoutError:
            refusal = UnavailableError(f"nothing was read for {self._send_seconds:g} s")
        if isinstance(refusal, BusyError):
            context.set_trailing_metadata(retry_metadata(refusal))
        await context.abort(*status_of(refusal))


def peer_of(context: Context) -> PublicKey:
    """Who is asking, as TLS has proven."""
    shown = context.auth_context().get("x509_pem_cert", ())
    for certificate in shown:
        return _node_key(bytes(certificate))
    raise ForgedError("no certificate was shown")


@lru_cache(CACHED_CERTIFICATES)
def _node_key(pem: bytes) -> PublicKey:
    return node_key(ssl.PEM_cert_to_DER_cert(pem.decode("ascii")))
