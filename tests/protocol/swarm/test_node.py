"""Our node among others, on loopback."""

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from protocol.errors import EnvironmentFault, UsageError
from protocol.identity import Key
from protocol.pointer import Kind
from protocol.swarm.company import has_company
from protocol.swarm.config import Config
from protocol.swarm.interface import Directory
from protocol.swarm.node import Swarm
from protocol.swarm.schedule import LIFETIME_SECONDS
from tests.protocol.swarm.net import KIND, ROUND, Clock, Net, entry, network, pointer

from hivemind.dht import protocol as upstream  # isort: skip  # after hivemind_light, which the above import first
from hivemind.proto import dht_pb2  # isort: skip


class Late(upstream.DHTProtocol):  # type: ignore[misc]
    """Its clock is ten seconds behind."""

    async def rpc_ping(self, request: dht_pb2.PingRequest, context: object) -> dht_pb2.PingResponse:
        answer = await super().rpc_ping(request, context)
        answer.dht_time -= 10
        return answer


Late.__name__ = "DHTProtocol"  # the wire name of its handlers


@pytest.fixture(scope="module")
def net() -> Iterator[Net]:
    with network() as found:
        yield found


@pytest.fixture(scope="module")
def three(net: Net) -> list[Swarm]:
    return net.run(net.nodes(3))


@pytest.mark.must("SWM-9", "SWM-19", "SWM-21")
def test_what_one_publishes_all_find(net: Net, three: list[Swarm]) -> None:
    directory: Directory = three[0]
    mine = pointer(Key.generate(), round_id=b"\x01" * 32)

    async def scenario() -> None:
        assert await directory.publish(mine.round_id, mine) == 2
        for node in three:
            assert await node.find(mine.round_id, KIND) == [mine]
            assert await node.find(mine.round_id, KIND, [mine.author]) == [mine]
            assert await node.find(mine.round_id, KIND, [Key.generate().public.point]) == []
            assert await node.find(mine.round_id, Kind.VOTE) == []
            assert await node.find(b"\x02" * 32, KIND) == []

    net.run(scenario())


@pytest.mark.must("SWM-7")
def test_the_pointer_that_expires_last_counts(net: Net, three: list[Swarm]) -> None:
    key = Key.generate()
    old, new = (pointer(key, life, round_id=b"\x03" * 32, record_id=bytes([life % 251]) * 32) for life in (600, 1200))

    async def scenario() -> None:
        await three[0].publish(old.round_id, new)
        await three[1].publish(old.round_id, old)
        assert await three[2].find(old.round_id, KIND) == [new]

    net.run(scenario())


@pytest.mark.must("SWM-12", "SWM-14")
def test_a_round_too_large_for_one_dictionary_is_found_whole(net: Net, three: list[Swarm]) -> None:
    crowd = [pointer(Key.generate(), round_id=b"\x04" * 32) for _ in range(600)]

    async def scenario() -> None:
        client = await net.node(*three[0].addresses, client=True, listen=())  # which nobody asks for what it has
        await client.publish(b"\x04" * 32, *crowd)
        await client.close()
        found = await three[2].find(b"\x04" * 32, KIND)
        assert {p.author for p in found} == {p.author for p in crowd}
        first = three[2]._storage.get(entry(crowd[0])[0])
        assert first is not None
        assert len(first.value) < len(crowd), "the first dictionary did not take them all"

    net.run(scenario())


def test_what_cannot_be_published_is_not(net: Net, three: list[Swarm]) -> None:
    for wrong in (pointer(Key.generate(), -1), pointer(Key.generate(), 25 * 3600)):
        with pytest.raises(UsageError):
            net.run(three[0].publish(ROUND, wrong))
    with pytest.raises(UsageError):
        net.run(three[0].publish(b"\xff" * 32, pointer(Key.generate())))


