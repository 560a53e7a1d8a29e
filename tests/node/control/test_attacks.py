"""Somebody at the socket who does not keep to the rules, and somebody at the network's end who is not let in."""

import asyncio
import os
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

import protocol.roads.grpc  # noqa: F401 (before grpc itself)

# isort: split
import grpc
import grpc.aio

from node.config import Control
from node.control import control_pb2 as wire
from node.control import faults, messages
from node.control.client import Client
from node.control.line import Line
from node.control.methods import METHODS
from node.control.orders import LogOrder
from node.control.server import ControlServer, Remote
from node.control.socket_file import SocketFile, target
from node.errors import MachineFault, NodeError, UnreachableError, UserError, VerificationError
from protocol.roads.grpc.certificate import TLS_NAME, credentials
from tests.node.control.ends import serving
from tests.node.control.memory_node import MemoryNode
from tests.protocol.exchange.loop import on_loop
from tests.protocol.keys import key
from tests.protocol.roads.wire import NOW

NODE, OWNER, STRANGER = key(61), key(62), key(63)

STATUS = messages.path(METHODS["status"])
UNFOLLOW = messages.path(METHODS["unfollow"])

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


@asynccontextmanager
async def raw(path: Path, compression: grpc.Compression | None = None) -> AsyncGenerator[grpc.aio.Channel, None]:
    """gRPC without the limits that our client keeps."""
    options = (("grpc.use_local_subchannel_pool", 1), ("grpc.max_send_message_length", -1))
    channel = grpc.aio.insecure_channel(target(path), options=options, compression=compression)
    try:
        yield channel
    finally:
        await channel.close()


async def asked(channel: grpc.aio.Channel, method: str, data: bytes) -> NodeError:
    """What the server says against a request."""
    ask: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(method)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await ask(data, timeout=10)
    error = caught.value
    return faults.error_of(error.code(), error.details() or "", tuple(error.trailing_metadata()), "n")


@pytest.mark.parametrize(
    "data",
    [b"", b"\0" * 70_000, b"GET / HTTP/1.1\r\n\r\n", PREFACE, PREFACE + b"\xff" * 1000, os.urandom(5000)],
    ids=["nothing", "zeros", "http1", "preface", "broken-frames", "noise"],
)
@on_loop
async def test_hostile_bytes_on_the_socket_harm_nobody_else(folder: Path, data: bytes) -> None:
    node = MemoryNode()
    async with serving(node, folder / "s"), await Client.connect(folder / "s") as client:
        reader, writer = await asyncio.open_unix_connection(folder / "s")
        writer.write(data)
        await client.status()
        writer.close()
        await client.status()
        del reader
    assert node.asked == ["status", "status"]


@on_loop
async def test_an_order_that_does_not_parse_is_answered_with_what_is_wrong(folder: Path) -> None:
    node = MemoryNode()
    async with serving(node, folder / "s"), raw(folder / "s") as channel:
        for data, words in [
            (b"\xff\xff", "not a RoundOrder"),
            (wire.RoundOrder(round=b"x").SerializeToString(), "32 bytes"),
            (wire.RoundOrder(round=b"x" * 32).SerializeToString() + b"\xf8\x07\x01", "restart the node"),
        ]:
            found = await asked(channel, UNFOLLOW, data)
            assert type(found) is UserError
            assert words in str(found)
        assert "not a Nothing" in str(await asked(channel, STATUS, b"\xff"))
    assert node.asked == []


@on_loop
async def test_an_order_beyond_the_limit_is_refused_unread(folder: Path) -> None:
    node = MemoryNode()
    async with serving(node, folder / "s"), raw(folder / "s") as channel:
        found = await asked(channel, UNFOLLOW, bytes(messages.MAX_ORDER_BYTES + 1))
        assert type(found) is UserError
        assert "more than" in str(found)
    assert node.asked == []


@on_loop
async def test_a_compressed_order_is_not_unpacked(folder: Path) -> None:
    node = MemoryNode()
    async with serving(node, folder / "s"), raw(folder / "s", grpc.Compression.Gzip) as channel:
        await asked(channel, UNFOLLOW, wire.RoundOrder(round=bytes(32)).SerializeToString() + bytes(2**16))
    assert node.asked == []


@on_loop
async def test_an_order_of_another_version_is_refused_with_what_to_do(folder: Path) -> None:
    async with serving(MemoryNode(), folder / "s"), raw(folder / "s") as channel:
        found = await asked(channel, STATUS.replace("Status", "Dance"), b"")
        assert "another version" in str(found)
        found = await asked(channel, STATUS.replace("v1", "v2"), b"")
        assert "another version" in str(found)


@on_loop
async def test_headers_beyond_the_limit_are_refused(folder: Path) -> None:
    async with serving(MemoryNode(), folder / "s"), raw(folder / "s") as channel:
        ask: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(STATUS)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await ask(b"", timeout=10, metadata=(("x", "y" * 4 * faults.MAX_HEADER_BYTES),))
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


