"""The node's end: orders in, answers out.

Rules:

1. Whoever can open the socket file is the owner. Over TCP only the keys in ``control.keys`` give orders, each proven by
   mutual TLS as on the direct road; for everybody else no order is parsed.
2. Requests are bytes until our own parser has read them. gRPC decompresses nothing.
3. What gRPC would let grow is bounded: connections, streams on each, headers, messages, the time of a handshake.
4. A client that leaves a stream cancels what the node does for it.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Self

import protocol.roads.grpc  # noqa: F401 (before grpc itself: it sets how loud that is)

# isort: split
import grpc
import grpc.aio

from node.config import Control
from node.control import faults, messages
from node.control.interface import Node
from node.control.methods import METHODS, Method
from node.control.socket_file import SocketFile
from node.errors import MachineFault, UserError
from protocol.errors import ProtocolError
from protocol.identity import Key, PublicKey
from protocol.roads.grpc.address import Address
from protocol.roads.grpc.certificate import credentials, open_root
from protocol.roads.grpc.server import peer_of

MAX_CONNECTIONS = 64

STREAMS_PER_CONNECTION = 32

MAX_CALLS = 64
"""At once, on all connections of one server."""

HANDSHAKE_SECONDS = 10

PING_SECONDS = 5
"""Clients may ask as often as this whether the node is still there."""

GRACE_SECONDS = 1.0
"""For answers that are on their way when the node ends."""

OPTIONS = (
    ("grpc.so_reuseport", 0),  # or two nodes could share a port without noticing
    ("grpc.max_allowed_incoming_connections", MAX_CONNECTIONS),
    ("grpc.max_concurrent_streams", STREAMS_PER_CONNECTION),
    ("grpc.max_receive_message_length", messages.MAX_ORDER_BYTES),
    ("grpc.max_send_message_length", messages.MAX_ANSWER_BYTES),
    ("grpc.max_metadata_size", faults.MAX_HEADER_BYTES),
    ("grpc.absolute_max_metadata_size", faults.MAX_HEADER_BYTES),
    ("grpc.server_handshake_timeout_ms", HANDSHAKE_SECONDS * 1000),
    ("grpc.http2.min_ping_interval_without_data_ms", PING_SECONDS * 1000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.compression_enabled_algorithms_bitset", 1),  # none
    ("grpc.per_message_decompression", 0),
)

REMOTE_OPTIONS = (
    *OPTIONS,
    ("grpc.keepalive_time_ms", 60_000),  # a machine that vanished holds no stream
    ("grpc.keepalive_timeout_ms", 20_000),
)

_log = logging.getLogger(__name__)

Context = grpc.aio.ServicerContext[bytes, bytes]


@dataclass(frozen=True)
class Remote:
    """Orders from other machines: where to listen, as whom, and the points of the keys that may give them."""

    host: str
    port: int
    key: Key
    keys: frozenset[bytes]
    now: float

    @classmethod
    def of(cls, control: Control, key: Key, now: float) -> Self | None:
        """What the settings say; None if they say that nobody else gives orders."""
        if not control.listen:
            return None
        if not control.keys:
            raise UserError("control.listen is set, but control.keys names nobody who may give orders; add a key")
        try:
            where = Address.parse(control.listen)
        except ProtocolError as error:
            raise UserError(f"control.listen: {error}") from None
        return cls(where.host, where.port, key, frozenset(map(_point, control.keys)), now)


class ControlServer:
    """A running server; to be closed."""

    def __init__(self) -> None:
        self._servers: list[grpc.aio.Server] = []
        self.address: Address | None = None
        """Where orders from other machines are taken, if they are."""

    @classmethod
    async def start(cls, node: Node, file: SocketFile, remote: Remote | None = None) -> Self:
        """Take orders for ``node`` on the socket that was claimed, and perhaps from other machines."""
        made = cls()
        try:
            await made._listen(node, file, remote)
        except BaseException:
            await made.close(0)
            raise
        return made

    async def close(self, grace: float = GRACE_SECONDS) -> None:
        """Let answers that are on their way out, then end. Closing twice is allowed."""
        await asyncio.gather(*(server.stop(grace) for server in self._servers))

    async def _listen(self, node: Node, file: SocketFile, remote: Remote | None) -> None:
        own = _server(_Service(node, None), OPTIONS)
        self._servers.append(own)
        with file.binding() as target:
            _bind(own.add_insecure_port, target)
        await own.start()
        if remote is None:
            return
        other = _server(_Service(node, remote.keys), REMOTE_OPTIONS)
        self._servers.append(other)
        shown = credentials(remote.key, remote.now)
        secure = grpc.ssl_server_credentials(
            [(shown.private_key, shown.certificate)],
            root_certificates=open_root(remote.now),
            require_client_auth=True,
        )
        wanted = Address(remote.host, remote.port)
        port = _bind(lambda where: other.add_secure_port(where, secure), str(wanted))
        self.address = Address(remote.host, port)
        await other.start()


def _server(service: "_Service", options: tuple[tuple[str, int], ...]) -> grpc.aio.Server:
    made = grpc.aio.server(options=options, maximum_concurrent_rpcs=MAX_CALLS)
    made.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(messages.SERVICE.full_name, service.handlers()),)
    )
    return made


def _bind(bind: Callable[[str], int], where: str) -> int:
    try:
        return bind(where)
    except RuntimeError as error:
        raise MachineFault(f"cannot listen on {where}: {error}; is another program using it?") from None


def _point(text: str) -> bytes:
    try:
        return PublicKey.from_point(bytes.fromhex(text)).point
    except (ValueError, ProtocolError):
        raise UserError(
            f"control.keys lists {text[:80]!a}, which is no public key of 66 digits; `umm key show` prints one"
        ) from None


class _Service:
    """All methods, for those who are let in."""

    def __init__(self, node: Node, keys: frozenset[bytes] | None) -> None:
        self._node = node
        self._keys = keys

    def handlers(self) -> "dict[str, grpc.RpcMethodHandler[bytes, bytes]]":
        return {method.wire_name: self._handler(method) for method in METHODS.values()}

    def _handler(self, method: Method) -> "grpc.RpcMethodHandler[bytes, bytes]":
        if not method.streamed:

            async def answer(data: bytes, context: Context) -> bytes:
                return await self._guarded(context, method, lambda: self._answer(method, data))

            return grpc.unary_unary_rpc_method_handler(answer)

        async def stream(data: bytes, context: Context) -> None:
            await self._guarded(context, method, lambda: self._stream(method, data, context))

        return grpc.unary_stream_rpc_method_handler(stream)

    async def _answer(self, method: Method, data: bytes) -> bytes:
        return messages.write_answer(method, await self._ask(method, data))

    async def _stream(self, method: Method, data: bytes, context: Context) -> bytes:
        items: AsyncGenerator[Any, None] = self._ask(method, data)
        async with aclosing(items):
            async for item in items:
                await context.write(messages.write_answer(method, item))
        return b""

    def _ask(self, method: Method, data: bytes) -> Any:
        order = messages.read_order(method, data)
        arguments = () if method.order is None else (order,)
        return getattr(self._node, method.name)(*arguments)

    async def _guarded(self, context: Context, method: Method, work: Callable[[], Awaitable[bytes]]) -> bytes:
        """Do the work, if whoever asks may ask for it; what goes wrong goes to the other side."""
        try:
            self._admit(context)
            return await work()
        except grpc.aio.BaseError:  # the client is gone
            return b""
        except Exception as error:  # noqa: BLE001 (it goes to the other side or into the log)
            refusal = _refusal(error, method)
        return await context.abort(refusal.code, refusal.details, refusal.metadata)

    def _admit(self, context: Context) -> None:
        if self._keys is not None and (who := peer_of(context)).point not in self._keys:
            raise UserError(
                f"the key of {who.name} may not give orders to this node; "
                f"to let it in, add {who.point.hex()} to control.keys in the node's settings"
            )


def _refusal(error: Exception, method: Method) -> faults.Refusal:
    known = faults.as_node_error(error)
    if known is not None:
        return faults.refusal(known)
    reference, refusal = faults.unforeseen()
    _log.error("%s failed (reference %s)", method.name, reference, exc_info=error)
    return refusal
