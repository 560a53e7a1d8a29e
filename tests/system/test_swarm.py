"""The swarm at the size of a community, in real processes. Minutes long."""

import asyncio
import os
import re
import signal
import sys
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from statistics import median
from time import perf_counter

import pytest

from protocol.identity import Key
from protocol.pointer import Pointer
from protocol.swarm.node import Swarm
from tests.protocol.swarm.net import KIND, ROUND, Net, Stock, entry, loopback, network, pointer
from tests.protocol.swarm.processes import Ends, Program, spawn

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="only Linux tells when another's child ends"),
]

NODES = 8
CONTRIBUTIONS = 500


@asynccontextmanager
async def programs(count: int) -> AsyncIterator[list[Program]]:
    """The first is the bootstrap of the others."""
    running = [await Program.start()]
    try:
        others = (Program.start(*running[0].began["addresses"]) for _ in range(count - 1))
        running += await asyncio.gather(*others)
        yield running
    finally:
        for program in running:
            if program.process.returncode is None:
                program.kill()
            await program.process.communicate()


class Attackers:
    """One that sits next to the key and keeps what it is given to itself, and one that offers all that is forbidden."""

    def __init__(self, *addresses: str) -> None:
        self._addresses = addresses
        self.old: list[Pointer] = []

    async def __aenter__(self) -> "Attackers":
        near = entry(pointer(Key.generate()))[0] ^ 1
        self.near = await Stock.start(*self._addresses, node_id=near)
        self.near.protocol.storage.store_subkey = lambda *_: True  # it says that it keeps what it drops
        self.busy = await Stock.start(*self._addresses)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.near.close()
        await self.busy.close()

    async def attack(self, victims: list[str]) -> int:
        """Everything to everybody; how much of it was taken. Forging comes last: it ends with a ban."""
        taken = 0
        mine = [pointer(Key.generate()) for _ in range(2000)]
        century = [entry(pointer(Key.generate(), 100 * 365 * 86400)) for _ in range(20)]
        replayed = [entry(each) for each in self.old]
        place, value, expiration, subkey = entry(mine[0])
        for victim in victims:
            await self.busy.offer(victim, *map(entry, mine))
            for offers in (replayed, century, [(place, value, expiration + 9, None)]):
                taken += sum(await self.busy.offer(victim, *offers) or ())
            forged = (place, value[:-1] + bytes([value[-1] ^ 1]), expiration + 9, subkey)
            taken += sum(await self.busy.offer(victim, forged) or ())
        return taken


def test_eight_nodes_find_five_hundred_contributions_whatever_dies_and_whoever_lies() -> None:
    async def scenario() -> None:
        async with programs(NODES) as running:
            honest, addresses = running[1:], [p.began["addresses"][0] for p in running]
            owner = Key.generate()
            async with Attackers(*addresses) as attackers:
                attackers.old = [pointer(owner, 60)]
                latest = pointer(owner, 3600, record_id=b"\x01" * 32)
                writer = await Swarm.start(loopback(Key.generate(), *addresses))
                await writer.publish(ROUND, latest)
                victims = [address.rpartition("/")[2] for address in addresses]
                attack = asyncio.create_task(attackers.attack(victims))
                share, rest = divmod(CONTRIBUTIONS, len(honest))
                await asyncio.gather(*(p.do(f"publish {share + (n < rest)}") for n, p in enumerate(honest)))
                assert await attack == 0, "something forbidden was taken"
                mine = {p.author for p in await writer.find(ROUND, KIND)}
                answers = await asyncio.gather(*(p.do("find") for p in running))
                assert {answer["count"] for answer in answers} == {len(mine)}
                assert len({answer["digest"] for answer in answers}) == 1
                assert len(mine) >= CONTRIBUTIONS + 1
                assert all(answer["refused"] for answer in answers), "every node was attacked"
                running[0].kill()
                await running[0].process.communicate()
                late = await Program.start(honest[0].began["addresses"][0])
                running.append(late)
                found = await late.do("find")
                assert (found["count"], found["digest"]) == (len(mine), answers[0]["digest"])
                assert (await writer.find(ROUND, KIND, [owner.public.point])) == [latest]
                await writer.close()

    asyncio.run(scenario())