@pytest.mark.must("SWM-22")
def test_a_node_goes_on_telling_what_it_published_until_it_is_told_to_forget() -> None:
    clock, key = Clock(), Key.generate()
    mine, other = pointer(key, LIFETIME_SECONDS), pointer(Key.generate(), LIFETIME_SECONDS)
    with network() as net:

        async def scenario() -> None:
            teller = await net.node(key=key, clock=clock)
            await teller.publish(ROUND, mine, other)
            reader = await net.node(*teller.addresses)
            clock.ahead = LIFETIME_SECONDS / 2
            await teller.republish()
            found = {p.author: p for p in await reader.find(ROUND, KIND)}
            assert found[mine.author].expiration >= mine.expiration + LIFETIME_SECONDS / 2 - 5
            assert found[other.author] == other
            await teller.forget(ROUND, mine)
            clock.ahead = LIFETIME_SECONDS
            await teller.republish()
            again = {p.author: p for p in await reader.find(ROUND, KIND)}
            assert again[mine.author] == found[mine.author]

        net.run(scenario())


@pytest.mark.must("SWM-25")
def test_a_client_publishes_and_finds_but_is_asked_nothing(net: Net, three: list[Swarm]) -> None:
    mine = pointer(Key.generate(), round_id=b"\x05" * 32)

    async def scenario() -> None:
        client = await net.node(*three[0].addresses, client=True, listen=())
        assert client.addresses == []
        await client.publish(mine.round_id, mine)
        assert await client.find(mine.round_id, KIND) == [mine]
        assert await three[1].find(mine.round_id, KIND) == [mine]
        assert client.peer_id not in three[0].peers
        assert len(client.peers) == 3

    net.run(scenario())


