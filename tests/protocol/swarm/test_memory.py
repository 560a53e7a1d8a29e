import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from protocol.errors import UnavailableError, UsageError
from protocol.exchange.clock import HandClock
from protocol.exchange.interface import Road
from protocol.exchange.shelf import MemoryShelf
from protocol.pointer import Kind, Pointer
from protocol.roads.memory import Line
from protocol.swarm.interface import Directory
from protocol.swarm.locations import CROWDED
from protocol.swarm.memory import MemoryNode, MemorySwarm
from tests.protocol.exchange.loop import on_loop
from tests.protocol.keys import key

NOW = 1_750_000_000.0
ROUND, OTHER = b"r" * 32, b"o" * 32
HOUR = 3600


def pointer(author: int, expires_in: float = HOUR, **changed: object) -> Pointer:
    """A pointer by the key with this number."""
    usual = {"round_id": ROUND, "kind": Kind.CONTRIBUTION, "record_id": author.to_bytes(32, "big"), "size": 100}
    return Pointer.sign(key(author), expiration=int(NOW + expires_in), **(usual | changed))  # type: ignore[arg-type]


@asynccontextmanager
async def swarm_of(
    count: int, line: Line | None = None, seed: int = 0
) -> AsyncGenerator[tuple[MemorySwarm, HandClock], None]:
    """Nodes at the places n1, n2, …, whose keys are 101, 102, …"""
    clock = HandClock(NOW)
    swarm = MemorySwarm(clock, seed, line)
    for number in range(1, count + 1):
        swarm.join(key(100 + number), MemoryShelf(), f"n{number}")
    try:
        yield swarm, clock
    finally:
        await swarm.close()


async def found(node: MemoryNode, clock: HandClock) -> list[Pointer]:
    return await clock.finish(node.find(ROUND, Kind.CONTRIBUTION))


@on_loop
async def test_it_is_a_directory_with_a_road() -> None:
    async with swarm_of(2) as (swarm, _):
        directory: Directory = swarm.nodes["n1"]
        road: Road = swarm.nodes["n1"].road
        assert (await road.connect("n2", key(102).public)).identity == key(102).public
        assert await directory.find(ROUND, Kind.ROUND) == []


@on_loop
async def test_what_one_publishes_all_others_find_in_order_of_author_and_slot() -> None:
    async with swarm_of(8) as (swarm, clock):
        made = [pointer(1), pointer(2), pointer(2, slot=3), pointer(3)]
        for node, one in zip(swarm.nodes.values(), made, strict=False):
            assert await node.publish(ROUND, one) == 7
        for node in swarm.nodes.values():
            assert await found(node, clock) == sorted(made, key=lambda p: p.subkey)


@on_loop
async def test_kinds_rounds_and_authors_are_kept_apart() -> None:
    async with swarm_of(3) as (swarm, _):
        node = swarm.nodes["n1"]
        await node.publish(ROUND, pointer(1), pointer(2), pointer(1, kind=Kind.BALLOT))
        await node.publish(OTHER, pointer(1, round_id=OTHER))
        other = swarm.nodes["n2"]
        assert await other.find(ROUND, Kind.BALLOT) == [pointer(1, kind=Kind.BALLOT)]
        assert await other.find(OTHER, Kind.CONTRIBUTION) == [pointer(1, round_id=OTHER)]
        assert await other.find(ROUND, Kind.CONTRIBUTION, [key(2).public.point]) == [pointer(2)]
        assert await other.find(ROUND, Kind.CONTRIBUTION, []) == []


@on_loop
async def test_a_pointer_that_must_not_be_published_is_refused() -> None:
    async with swarm_of(1) as (swarm, _):
        node = swarm.nodes["n1"]
        for wrong in (pointer(1, round_id=OTHER), pointer(1, expires_in=-1), pointer(1, expires_in=25 * HOUR)):
            with pytest.raises(UsageError):
                await node.publish(ROUND, wrong)
        assert await node.find(ROUND, Kind.CONTRIBUTION) == []


@on_loop
async def test_the_later_expiration_counts_whichever_comes_first() -> None:
    async with swarm_of(3) as (swarm, clock):
        early, late = pointer(1, HOUR, size=1), pointer(1, 2 * HOUR, size=2)
        await swarm.nodes["n1"].publish(ROUND, late)
        await swarm.nodes["n2"].publish(ROUND, early)
        assert await found(swarm.nodes["n3"], clock) == [late]


@on_loop
async def test_a_pointer_of_somebody_else_is_told_until_it_expires_and_no_longer() -> None:
    async with swarm_of(3) as (swarm, clock):
        await swarm.nodes["n1"].publish(ROUND, pointer(1))
        await clock.advance(HOUR - 1)
        assert await found(swarm.nodes["n2"], clock) == [pointer(1)]
        await clock.advance(1)
        assert await found(swarm.nodes["n2"], clock) == []


@on_loop
async def test_an_own_pointer_is_renewed_until_it_is_forgotten() -> None:
    async with swarm_of(3) as (swarm, clock):
        own = pointer(101)
        await swarm.nodes["n1"].publish(ROUND, own)
        await clock.advance(10 * HOUR)
        (still,) = await found(swarm.nodes["n2"], clock)
        assert (still.record_id, still.author) == (own.record_id, own.author)
        await swarm.nodes["n1"].forget(ROUND, own)
        await clock.advance(3 * HOUR)
        assert await found(swarm.nodes["n2"], clock) == []