def test_fifty_nodes_come_and_go_and_leave_nothing() -> None:
    files = Path("/proc/self/fd")
    before = folders()
    with network() as net:

        async def cycle() -> tuple[float, float]:
            began = perf_counter()
            node = await Swarm.start(loopback(Key.generate()))
            started = perf_counter()
            with Ends(node._daemon.pid) as p2pd:
                await node.publish(ROUND, pointer(Key.generate()))
                closing = perf_counter()
                await node.close()
                assert p2pd.within(0)
            return started - began, perf_counter() - closing

        net.run(cycle())
        held = len(list(files.iterdir()))
        times = [net.run(cycle()) for _ in range(50)]
        assert len(list(files.iterdir())) == held
    assert not folders() - before
    assert median(start for start, _ in times) < 1.5
    assert median(stop for _, stop in times) < 2


def test_a_node_killed_while_it_starts_leaves_nothing() -> None:
    before, chance = folders(), Random(7)  # noqa: S311

    async def scenario() -> None:
        for _ in range(20):
            process = await spawn()
            children: set[int] = set()
            with_child = asyncio.create_task(_first_child(process.pid, children))
            await with_child
            for _ in range(chance.randrange(200)):
                children |= _children(process.pid)
            children |= _children(process.pid)
            process.kill()
            await process.communicate()
            for pid in children:
                try:
                    ends = Ends(pid)
                except ProcessLookupError:
                    continue
                with ends:
                    assert ends.within(20), f"process {pid} is still there"
        assert not folders() - before

    asyncio.run(scenario())


async def _first_child(pid: int, into: set[int]) -> None:
    async with asyncio.timeout(30):
        while not into:
            into |= _children(pid)
            await asyncio.sleep(0)


def _children(pid: int) -> set[int]:
    found = Path(f"/proc/{pid}/task/{pid}/children")
    try:
        return set(map(int, found.read_text().split()))
    except OSError:
        return set()


def folders() -> set[str]:
    """What p2pds have left in the temporary folder."""
    return {path.name for path in Path(os.environ.get("TMPDIR", "/tmp")).glob("umm-p2pd-*")}  # noqa: S108


@pytest.mark.must("SWM-26")
def test_a_node_left_alone_finds_its_bootstrap_again_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("protocol.swarm.node.CHECK_SECONDS", 2.0)
    with network() as net:

        async def scenario() -> None:
            key = Key.generate()
            first = await net.node(key=key)
            address, mine = first.addresses[0], pointer(Key.generate())
            alone = await net.node(address)
            await alone.publish(ROUND, mine)
            await first.close()
            again = await net.node(key=key, listen=(address.rpartition("/p2p/")[0],))
            while await again.find(ROUND, KIND) != [mine]:
                await asyncio.sleep(0.1)  # until it comes; the scenario is bounded

        net.run(scenario())


def test_a_stock_hivemind_dht_is_good_enough_to_begin_with() -> None:
    async def scenario(net: Net) -> None:
        process = await asyncio.create_subprocess_exec(
            Path(sys.executable).with_name("hivemind-dht"),
            "--host_maddrs",
            "/ip4/127.0.0.1/tcp/0",
            stdout=PIPE,
            stderr=STDOUT,
            start_new_session=True,
        )
        try:
            assert process.stdout is not None
            while not (found := re.search(rb"--initial_peers (\S+)", await process.stdout.readline())):
                pass
            nodes = [await net.node(found[1].decode()) for _ in range(3)]
            assert not any(node.troubles for node in nodes)
            pointers = sorted((pointer(Key.generate()) for _ in nodes), key=lambda each: each.author)
            for node, each in zip(nodes, pointers, strict=True):
                await node.publish(ROUND, each)
            for node in nodes:
                assert await node.find(ROUND, KIND) == pointers
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            await process.communicate()

    with network() as net:
        net.run(scenario(net))


def test_storing_stays_as_quick_as_it_was() -> None:
    """5,000 pointers one after the other over four nodes; hivemind's peers would by then send megabytes for each."""
    with network() as net:

        async def scenario() -> list[float]:
            nodes, times = await net.nodes(4), []
            for number in range(5000):
                each = pointer(Key.generate())
                began = perf_counter()
                await nodes[number % 4].publish(ROUND, each)
                times.append(perf_counter() - began)
            found = await nodes[0].find(ROUND, KIND)
            assert len(found) == 5000
            return times

        async def bounded() -> list[float]:
            async with asyncio.timeout(600):
                return await scenario()

        times = net._runner.run(bounded())
    assert median(times) < 0.05
    assert median(times[-500:]) < 2 * median(times[100:600])
