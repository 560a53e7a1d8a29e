"""What is peculiar to the libp2p road, on loopback, through two p2pd that are started once for all tests of this file.

What it has in common with the other roads is in `exchange/test_interface.py`.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import pytest

from protocol.errors import (
    BusyError,
    EnvironmentFault,
    ForgedError,
    MalformedError,
    PeerError,
    TooLargeError,
    UnavailableError,
)
from protocol.exchange.budget import Budget, Limits
from protocol.exchange.clock import LoopClock
from protocol.exchange.download import fetch
from protocol.exchange.requests import ChunksRequest
from protocol.exchange.server import Server
from protocol.roads import libp2p_server
from protocol.roads.libp2p import Libp2pPeer, Libp2pRoad
from protocol.roads.libp2p_frames import ACKNOWLEDGED, HANDLER, HEAD_BYTES, Say, WhoRequest, write_frame, write_request
from protocol.roads.libp2p_server import MAX_STREAMS_PER_PEER, Libp2pServer
from protocol.swarm.config import LOOPBACK, Config
from protocol.swarm.daemon import Daemon
from tests.protocol.exchange.scripted import MemoryShelf, MemoryStore, blob, shelf, wants
from tests.protocol.keys import key

Result = TypeVar("Result")

BLOBS = shelf(blob(5), blob(1, seed=1))
LONG = next(iter(BLOBS))

STALL = 0.3
"""Seconds of silence that the clients of these tests accept."""

BOUND = 20.0
"""Seconds for one test."""


class Pair:
    """Two p2pd: ``near`` asks, ``far`` serves."""

    def __init__(self) -> None:
        self.runner = asyncio.Runner()
        self.near, self.far = self.runner.run(self._start())
        self.address = f"{self.runner.run(self._address())}/p2p/{key(2).public.peer_id}"

    async def _start(self) -> tuple[Daemon, Daemon]:
        configs = [Config(key(n), clock=lambda: 0.0, listen=LOOPBACK, nat=False) for n in (1, 2)]
        near, far = await asyncio.gather(*map(Daemon.start, configs))
        # so that no test depends on another one having connected them
        await near.p2p._client.connect(far.p2p.peer_id, [far.p2p._visible_maddrs[0]])
        return near, far

    async def _address(self) -> str:
        return str(self.far.p2p._visible_maddrs[0])

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        async def bounded() -> Result:
            async with asyncio.timeout(BOUND):
                return await work

        return self.runner.run(bounded())

    def close(self) -> None:
        self.runner.run(self._stop())
        self.runner.close()

    async def _stop(self) -> None:
        await asyncio.gather(self.near.stop(), self.far.stop())

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Libp2pPeer]:
        """A server at the far end, and a peer at the near one that is connected to it."""
        server = await self.server()
        try:
            async with await self.connect() as peer:
                yield peer
        finally:
            await server.close()

    async def server(self, held: MemoryShelf | None = None, **settings: Any) -> Libp2pServer:
        clock = LoopClock()
        server = Server(held or MemoryShelf(BLOBS), Budget(Limits(), clock.now()), clock)
        return await Libp2pServer.start(lambda: self.far.p2p, key(2).public, server, **settings)

    async def connect(self, stall: float = STALL) -> Libp2pPeer:
        return await Libp2pRoad(lambda: self.near.p2p, stall).connect(self.address, key(2).public)

    @asynccontextmanager
    async def pretending(self, answer: Callable[[Any, Any], Awaitable[None]]) -> AsyncIterator[Libp2pPeer]:
        """A hostile server: it shows its key like an honest one and then answers as told."""

        async def handle(info: Any, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                request = await reader.readexactly(int.from_bytes(await reader.readexactly(2), "little"))
                if request == write_request(WhoRequest())[2:]:
                    writer.write(write_frame(Say.KEY, key(2).public.point) + write_frame(Say.END))
                    await reader.read(1)
                else:
                    await answer(reader, writer)
            except (OSError, EOFError):
                pass
            finally:
                writer.close()

        await self.far.p2p.add_binary_stream_handler(HANDLER, handle)
        try:
            yield await self.connect()
        finally:
            await self.far.p2p.remove_binary_stream_handler(HANDLER)

    async def stream(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A hostile client's stream to the far end."""
        _, reader, writer = await self.near.p2p.call_binary_stream_handler(self.far.p2p.peer_id, HANDLER)
        return reader, writer

    async def open_stream_anyway(self, server: Libp2pServer) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A stream to a server that is closed, as one that p2pd passed on before it heard of that."""
        await self.far.p2p.add_binary_stream_handler(HANDLER, server.handle)
        reader, writer = await self.stream()
        while not server.open_streams:
            await asyncio.sleep(0)
        await self.far.p2p.remove_binary_stream_handler(HANDLER)
        return reader, writer


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    made = Pair()
    yield made
    made.close()


async def collected(peer: Libp2pPeer, *indices: int) -> list[tuple[int, bytes]]:
    async with aclosing(peer.chunks(LONG, indices)) as chunks:
        return [chunk async for chunk in chunks]


def test_a_download_takes_this_road(pair: Pair) -> None:
    async def ask() -> None:
        store = MemoryStore()
        async with pair.serving() as peer:
            await fetch(wants(BLOBS), store, [peer])
        assert all(store.whole(blob_id) == data for blob_id, (_, data) in BLOBS.items())

    pair.run(ask())


@pytest.mark.must("P2P-1")
def test_a_node_that_shows_another_key_than_that_of_its_peer_id_is_refused(pair: Pair) -> None:
    async def handle(info: Any, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(write_frame(Say.KEY, key(3).public.point) + write_frame(Say.END))
        await reader.read()
        writer.close()

    async def ask() -> None:
        await pair.far.p2p.add_binary_stream_handler(HANDLER, handle)
        try:
            await pair.connect()
        finally:
            await pair.far.p2p.remove_binary_stream_handler(HANDLER)

    with pytest.raises(ForgedError, match="does not show the key"):
        pair.run(ask())


def test_a_node_without_this_road_is_unavailable(pair: Pair) -> None:
    with pytest.raises(UnavailableError, match="cannot be reached"):
        pair.run(pair.connect())


@pytest.mark.parametrize(
    "address",
    [
        "",
        "host:7400",
        "/p2p/",
        "/p2p/12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN",
        "/ip4/999.0.0.1/tcp/1/p2p/" + key(2).public.peer_id,
        "/nothing/p2p/" + key(2).public.peer_id,
        "/ip4/127.0.0.1/tcp/1/p2p/" + key(2).public.peer_id + "\n",
        "/ip4/127.0.0.1" * 40 + "/p2p/" + key(2).public.peer_id,
    ],
)
def test_an_address_that_is_none_is_refused(pair: Pair, address: str) -> None:
    with pytest.raises(MalformedError, match=r"address|multiaddr|peer id"):
        pair.run(Libp2pRoad(lambda: pair.near.p2p).connect(address, None))


@pytest.mark.must("P2P-5")
@pytest.mark.parametrize("sent", [b"", write_frame(Say.PIECE, bytes(8))[:7]])
def test_an_answer_that_ends_without_its_last_frame_is_not_complete(pair: Pair, sent: bytes) -> None:
    async def answer(reader: Any, writer: asyncio.StreamWriter) -> None:
        writer.write(sent)

    async def ask() -> None:
        async with pair.pretending(answer) as peer:
            await collected(peer, 0)

    with pytest.raises(UnavailableError, match="broke off in the middle"):
        pair.run(ask())


@pytest.mark.must("P2P-6")
def test_the_asking_side_acknowledges_and_closes_first(pair: Pair) -> None:
    seen: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(write_frame(Say.END))
        seen.append(await reader.read(10))
        seen.append(await reader.read(10))

    async def ask() -> None:
        async with pair.pretending(answer) as peer:
            assert await collected(peer, 0) == []
            while len(seen) < 2:
                await asyncio.sleep(0)

    pair.run(ask())
    assert seen == [ACKNOWLEDGED, b""]


@pytest.mark.must("P2P-6")
def test_the_serving_side_waits_for_the_acknowledgement_before_it_closes(pair: Pair) -> None:
    async def ask() -> bytes:
        server = await pair.server()
        reader, writer = await pair.stream()
        writer.write(write_request(WhoRequest()))
        await reader.readexactly(HEAD_BYTES + 33 + HEAD_BYTES)
        assert server.open_streams == 1
        writer.write(ACKNOWLEDGED)
        data = await reader.read()
        writer.close()
        await server.close()
        return data

    assert pair.run(ask()) == b""


@pytest.mark.must("P2P-9")
@pytest.mark.parametrize("sent", [b"", write_frame(Say.PIECE, bytes(100))[:50]])
def test_a_peer_that_falls_silent_is_not_waited_for(pair: Pair, sent: bytes) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(sent)
        await reader.read()

    async def ask() -> None:
        async with pair.pretending(answer) as peer:
            await collected(peer, 0)

    with pytest.raises(UnavailableError, match=r"sent nothing for 0\.3 s"):
        pair.run(ask())


@pytest.mark.parametrize(
    ("sent", "error", "words"),
    [
        (b"\x04\xff\xff\xff\xff", TooLargeError, "4294967295 bytes"),
        (b"HTTP/1.1 400 Bad Request\r\n", MalformedError, "means nothing"),
        (write_frame(Say.RECORD, b"a record"), MalformedError, "does not belong into this answer"),
        (write_frame(Say.PIECE, bytes([3, 0, 0, 0, 1, 0, 0, 0, 65])), MalformedError, "chunk 3 in place of 0"),
        (write_frame(Say.PIECE, bytes([0, 0, 0, 0, 1, 0, 0, 0, 65])) * 2, MalformedError, "after all that were asked"),
        (write_frame(Say.BUSY, (1500).to_bytes(4, "little")), BusyError, "ask again in 1.5 s"),
        (write_frame(Say.REFUSED, b"no"), UnavailableError, "refuses the request: no"),
    ],
)
def test_a_hostile_answer_is_refused_by_name(pair: Pair, sent: bytes, error: type[PeerError], words: str) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(sent)
        await reader.read()

    async def ask() -> None:
        async with pair.pretending(answer) as peer:
            await collected(peer, 0)

    with pytest.raises(error, match=words):
        pair.run(ask())


@pytest.mark.must("P2P-4", "P2P-8")
@pytest.mark.parametrize(
    ("sent", "kind"),
    [
        (b"\xff\xff", Say.REFUSED),
        (b"\x02\x00\x01\x63", Say.REFUSED),
        (b"\x02\x00\x00\x01", Say.TOO_OLD),
        (b"\x02\x00\x02\x01", Say.TOO_NEW),
    ],
)
def test_a_hostile_request_is_answered_with_the_reason(pair: Pair, sent: bytes, kind: Say) -> None:
    async def ask() -> int:
        async with pair.serving():
            reader, writer = await pair.stream()
            writer.write(sent)
            head = await reader.readexactly(HEAD_BYTES)
            writer.write(ACKNOWLEDGED)
            writer.close()
            return head[0]

    assert pair.run(ask()) == kind


@pytest.mark.must("P2P-9")
def test_a_client_that_asks_nothing_is_let_go(pair: Pair) -> None:
    async def ask() -> bytes:
        server = await pair.server(stall_seconds=STALL)
        reader, writer = await pair.stream()
        writer.write(b"\x22")
        data = await reader.read()
        writer.close()
        await server.close()
        return data

    assert pair.run(ask()) == b""


@pytest.mark.must("P2P-9")
def test_a_client_that_trickles_its_request_is_let_go(pair: Pair) -> None:
    """It is never silent for long: a byte every 20 ms, of a request that would take it more than a minute."""

    async def trickle(writer: asyncio.StreamWriter) -> None:
        writer.write((4000).to_bytes(2, "little"))
        while True:
            writer.write(b"x")
            await asyncio.sleep(0.02)

    async def ask() -> None:
        server = await pair.server(stall_seconds=STALL)
        _, writer = await pair.stream()
        trickling = asyncio.create_task(trickle(writer))
        try:
            while not server.open_streams:
                await asyncio.sleep(0)
            async with asyncio.timeout(10 * STALL):
                while server.open_streams:
                    await asyncio.sleep(0)
        finally:
            trickling.cancel()
            writer.close()
            await server.close()

    pair.run(ask())


@pytest.mark.must("P2P-9")
def test_a_client_that_reads_nothing_is_let_go(pair: Pair) -> None:
    many = shelf(blob(64, seed=5))
    request = write_request(ChunksRequest(next(iter(many)), tuple(range(64))))

    async def ask() -> None:
        server = await pair.server(MemoryShelf(many), send_seconds=STALL)
        _, writer = await pair.stream()
        writer.write(request)
        while not server.open_streams:
            await asyncio.sleep(0)
        while server.open_streams:
            await asyncio.sleep(0)
        writer.close()
        await server.close()

    pair.run(ask())


def test_closing_a_server_whose_p2pd_is_gone_is_fine() -> None:
    async def ask() -> None:
        daemon = await Daemon.start(Config(key(5), clock=lambda: 0.0, listen=LOOPBACK, nat=False))
        clock = LoopClock()
        server = Server(MemoryShelf(BLOBS), Budget(Limits(), clock.now()), clock)
        served = await Libp2pServer.start(lambda: daemon.p2p, key(5).public, server)
        await daemon.stop()
        await served.close()
        await served.close()

    asyncio.run(ask())


@pytest.mark.must("P2P-10")
def test_streams_beyond_the_limit_are_closed_unread(pair: Pair) -> None:
    async def ask() -> bytes:
        server = await pair.server(max_streams=2)
        idle = [await pair.stream() for _ in range(2)]
        while server.open_streams < 2:
            await asyncio.sleep(0)
        reader, writer = await pair.stream()
        data = await reader.read()
        for _, other in [*idle, (reader, writer)]:
            other.close()
        await server.close()
        return data

    assert pair.run(ask()) == b""


@pytest.mark.must("P2P-10")
def test_one_peer_cannot_have_all_streams(pair: Pair) -> None:
    async def ask() -> bytes:
        server = await pair.server()
        idle = [await pair.stream() for _ in range(MAX_STREAMS_PER_PEER)]
        while server.open_streams < MAX_STREAMS_PER_PEER:
            await asyncio.sleep(0)
        reader, writer = await pair.stream()
        data = await reader.read()
        assert server.open_streams == MAX_STREAMS_PER_PEER
        for _, other in [*idle, (reader, writer)]:
            other.close()
        await server.close()
        return data

    assert pair.run(ask()) == b""


def test_closing_twice_on_a_living_p2pd_is_fine_and_ends_every_stream(pair: Pair) -> None:
    async def ask() -> None:
        server = await pair.server()
        await server.close()
        reader, writer = await pair.open_stream_anyway(server)
        await server.close()
        assert server.open_streams == 0
        assert await reader.read() == b""
        writer.close()

    pair.run(ask())


@dataclass
class Stream:
    """What p2pd says about a stream from a peer with this id."""

    peer_id: Any


class Ed25519Id:
    def to_bytes(self) -> bytes:
        return b"\x00\x24\x08\x01\x12\x20" + bytes(32)


@pytest.mark.must("P2P-10")
def test_who_is_not_a_node_is_refused() -> None:
    with pytest.raises(MalformedError, match="you are not a node"):
        libp2p_server._peer(Stream(Ed25519Id()))


def test_leaving_an_answer_ends_it_on_the_other_side(pair: Pair) -> None:
    class Counting(MemoryShelf):
        reads = 0

        async def read_chunk(self, blob_id: bytes, index: int) -> bytes | None:
            self.reads += 1
            return await super().read_chunk(blob_id, index)

    many = shelf(blob(64, seed=5))
    [blob_id] = many
    served = Counting(many)

    async def ask() -> None:
        server = await pair.server(served)
        peer = await pair.connect()
        async with aclosing(peer.chunks(blob_id, range(64))) as chunks:
            assert (await anext(chunks))[0] == 0
        while server.open_streams:
            await asyncio.sleep(0)
        await server.close()

    pair.run(ask())
    assert served.reads < 32


def test_without_p2pd_the_machine_is_to_blame(pair: Pair) -> None:
    async def ask() -> None:
        extra = await Daemon.start(Config(key(5), clock=lambda: 0.0, listen=LOOPBACK, nat=False))
        await extra.stop()
        await Libp2pRoad(lambda: extra.p2p).connect(pair.address, None)

    with pytest.raises(EnvironmentFault, match="p2pd"):
        pair.run(ask())