@on_loop
async def test_a_node_that_joins_late_finds_what_was_told_before() -> None:
    async with swarm_of(4) as (swarm, clock):
        await swarm.nodes["n1"].publish(ROUND, pointer(1))
        late = swarm.join(key(99), MemoryShelf())
        assert await found(late, clock) == [pointer(1)]


@on_loop
async def test_pointers_outlive_the_node_that_told_them() -> None:
    async with swarm_of(8) as (swarm, clock):
        await swarm.nodes["n1"].publish(ROUND, pointer(1))
        await swarm.nodes["n1"].close()
        assert await found(swarm.nodes["n2"], clock) == [pointer(1)]
        with pytest.raises(UnavailableError):
            await clock.finish(swarm.nodes["n2"].road.connect("n1", None))


@on_loop
async def test_each_side_of_a_partition_sees_its_own_and_afterwards_both_see_all() -> None:
    async with swarm_of(6) as (swarm, clock):
        swarm.links.partition(["n1", "n2", "n3"], ["n4", "n5", "n6"])
        await clock.finish(swarm.nodes["n1"].publish(ROUND, pointer(1)))
        await clock.finish(swarm.nodes["n4"].publish(ROUND, pointer(2)))
        assert await found(swarm.nodes["n2"], clock) == [pointer(1)]
        assert await found(swarm.nodes["n5"], clock) == [pointer(2)]
        swarm.links.heal()
        both = sorted([pointer(1), pointer(2)], key=lambda p: p.subkey)
        assert await found(swarm.nodes["n2"], clock) == both
        assert await found(swarm.nodes["n5"], clock) == both


@on_loop
async def test_loss_delays_discovery_but_telling_again_makes_good_for_it() -> None:
    async with swarm_of(10, Line(delay=0.05, jitter=0.05, loss=0.3), seed=7) as (swarm, clock):
        made = [pointer(number, 4 * HOUR) for number in range(1, 11)]
        for node, one in zip(swarm.nodes.values(), made, strict=True):
            await clock.finish(node.publish(ROUND, one))
        await clock.advance(3 * HOUR)
        for node in swarm.nodes.values():
            seen = {p.author for _ in range(3) for p in await found(node, clock)}
            assert seen == {p.author for p in made}


async def history(seed: int) -> list[tuple[str, float, int]]:
    """A run with losses, and when everybody knew how much."""
    async with swarm_of(6, Line(delay=0.05, jitter=0.2, loss=0.4), seed) as (swarm, clock):
        nodes = list(swarm.nodes.values())
        for number, node in enumerate(nodes, 1):
            await clock.finish(node.publish(ROUND, pointer(number)))
        return [(node.address, clock.now(), len(await found(node, clock))) for node in nodes]


@on_loop
async def test_the_same_seed_gives_the_same_history() -> None:
    assert await history(3) == await history(3)
    assert await history(3) != await history(4)


@on_loop
async def test_a_round_too_large_for_one_dictionary_is_found_whole() -> None:
    async with swarm_of(3) as (swarm, clock):
        made = [pointer(author, slot=slot) for author in range(1, 3 * CROWDED // 8) for slot in range(8)]
        await swarm.nodes["n1"].publish(ROUND, *made)
        assert await found(swarm.nodes["n2"], clock) == sorted(made, key=lambda p: p.subkey)


@on_loop
async def test_a_dictionary_has_a_limit_and_room_again_when_its_entries_expire(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("protocol.swarm.memory.MAX_DICTIONARY_ENTRIES", 2)
    async with swarm_of(1) as (swarm, clock):
        node = swarm.nodes["n1"]
        assert [node.keep(b"p" * 20, pointer(n)) for n in (1, 2, 3)] == [True, True, False]
        assert node.keep(b"p" * 20, pointer(1, 2 * HOUR)), "a renewal needs no room"
        await clock.advance(HOUR)
        assert node.keep(b"p" * 20, pointer(3, 3 * HOUR))


@pytest.mark.slow
@on_loop
async def test_telling_of_the_hundred_thousandth_contribution_takes_no_longer_than_of_the_first() -> None:
    async with swarm_of(6) as (swarm, _):
        node, seconds = swarm.nodes["n1"], list[float]()
        for author in range(1, 12_501):
            for one in [pointer(author, 2 * HOUR, slot=slot) for slot in range(8)]:
                start = time.perf_counter()
                await node.publish(ROUND, one)
                seconds.append(time.perf_counter() - start)
        tenth = len(seconds) // 10
        first, last = sorted(seconds[:tenth]), sorted(seconds[-tenth:])
        assert last[tenth // 2] < 2 * first[tenth // 2]
        assert sorted(seconds)[len(seconds) * 99 // 100] < 0.05
        assert len(await swarm.nodes["n2"].find(ROUND, Kind.CONTRIBUTION)) == 100_000


@on_loop
async def test_closing_leaves_no_task_behind() -> None:
    async with swarm_of(3) as (swarm, _):
        for node in swarm.nodes.values():
            await node.publish(ROUND, pointer(1))
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert not swarm.nodes


@on_loop
async def test_two_nodes_cannot_be_at_one_place() -> None:
    async with swarm_of(1) as (swarm, _):
        with pytest.raises(UsageError):
            swarm.join(key(5), MemoryShelf(), "n1")
