"""What every road promises, shown on those that can be built here: over TLS on loopback, and in memory."""

from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager

import pytest

from protocol.blobs.chunks import CHUNK_BYTES, ChunkList
from protocol.envelope import Envelope
from protocol.errors import BusyError, ForgedError, MalformedError, TooLargeError, UnavailableError
from protocol.exchange.budget import Budget, Limits, Rate
from protocol.exchange.clock import LoopClock
from protocol.exchange.interface import Peer, Road, Shelf
from protocol.exchange.server import Server
from protocol.exchange.shelf import MemoryShelf
from protocol.roads.grpc.road import GrpcRoad
from protocol.roads.grpc.server import GrpcServer
from protocol.roads.memory import Host, Links, MemoryRoad
from tests.protocol.exchange.loop import on_loop
from tests.protocol.keys import key
from tests.protocol.roads.wire import NOW

SERVER, CLIENT, STRANGER = key(11), key(12), key(13)
DATA = bytes(range(256)) * (CHUNK_BYTES // 256) + b"tail"
EVERY_ROAD = pytest.mark.parametrize("kind", ["grpc", "memory"])


@asynccontextmanager
async def road_to(kind: str, shelf: Shelf, limits: Limits | None = None) -> AsyncGenerator[tuple[Road, str], None]:
    """A road of this kind for CLIENT, and the address at which SERVER serves the shelf."""
    clock = LoopClock()
    server = Server(shelf, Budget(limits or Limits(), clock.now()), clock)
    if kind == "memory":
        yield MemoryRoad(Links(clock), {"there": Host(SERVER.public, server)}, "here", CLIENT.public), "there"
        return
    running = await GrpcServer.start(SERVER, server, NOW, host="127.0.0.1")
    try:
        yield GrpcRoad(CLIENT, NOW), str(running.address)
    finally:
        await running.close()


@asynccontextmanager
async def peer_on(kind: str, shelf: Shelf, limits: Limits | None = None) -> AsyncGenerator[Peer, None]:
    """SERVER, connected."""
    async with road_to(kind, shelf, limits) as (road, address):
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
@pytest.mark.must("EXC-19")
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
@pytest.mark.must("EXC-11")
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
        nowhere = "127.0.0.1:1" if kind == "grpc" else "elsewhere"
        with pytest.raises(UnavailableError):
            await road.connect(nowhere, SERVER.public)


@EVERY_ROAD
@on_loop
async def test_a_closed_peer_answers_nothing(kind: str) -> None:
    async with road_to(kind, MemoryShelf()) as (road, address):
        peer = await road.connect(address, SERVER.public)
        await peer.close()
        await peer.close()
        with pytest.raises(UnavailableError):
            await peer.records([b"x" * 32])