def test_a_node_that_cannot_be_dialled_is_reached_through_a_relay() -> None:
    large = 1024 * 1024  # a relay that does not know that it is public would cut after 128 KiB

    async def serve(info: object, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(bytes(large))
        await reader.read()
        writer.close()

    with network() as net:

        async def scenario() -> None:
            relay = await net.node(relay=True)
            hidden = await net.node(*relay.addresses, relays=tuple(relay.addresses), listen=())
            mine = pointer(Key.generate())
            await hidden.publish(ROUND, mine)
            await hidden.p2p.add_binary_stream_handler("serve", serve)
            other = await net.node(*hidden.addresses)
            while other.troubles:  # the relay makes its reservation in its own time; the scenario is bounded
                await other.join()
            assert hidden.addresses == [f"{relay.addresses[0]}/p2p-circuit/p2p/{hidden.peer_id}"]
            assert await other.find(ROUND, KIND) == [mine]
            _, reader, writer = await other.p2p.call_binary_stream_handler(hidden.p2p.peer_id, "serve")
            assert len(await reader.readexactly(large)) == large
            writer.close()

        net.run(scenario())


def test_a_node_tells_the_address_that_it_was_told_to_tell(net: Net) -> None:
    async def scenario() -> None:
        node = await net.node(announce=("/ip4/192.0.2.7/tcp/7400",))
        assert node.addresses == [f"/ip4/192.0.2.7/tcp/7400/p2p/{node.peer_id}"]
        await node.close()

    net.run(scenario())


def test_a_port_that_is_taken_is_said_to_be(net: Net, three: list[Swarm]) -> None:
    taken = three[0].addresses[0].rpartition("/p2p/")[0]
    with pytest.raises(EnvironmentFault, match="Address already in use"):
        net.run(net.node(listen=(taken,)))


def test_what_p2pd_says_when_it_does_not_start_is_passed_on(net: Net) -> None:
    with pytest.raises(EnvironmentFault, match=r"p2pd does not run here: .*nonsense"):
        net.run(net.node(listen=("/ip4/127.0.0.1/tcp/0/nonsense",)))


@pytest.mark.parametrize(
    "wrong",
    [
        {"listen": ("/ip4/0.0.0.0/udp/0/quic-v1",)},
        {"listen": ("0.0.0.0:7400",)},
        {"listen": ("/ip4/0.0.0.0/tcp/0,/ip4/0.0.0.0/tcp/1",)},
        {"announce": ("/ip4/192.0.2.7/tcp/0",)},
        {"bootstrap": ("/ip4/192.0.2.7/tcp/7400",)},
        {"bootstrap": ("/ip4/192.0.2.7/tcp/7400/p2p/",)},
        {"bootstrap": ("/ip4/192.0.2.7/tcp/7400/p2p/Qm",) * 33},
        {"relays": ("/ip4/192.0.2.7/tcp/7400",)},
        {"relay": True, "client": True},
    ],
    ids=str,
)
def test_what_cannot_be_is_refused_before_anything_is_started(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Config(key=Key.generate(), clock=Clock(), **wrong)


@pytest.mark.must("SWM-24")
def test_each_address_that_does_not_work_is_named_with_the_reason(net: Net, three: list[Swarm]) -> None:
    good = three[0].addresses[0]
    wrong_key = good.rsplit("/", 1)[0] + "/" + Key.generate().public.peer_id
    nobody = "/ip4/127.0.0.1/tcp/1/p2p/" + Key.generate().public.peer_id

    async def scenario() -> None:
        node = await net.node(wrong_key, nobody, good)
        assert set(node.troubles) == {wrong_key, nobody}
        assert "no connection" in node.troubles[nobody]
        assert len(node.peers) >= 3
        await node.close()

    net.run(scenario())


@pytest.mark.must("SWM-24")
def test_a_node_whose_clock_is_wrong_is_told_so(net: Net) -> None:
    async def scenario() -> None:
        other = await net.stock(kind=Late)
        alone = await net.node(other.address)
        assert "local time must be within 3 seconds" in alone.troubles[other.address]

    net.run(scenario())


@pytest.mark.must("SWM-26")
def test_a_node_that_was_alone_finds_the_others_when_they_come() -> None:
    with network() as net:

        async def scenario() -> None:
            first = await net.node()
            first_addresses = first.addresses
            alone = await net.node(*first_addresses)
            await first.close()
            assert not await has_company(alone._protocol, Random(1))  # noqa: S311
            assert alone.peers == []
            mine = pointer(Key.generate())
            assert await alone.publish(ROUND, mine) == 0
            assert await alone.find(ROUND, KIND) == [mine]
            assert not await alone.join()
            assert list(alone.troubles) == first_addresses
            met = await net.node()
            alone._known = met.addresses
            assert await alone.join()
            assert alone.peers == [met.peer_id]
            assert await has_company(alone._protocol, Random(1))  # noqa: S311
            assert await met.find(ROUND, KIND) == [mine]

        net.run(scenario())


@pytest.mark.must("SWM-27")
def test_a_node_whose_p2pd_is_killed_comes_back_by_itself() -> None:
    async def echo(info: object, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readexactly(5))
        await writer.drain()
        await reader.read()
        writer.close()

    with network() as net:

        async def scenario() -> None:
            first, second, third = await net.nodes(3)
            mine = pointer(Key.generate())
            await second.publish(ROUND, mine)
            await second.p2p.add_binary_stream_handler("echo", echo)
            addresses, back = second.addresses, asyncio.Event()
            tell = second._tell

            async def told(pointers: object) -> int:
                copies = await tell(pointers)  # type: ignore[arg-type]
                if pointers:  # and not only a look at the schedule
                    back.set()
                return copies

            second._tell = told  # type: ignore[method-assign]
            os.kill(second._daemon.pid, signal.SIGKILL)
            await back.wait()
            assert second.addresses == addresses
            assert await second.find(ROUND, KIND) == [mine]
            _, reader, writer = await third.p2p.call_binary_stream_handler(second.p2p.peer_id, "echo")
            writer.write(b"hello")
            assert await reader.readexactly(5) == b"hello"
            writer.close()
            for node in (first, third):
                assert await node.find(ROUND, KIND) == [mine]

        net.run(scenario())


def open_files() -> int:
    """Of this process, where the system says so."""
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.is_dir() else 0


@pytest.mark.must("SWM-28")
def test_nothing_is_left_of_a_node_that_was_closed() -> None:
    with network() as net:

        async def scenario() -> None:
            before = asyncio.all_tasks()
            files = open_files()
            node = await net.node()
            pid, folder = node._daemon.pid, node._daemon.folder
            assert folder.stat().st_mode & 0o777 == 0o700
            assert not (folder / "identity").exists()
            await node.close()
            await node.close()
            assert not folder.exists()
            with pytest.raises(ProcessLookupError):
                os.kill(pid, 0)
            assert asyncio.all_tasks() == before
            assert open_files() == files
            with pytest.raises(UsageError):
                await node.find(ROUND, KIND)

        net.run(scenario())