@on_loop
async def test_whoever_listens_but_is_no_node_is_given_up(folder: Path) -> None:
    async def nonsense(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example.org ESMTP\r\n" * 100)
        writer.close()

    server = await asyncio.start_unix_server(nonsense, folder / "s")
    try:
        with pytest.raises(UnreachableError, match="does not answer"):
            await Client.connect(folder / "s")
    finally:
        server.close()


# Over the network


def remote(*keys: bytes) -> Remote:
    return Remote("127.0.0.1", 0, NODE, frozenset(keys), NOW)


@asynccontextmanager
async def open_to(node: MemoryNode, folder: Path, *keys: bytes) -> AsyncGenerator[str, None]:
    """A node that takes orders from these keys; its address."""
    async with serving(node, folder / "s", remote(*keys)) as server:
        yield str(server.address)


@on_loop
async def test_a_key_that_is_listed_gives_orders_from_afar(folder: Path) -> None:
    node = MemoryNode()
    async with open_to(node, folder, OWNER.public.point) as address:
        async with await Client.connect_remote(address, OWNER, NODE.public, NOW) as far:
            await far.pause()
            assert (await far.status()).paused
        async with await Client.connect(folder / "s") as near:
            assert (await near.status()).paused, "the owner of the folder needs no key"


@on_loop
async def test_a_key_that_is_not_listed_is_refused_with_what_to_do(folder: Path) -> None:
    node = MemoryNode()
    async with (
        open_to(node, folder, OWNER.public.point) as address,
        await Client.connect_remote(address, STRANGER, NODE.public, NOW) as client,
    ):
        for work in (client.stop(), anext(client.log(LogOrder()))):
            with pytest.raises(UserError, match=f"add {STRANGER.public.point.hex()} to control.keys"):
                await work
    assert node.asked == []


@on_loop
async def test_the_nodes_own_key_is_let_in_only_if_it_is_listed(folder: Path) -> None:
    node = MemoryNode()
    async with (
        open_to(node, folder, OWNER.public.point) as address,
        await Client.connect_remote(address, NODE, NODE.public, NOW) as client,
    ):
        with pytest.raises(UserError):
            await client.status()
    assert node.asked == []


@on_loop
async def test_no_order_goes_to_another_node_than_the_one_that_is_meant(folder: Path) -> None:
    node = MemoryNode()
    async with open_to(node, folder, OWNER.public.point) as address:
        with pytest.raises(VerificationError, match=NODE.public.peer_id):
            await Client.connect_remote(address, OWNER, STRANGER.public, NOW)
    assert node.asked == []


@on_loop
async def test_nothing_is_answered_without_tls_or_without_a_certificate(folder: Path) -> None:
    node = MemoryNode()
    async with open_to(node, folder, OWNER.public.point) as address:
        plain = grpc.aio.insecure_channel(address)
        shown = await asyncio.to_thread(ssl.get_server_certificate, ("127.0.0.1", int(address.rpartition(":")[2])))
        nobody = grpc.aio.secure_channel(
            address,
            grpc.ssl_channel_credentials(shown.encode()),
            options=(("grpc.ssl_target_name_override", TLS_NAME),),
        )
        for channel in (plain, nobody):
            assert type(await asked(channel, STATUS, b"")) is UnreachableError
            await channel.close()
    assert node.asked == []


@on_loop
async def test_a_certificate_that_no_node_vouches_for_is_refused(folder: Path) -> None:
    node = MemoryNode()
    async with open_to(node, folder, OWNER.public.point) as address:
        stolen = credentials(STRANGER, NOW)
        honest = credentials(OWNER, NOW)
        port = int(address.rpartition(":")[2])
        shown = await asyncio.to_thread(ssl.get_server_certificate, ("127.0.0.1", port))
        mixed = grpc.ssl_channel_credentials(shown.encode(), stolen.private_key, honest.certificate)
        options = (("grpc.ssl_target_name_override", TLS_NAME),)
        channel = grpc.aio.secure_channel(address, mixed, options=options)
        assert isinstance(await asked(channel, STATUS, b""), NodeError)
        await channel.close()
    assert node.asked == []


@on_loop
async def test_a_port_that_is_taken_is_reported_and_the_folder_left_free(folder: Path) -> None:
    async with open_to(MemoryNode(), folder / "one", OWNER.public.point) as address:
        port = int(address.rpartition(":")[2])
        with SocketFile.claim(folder / "two" / "s") as file, pytest.raises(MachineFault, match="cannot listen"):
            await ControlServer.start(MemoryNode(), file, Remote("127.0.0.1", port, NODE, frozenset(), NOW))
    assert not (folder / "two" / "s").exists()


@on_loop
async def test_nobody_at_an_address_is_said_so() -> None:
    with pytest.raises(UnreachableError, match="cannot be reached"):
        await Line.to_address("127.0.0.1:1", OWNER, NODE.public, NOW)
    with pytest.raises(UserError, match="host:port"):
        await Line.to_address("nonsense", OWNER, NODE.public, NOW)


def test_the_settings_say_who_gives_orders_from_afar() -> None:
    point = OWNER.public.point
    assert Remote.of(Control(keys=(point.hex(),)), NODE, NOW) is None
    made = Remote.of(Control(listen="[::1]:7402", keys=(point.hex(),)), NODE, NOW)
    assert made == Remote("::1", 7402, NODE, frozenset({point}), NOW)


@pytest.mark.parametrize(
    ("control", "words"),
    [
        (Control(listen="0.0.0.0:7402"), "control.keys names nobody"),
        (Control(listen="7402", keys=("00",)), "control.listen"),
        (Control(listen="0.0.0.0:7402", keys=("key",)), "66 digits"),
        (Control(listen="0.0.0.0:7402", keys=("00" * 33,)), "66 digits"),
        (Control(listen="0.0.0.0:7402", keys=("\x1b[31m",)), "66 digits"),
    ],
)
def test_settings_that_cannot_be_are_refused(control: Control, words: str) -> None:
    with pytest.raises(UserError, match=words) as caught:
        Remote.of(control, NODE, NOW)
    assert "\x1b" not in str(caught.value)
