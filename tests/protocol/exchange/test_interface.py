"""What every road promises, shown on all that carry records: over TLS and libp2p on loopback, and in memory."""

import asyncio
import functools
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from contextlib import aclosing, asynccontextmanager
from typing import ParamSpec

import pytest

from protocol.blobs.chunks import CHUNK_BYTES, ChunkList
from protocol.envelope import Envelope
from protocol.errors import BusyError, ForgedError, MalformedError, TooLargeError, UnavailableError
from protocol.exchange.budget import Budget, Limits, Rate
from protocol.exchange.clock import LoopClock
from protocol.exchange.interface import Peer, Road, Shelf
from protocol.exchange.requests import RecordsRequest
from protocol.exchange.server import Server
from protocol.exchange.shelf import MemoryShelf
from protocol.roads.grpc.road import GrpcRoad
from protocol.roads.grpc.server import GrpcServer
from protocol.roads.libp2p import Libp2pRoad
from protocol.roads.libp2p_server import Libp2pServer
from protocol.roads.memory import Host, Links, MemoryRoad
from protocol.swarm.config import LOOPBACK, Config
from protocol.swarm.daemon import Daemon
from tests.protocol.keys import key
from tests.protocol.roads.wire import NOW

Arguments = ParamSpec("Arguments")

