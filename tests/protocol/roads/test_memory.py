import asyncio
from contextlib import aclosing

import pytest

from protocol.blobs.chunks import CHUNK_BYTES
from protocol.errors import UnavailableError, UsageError
from protocol.exchange.budget import Budget, Limits, Rate
from protocol.exchange.clock import HandClock
from protocol.exchange.interface import STALL_SECONDS
from protocol.exchange.server import Server
from protocol.exchange.shelf import MemoryShelf
from protocol.roads.memory import Host, Line, Links, MemoryRoad
from tests.protocol.exchange.loop import on_loop
from tests.protocol.keys import key

DATA = bytes(range(256)) * (CHUNK_BYTES // 256) * 3


class World:
    """Two places, "here" and "there", and a blob there."""

    def __init__(self, line: Line | None = None, seed: int = 0, limits: Limits | None = None) -> None:
        self.clock = HandClock()
        self.links = Links(self.clock, seed, line)
        self.shelf = MemoryShelf()
        self.blob = self.shelf.put_blob(DATA)
        self.budget = Budget(limits or Limits(), 0)
        self.hosts = {"there": Host(key(2).public, Server(self.shelf, self.budget, self.clock))}
        self.road = MemoryRoad(self.links, self.hosts, "here", key(1).public)


@on_loop
async def test_a_request_and_its_answer_each_take_the_delay_of_the_line() -> None:
    world = World(Line(delay=0.1))
    peer = await world.clock.finish(world.road.connect("there", None))
    assert world.clock.now() == pytest.approx(0.2)
    await world.clock.finish(peer.chunk_list(world.blob.id))
    assert world.clock.now() == pytest.approx(0.4)


@on_loop
async def test_the_rest_of_a_stream_follows_its_first_message_closely() -> None:
    world = World(Line(delay=0.1))
    peer = await world.clock.finish(world.road.connect("there", None))
    before = world.clock.now()

    async def get() -> bytes:
        return b"".join([chunk async for _, chunk in peer.chunks(world.blob.id, [0, 1, 2])])

    assert await world.clock.finish(get()) == DATA
    assert world.clock.now() - before == pytest.approx(0.2)


@on_loop
async def test_one_line_can_be_slower_than_the_others() -> None:
    world = World(Line(delay=0.1))
    world.links.set("there", "here", Line(delay=2))
    await world.clock.finish(world.road.connect("there", None))
    assert world.clock.now() == pytest.approx(4)


@on_loop
async def test_a_lost_message_is_given_up_after_the_stall() -> None:
    world = World(Line(loss=1))
    with pytest.raises(UnavailableError, match="nothing for"):
        await world.clock.finish(world.road.connect("there", None))
    assert world.clock.now() == pytest.approx(STALL_SECONDS)


async def fates(seed: int, traffic_elsewhere: int = 0) -> list[bool]:
    """Which of a hundred messages arrive."""
    world = World(Line(delay=0.01, jitter=0.05, loss=0.3), seed)
    arrived = []
    for _ in range(100):
        for _ in range(traffic_elsewhere):
            await asyncio.gather(world.clock.finish(world.links.carry("x", "y")), return_exceptions=True)
        try:
            await world.clock.finish(world.links.carry("here", "there"))
            arrived.append(True)
        except UnavailableError:
            arrived.append(False)
    return arrived


@on_loop
async def test_the_same_seed_gives_the_same_run_and_another_one_another() -> None:
    assert await fates(1) == await fates(1)
    assert await fates(1) != await fates(2)
    assert 50 < sum(await fates(1)) < 90


@on_loop
async def test_the_luck_of_a_line_does_not_depend_on_traffic_elsewhere() -> None:
    assert await fates(1, traffic_elsewhere=1) == await fates(1)


@on_loop
async def test_nothing_passes_a_partition_until_it_is_healed() -> None:
    world = World()
    world.links.partition(["here"], ["there"])
    with pytest.raises(UnavailableError):
        await world.clock.finish(world.road.connect("there", None))
    world.links.heal()
    await world.clock.finish(world.road.connect("there", None))


def test_whoever_is_in_no_group_reaches_only_the_likes_of_him() -> None:
    links = Links(HandClock())
    links.partition(["a", "b"], ["c"])
    reached = {(x, y) for x in "abcde" for y in "abcde" if x < y and links.passes(x, y)}
    assert reached == {("a", "b"), ("d", "e")}


@on_loop
async def test_a_peer_that_goes_down_in_the_middle_of_a_stream_falls_silent() -> None:
    world = World()
    peer = await world.clock.finish(world.road.connect("there", None))
    async with aclosing(peer.chunks(world.blob.id, [0, 1, 2])) as chunks:
        assert (await world.clock.finish(anext(chunks)))[0] == 0
        world.links.down("there")
        before = world.clock.now()
        with pytest.raises(UnavailableError, match="nothing for"):
            await world.clock.finish(anext(chunks))
        assert world.clock.now() - before == pytest.approx(STALL_SECONDS)
    assert world.budget.open_streams == 0
    world.links.up("there")
    await world.clock.finish(peer.chunk_list(world.blob.id))


@on_loop
async def test_a_message_on_its_way_when_the_line_is_cut_does_not_arrive() -> None:
    world = World(Line(delay=1))
    connecting = asyncio.create_task(world.road.connect("there", None))
    await world.clock.advance(0.5)
    world.links.down("there")
    with pytest.raises(UnavailableError):
        await world.clock.finish(connecting)


@on_loop
async def test_a_server_that_hangs_is_given_up() -> None:
    class Hanging(MemoryShelf):
        async def read_chunk(self, blob_id: bytes, index: int) -> bytes | None:
            await asyncio.Event().wait()
            return None

    world = World()
    world.hosts["there"] = Host(key(2).public, Server(Hanging(), world.budget, world.clock))
    peer = await world.road.connect("there", None)
    with pytest.raises(UnavailableError, match="nothing for"):
        await world.clock.finish(anext(peer.chunks(world.blob.id, [0])))
    assert world.budget.open_streams == 0


@on_loop
async def test_an_upload_limit_takes_its_time_by_the_clock() -> None:
    world = World(limits=Limits(upload=Rate(CHUNK_BYTES, 1)))
    peer = await world.clock.finish(world.road.connect("there", None))

    async def get() -> int:
        return len([chunk async for chunk in peer.chunks(world.blob.id, [0, 1, 2])])

    assert await world.clock.finish(get()) == 3
    assert world.clock.now() == pytest.approx(2.75, abs=0.1)


@pytest.mark.parametrize("line", [(-1, 0, 0), (0, -1, 0), (0, 0, -0.1), (0, 0, 1.1)])
def test_a_line_that_cannot_be_is_refused(line: tuple[float, float, float]) -> None:
    with pytest.raises(UsageError):
        Line(*line)
