"""What stands between a client and a server in the attacks: a line that listens, and servers that lie."""

import asyncio
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import grpc
import grpc.aio
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from protocol.exchange.budget import Budget, Limits
from protocol.exchange.clock import LoopClock
from protocol.exchange.interface import Shelf
from protocol.exchange.server import Server
from protocol.identity import Key
from protocol.roads.grpc import messages
from protocol.roads.grpc.certificate import (
    ISSUER_KEY,
    ISSUER_NAME,
    TLS_NAME,
    VOUCHER,
    Credentials,
    credentials,
    open_root,
)
from protocol.roads.grpc.server import GrpcServer

NOW = datetime.now(UTC).timestamp()
"""TLS libraries look at the clock themselves."""

Answer = Callable[[bytes, "grpc.aio.ServicerContext[bytes, bytes]"], Awaitable[None]]


@asynccontextmanager
async def serving(
    key: Key, shelf: Shelf, limits: Limits | None = None, send_seconds: float = 30.0
) -> AsyncGenerator[tuple[GrpcServer, Budget], None]:
    """An honest server on loopback, and its budget."""
    clock = LoopClock()
    budget = Budget(limits or Limits(), clock.now())
    server = Server(shelf, budget, clock)
    running = await GrpcServer.start(key, server, NOW, host="127.0.0.1", send_seconds=send_seconds)
    try:
        yield running, budget
    finally:
        await running.close()


@asynccontextmanager
async def lying(
    own: Credentials, answer: Answer, compression: grpc.Compression | None = None
) -> AsyncGenerator[int, None]:
    """A server with these credentials that answers every method as it likes; its port."""
    server = grpc.aio.server(compression=compression)
    handlers: dict[str, grpc.RpcMethodHandler[bytes, bytes]]
    handlers = {n: grpc.unary_stream_rpc_method_handler(answer) for n in ("Records", "ChunkList", "Chunks")}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(messages.SERVICE, handlers),))
    secure = grpc.ssl_server_credentials(
        [(own.private_key, own.certificate)], root_certificates=open_root(NOW), require_client_auth=True
    )
    port = server.add_secure_port("127.0.0.1:0", secure)
    await server.start()
    try:
        yield port
    finally:
        await server.stop(0)


class Tap:
    """A TCP line to a port that can hear, change and redirect what passes."""

    def __init__(self, port: int) -> None:
        self.targets = [port]
        """Where connections lead, one after another; the last one is for all that follow."""
        self.heard: list[bytearray] = []
        """What clients sent, one for each connection."""
        self.answered: list[bytearray] = []
        self.change: Callable[[bytes], bytes] = lambda data: data
        """What becomes of bytes on their way to the client."""
        self.port = 0
        self._tasks = set[asyncio.Task[None]]()

    @asynccontextmanager
    async def open(self) -> AsyncGenerator["Tap", None]:
        """Listen."""
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        target = self.targets.pop(0) if len(self.targets) > 1 else self.targets[0]
        heard, answered = bytearray(), bytearray()
        self.heard.append(heard)
        self.answered.append(answered)
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", target)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(_pump(reader, far_writer, heard, lambda data: data))
                group.create_task(_pump(far_reader, writer, answered, lambda data: self.change(data)))
        except* (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            far_writer.close()
            writer.close()


async def _pump(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, heard: bytearray, change: Callable[[bytes], bytes]
) -> None:
    while data := await reader.read(65536):
        heard += data
        writer.write(change(data))
        await writer.drain()
    writer.close()


def forged(
    tls: Key, *, voucher: bytes | None = None, subject: str = TLS_NAME, self_signed: bool = False
) -> Credentials:
    """Credentials with other content than honest ones."""
    issuer = tls.private if self_signed else ec.derive_private_key(ISSUER_KEY, ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
    issuer_name = name if self_signed else x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, ISSUER_NAME)])
    moment = datetime.fromtimestamp(NOW, UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer_name)
        .public_key(tls.private.public_key())
        .serial_number(7)
        .not_valid_before(moment - timedelta(days=1))
        .not_valid_after(moment + timedelta(days=3650))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(TLS_NAME)]), critical=False)
    )
    if voucher is not None:
        builder = builder.add_extension(x509.UnrecognizedExtension(VOUCHER, voucher), critical=False)
    return Credentials(builder.sign(issuer, SHA256()).public_bytes(Encoding.PEM), tls.pkcs8_pem())


def voucher_of(shown: Credentials) -> bytes:
    """The voucher in a certificate that somebody showed."""
    value = x509.load_pem_x509_certificate(shown.certificate).extensions.get_extension_for_oid(VOUCHER).value
    assert isinstance(value, x509.UnrecognizedExtension)
    return value.value


@asynccontextmanager
async def channel_to(
    server: GrpcServer, own: Credentials | None, compression: grpc.Compression | None = None
) -> AsyncGenerator[grpc.aio.Channel, None]:
    """A client of the server's, whoever it says to be."""
    pem = await asyncio.to_thread(ssl.get_server_certificate, ("127.0.0.1", server.address.port))
    secure = grpc.ssl_channel_credentials(
        pem.encode(), own.private_key if own else None, own.certificate if own else None
    )
    options = (("grpc.ssl_target_name_override", TLS_NAME), ("grpc.use_local_subchannel_pool", 1))
    channel = grpc.aio.secure_channel(server.address.target, secure, options=options, compression=compression)
    try:
        yield channel
    finally:
        await channel.close()


async def asked(channel: grpc.aio.Channel, method: str, request: bytes) -> list[bytes]:
    """All answers to a request."""
    ask: grpc.aio.UnaryStreamMultiCallable[bytes, bytes] = channel.unary_stream(messages.path(method))
    return [answer async for answer in ask(request, timeout=5)]


def honest(key: Key) -> Credentials:
    """Credentials as the road makes them."""
    return credentials(key, NOW)