SERVER, CLIENT, STRANGER = key(11), key(12), key(13)
DATA = bytes(range(256)) * (CHUNK_BYTES // 256) + b"tail"
NOWHERE = {
    "grpc": "127.0.0.1:1",
    "libp2p": f"/ip4/127.0.0.1/tcp/1/p2p/{STRANGER.public.peer_id}",
    "memory": "elsewhere",
}
EVERY_ROAD = pytest.mark.parametrize("kind", sorted(NOWHERE))

BOUND = 20.0
"""Seconds for one test."""


class Machine:
    """One event loop for all tests of this file, and in it, as soon as a test needs them, the p2pd of both sides."""

    def __init__(self) -> None:
        self.runner = asyncio.Runner()
        self._daemons: list[Daemon] = []

    async def daemons(self) -> list[Daemon]:
        """That of CLIENT and that of SERVER."""
        if not self._daemons:
            configs = [Config(one, clock=lambda: 0.0, listen=LOOPBACK, nat=False) for one in (CLIENT, SERVER)]
            self._daemons = list(await asyncio.gather(*map(Daemon.start, configs)))
        return self._daemons

    def close(self) -> None:
        for daemon in self._daemons:
            self.runner.run(daemon.stop())
        self.runner.close()


MACHINE = Machine()


@pytest.fixture(scope="module", autouse=True)
def _closing() -> Iterator[None]:
    yield
    MACHINE.close()


def on_loop(test: Callable[Arguments, Coroutine[None, None, None]]) -> Callable[Arguments, None]:
    """A test that pytest can call."""

    @functools.wraps(test)
    def run(*args: Arguments.args, **kwargs: Arguments.kwargs) -> None:
        MACHINE.runner.run(asyncio.wait_for(test(*args, **kwargs), BOUND))

    return run


@asynccontextmanager
async def road_to(
    kind: str, shelf: Shelf, limits: Limits | None = None, serving: type[Server] = Server
) -> AsyncGenerator[tuple[Road, str], None]:
    """A road of this kind for CLIENT, and the address at which SERVER serves the shelf."""
    clock = LoopClock()
    server = serving(shelf, Budget(limits or Limits(), clock.now()), clock)
    if kind == "memory":
        yield MemoryRoad(Links(clock), {"there": Host(SERVER.public, server)}, "here", CLIENT.public), "there"
        return
    if kind == "grpc":
        served = await GrpcServer.start(SERVER, server, NOW, host="127.0.0.1")
        try:
            yield GrpcRoad(CLIENT, NOW), str(served.address)
        finally:
            await served.close()
        return
    near, far = await MACHINE.daemons()
    handler = await Libp2pServer.start(lambda: far.p2p, SERVER.public, server)
    try:
        yield Libp2pRoad(lambda: near.p2p), f"{far.p2p._visible_maddrs[0]}/p2p/{SERVER.public.peer_id}"
    finally:
        await handler.close()


@asynccontextmanager
async def peer_on(
    kind: str, shelf: Shelf, limits: Limits | None = None, serving: type[Server] = Server
) -> AsyncGenerator[Peer, None]:
    """SERVER, connected."""
    async with road_to(kind, shelf, limits, serving) as (road, address):
        peer = await road.connect(address, SERVER.public)
        try:
            yield peer
        finally:
            await peer.close()


@EVERY_ROAD
@on_loop
async def test_a_peer_has_an_address_and_the_key_it_has_proven(kind: str) -> None:
    async with road_to(kind, MemoryShelf()) as (road, address):
        peer = await road.connect(address, None)
        assert (peer.address, peer.identity) == (address, SERVER.public)
        await peer.close()


@EVERY_ROAD
@pytest.mark.must("EXC-19", "P2P-1")
@on_loop
async def test_a_peer_with_another_key_than_the_expected_one_is_refused(kind: str) -> None:
    async with road_to(kind, MemoryShelf()) as (road, address):
        with pytest.raises(ForgedError, match=STRANGER.public.peer_id):
            await road.connect(address, STRANGER.public)


@EVERY_ROAD
@pytest.mark.must("EXC-3")
@on_loop
async def test_records_come_in_the_order_asked_for_without_those_the_peer_lacks(kind: str) -> None:
    shelf = MemoryShelf()
    made = [Envelope.sign("application/vnd.umm.round+json; v=1", b"{}" + b" " * n, SERVER) for n in range(3)]
    ids = [shelf.put_record(envelope) for envelope in made]
    async with peer_on(kind, shelf) as peer:
        found = await peer.records([ids[2], b"x" * 32, ids[0]])
    assert found == [made[2].encode(), made[0].encode()]


@EVERY_ROAD
@on_loop
async def test_a_blob_arrives_as_it_was(kind: str) -> None:
    shelf = MemoryShelf()
    blob = shelf.put_blob(DATA)
    async with peer_on(kind, shelf) as peer:
        chunks = await peer.chunk_list(blob.id)
        assert chunks == blob
        found = [chunk async for chunk in peer.chunks(blob.id, [0, 1, 2])]
    assert found == [(0, DATA[:CHUNK_BYTES]), (1, b"tail")], "the third one is not there and is left out"


@EVERY_ROAD
@on_loop
async def test_a_blob_the_peer_lacks_is_unavailable(kind: str) -> None:
    async with peer_on(kind, MemoryShelf()) as peer:
        with pytest.raises(UnavailableError):
            await peer.chunk_list(b"x" * 32)
        assert [chunk async for chunk in peer.chunks(b"x" * 32, [0])] == []


class Liar(MemoryShelf):
    """Has another list under every name, and chunks of its own."""

    async def chunk_list(self, blob_id: bytes) -> ChunkList | None:
        return ChunkList.of(b"something else")

    async def read_chunk(self, blob_id: bytes, index: int) -> bytes | None:
        return b"lies"


@EVERY_ROAD
@pytest.mark.must("EXC-5")
@on_loop
async def test_a_chunk_list_of_something_else_is_refused_and_chunks_are_left_to_the_caller(kind: str) -> None:
    async with peer_on(kind, Liar()) as peer:
        with pytest.raises(ForgedError):
            await peer.chunk_list(b"x" * 32)
        assert [chunk async for chunk in peer.chunks(b"x" * 32, [5])] == [(5, b"lies")]


@EVERY_ROAD
@pytest.mark.must("EXC-6")
@on_loop
async def test_a_blob_larger_than_the_caller_accepts_is_refused(kind: str) -> None:
    shelf = MemoryShelf()
    blob = shelf.put_blob(DATA)
    async with peer_on(kind, shelf) as peer:
        with pytest.raises(TooLargeError):
            await peer.chunk_list(blob.id, limit=len(DATA) - 1)


@EVERY_ROAD
@pytest.mark.must("EXC-11", "P2P-7")
@on_loop
async def test_a_busy_peer_says_so_and_when_to_ask_again(kind: str) -> None:
    shelf = MemoryShelf()
    blob = shelf.put_blob(DATA)
    async with peer_on(kind, shelf, Limits(requests_per_peer=Rate(0.01, 1))) as peer:
        await peer.chunk_list(blob.id)
        with pytest.raises(BusyError) as refused:
            await peer.chunk_list(blob.id)
    assert 90 < refused.value.retry_after <= 100


@EVERY_ROAD
@on_loop
async def test_a_wrong_request_is_refused_before_it_is_sent(kind: str) -> None:
    async with peer_on(kind, MemoryShelf()) as peer:
        with pytest.raises(MalformedError):
            await peer.records([])
        with pytest.raises(MalformedError):
            await anext(peer.chunks(b"x" * 32, [1, 0]))


@EVERY_ROAD
@on_loop
async def test_a_transfer_can_be_left_and_the_peer_asked_again(kind: str) -> None:
    shelf = MemoryShelf()
    blob = shelf.put_blob(DATA)
    async with peer_on(kind, shelf, Limits(streams_per_peer=4)) as peer:
        for _ in range(8):
            async with aclosing(peer.chunks(blob.id, [0, 1])) as chunks:
                assert (await anext(chunks))[0] == 0
        assert (await peer.chunk_list(blob.id)).id == blob.id


@EVERY_ROAD
@on_loop
async def test_nobody_at_an_address_is_unavailable(kind: str) -> None:
    async with road_to(kind, MemoryShelf()) as (road, _):
        with pytest.raises(UnavailableError):
            await road.connect(NOWHERE[kind], None)


@EVERY_ROAD
@on_loop
async def test_a_closed_peer_answers_nothing(kind: str) -> None:
    async with road_to(kind, MemoryShelf()) as (road, address):
        peer = await road.connect(address, SERVER.public)
        await peer.close()
        await peer.close()
        with pytest.raises(UnavailableError):
            await peer.records([b"x" * 32])


class Refusing(MemoryShelf):
    """Wants nothing to do with anybody."""

    async def record(self, record_id: bytes) -> bytes | None:
        raise MalformedError("not \x1b[2J today")


@EVERY_ROAD
@pytest.mark.must("EXC-8")
@on_loop
async def test_a_peer_that_refuses_is_unavailable_and_no_liar(kind: str) -> None:
    async with peer_on(kind, Refusing()) as peer:
        with pytest.raises(UnavailableError, match=r"refuses the request: not \?\[2J today"):
            await peer.records([b"x" * 32])


class Overgenerous(Server):
    """Sends every record twice."""

    async def records(self, peer: bytes, request: RecordsRequest) -> AsyncGenerator[bytes, None]:
        for record_id in request.ids:
            yield record_id
            yield record_id


@EVERY_ROAD
@pytest.mark.must("EXC-4")
@on_loop
async def test_more_records_than_were_asked_for_are_refused(kind: str) -> None:
    async with peer_on(kind, MemoryShelf(), serving=Overgenerous) as peer:
        with pytest.raises(MalformedError, match="more than the 2 records"):
            await peer.records([b"x" * 32, b"y" * 32])
