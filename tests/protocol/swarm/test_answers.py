"""What a peer can do by answering, or by asking again and again: nothing of it is believed, or worked on unpaid."""

import asyncio
import secrets
from collections.abc import Iterator
from random import Random
from typing import Any, cast

import pytest

from protocol.errors import BusyError
from protocol.identity import Key
from protocol.swarm import company
from protocol.swarm.company import MAX_SAMPLES, SAMPLE, has_company
from protocol.swarm.kademlia import MAX_VALIDATIONS, VALIDATION_UNITS, DHTProtocol
from protocol.swarm.node import Swarm
from protocol.swarm.table import BUCKET_NODES
from tests.protocol.swarm.net import KIND, Net, Stock, entry, network, pointer

from hivemind.dht import protocol as upstream  # isort: skip  # after light, which the above import first
from hivemind.dht.routing import DHTID  # isort: skip
from hivemind.p2p import P2PContext, PeerID  # isort: skip
from hivemind.proto import dht_pb2  # isort: skip

QUICK_SECONDS = 5.0


class Hostile(upstream.DHTProtocol):  # type: ignore[misc]
    """Answers what the test wants."""

    result = dht_pb2.FindResult(type=dht_pb2.NOT_FOUND)
    stores = 0

    async def rpc_find(self, request: dht_pb2.FindRequest, context: object) -> dht_pb2.FindResponse:
        return dht_pb2.FindResponse(results=[self.result for _ in request.keys], peer=self.node_info)

    async def rpc_store(self, request: dht_pb2.StoreRequest, context: object) -> dht_pb2.StoreResponse:
        self.stores += 1
        await asyncio.sleep(QUICK_SECONDS)
        return dht_pb2.StoreResponse()


Hostile.__name__ = "DHTProtocol"  # the wire name of its handlers


class Pair:
    """One of ours and a hostile peer that it knows."""

    def __init__(self, net: Net) -> None:
        self.net = net
        net.run(self._start())

    async def _start(self) -> None:
        self.ours: Swarm = await self.net.node()
        self.peer: Stock = await self.net.stock(*self.ours.addresses, kind=Hostile)

    @property
    def protocol(self) -> DHTProtocol:
        return self.ours._protocol

    async def ask(self) -> Any:
        """What ours makes of its answer, at once."""
        async with asyncio.timeout(QUICK_SECONDS):
            return (await self.protocol.call_find(self.peer.peer_id, [DHTID(1)]) or {}).get(DHTID(1))


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    with network() as net:
        yield Pair(net)


@pytest.mark.must("SWM-20")
def test_a_peer_id_of_megabytes_holds_up_nobody(pair: Pair) -> None:
    result = dht_pb2.FindResult(type=dht_pb2.NOT_FOUND)
    good = b"\x12\x20" + secrets.token_bytes(32)
    for raw in (secrets.token_bytes(3_900_000), b"", good):
        result.nearest_node_ids.append(bytes(20))
        result.nearest_peer_ids.append(raw)
    pair.peer.protocol.result = result
    found = pair.net.run(pair.ask())
    assert found.named == [PeerID(good)], "the one that can exist"


@pytest.mark.must("SWM-20")
def test_one_answer_names_only_so_many(pair: Pair) -> None:
    result = dht_pb2.FindResult(type=dht_pb2.NOT_FOUND)
    result.nearest_peer_ids.extend(b"\x12\x20" + secrets.token_bytes(32) for _ in range(1000))
    pair.peer.protocol.result = result
    assert len(pair.net.run(pair.ask()).named) == BUCKET_NODES


@pytest.mark.must("SWM-16", "SWM-18")
@pytest.mark.parametrize("data", [b"", b"\xc9\xff\xff\xff\xff\x50", b"\xdd\x00\x3f\xff\x00" + b"\x01" * 0x3FFF00])
def test_what_is_no_dictionary_is_none(pair: Pair, data: bytes) -> None:
    pair.peer.protocol.result = dht_pb2.FindResult(type=dht_pb2.FOUND_DICTIONARY, value=data)
    before = pair.ours.refused.get("dictionary", 0)
    assert pair.net.run(pair.ask()).values == []
    assert pair.ours.refused["dictionary"] == before + 1


@pytest.mark.must("SWM-15", "SWM-23")
def test_a_node_id_that_is_none_ends_nothing(pair: Pair) -> None:
    info = pair.peer.protocol.node_info
    pair.peer.protocol.node_info = dht_pb2.NodeInfo(node_id=b"\xff" * 21)

    async def scenario() -> None:
        control = await pair.net.stock()
        await control.daemon.p2p._client.connect(pair.peer.peer_id, pair.peer.daemon.p2p._visible_maddrs)
        with pytest.raises(AssertionError):
            await control.protocol.call_ping(pair.peer.peer_id)
        other = await pair.net.node(pair.peer.address)
        assert "does not take part" in other.troubles[pair.peer.address]
        assert not await other._protocol.call_ping(pair.peer.peer_id)
        assert not await has_company(other._protocol, Random(1))  # noqa: S311
        assert await other.publish(bytes(32), pointer(Key.generate(), round_id=bytes(32))) == 0
        await other.close()

    try:
        pair.net.run(scenario())
    finally:
        pair.peer.protocol.node_info = info


@pytest.mark.must("SWM-15")
def test_nothing_is_done_for_who_has_used_up_its_share(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    spent: list[int] = []

    def spend(peer: object, units: int, now: float) -> bool:
        spent.append(units)
        return False

    monkeypatch.setattr(pair.protocol.guard, "spend", spend)
    context = P2PContext("", pair.protocol.p2p.peer_id, pair.peer.peer_id)
    info = pair.peer.protocol.node_info
    nested = dht_pb2.StoreRequest(keys=[bytes(20)], subkeys=[b""], values=[b"\xc7" * 1000], expiration_time=[1.0])
    asked: list[Any] = [
        pair.protocol.rpc_ping(dht_pb2.PingRequest(peer=info), context),
        pair.protocol.rpc_ping(dht_pb2.PingRequest(peer=info, validate=True), context),
        pair.protocol.rpc_find(dht_pb2.FindRequest(keys=[bytes(20)] * 64), context),
        pair.protocol.rpc_store(nested, context),
    ]
    for each in asked:
        with pytest.raises(BusyError):
            pair.net.run(each)
    assert spent == [1, VALIDATION_UNITS, 64, 1]


@pytest.mark.must("SWM-15", "SWM-24")
def test_peers_that_ask_to_be_called_back_hold_up_no_calls_of_ours(pair: Pair) -> None:
    protocol, peer = pair.protocol, pair.peer.peer_id
    request = dht_pb2.PingRequest(peer=pair.peer.protocol.node_info, validate=True)

    async def scenario() -> None:
        for _ in range(MAX_VALIDATIONS):
            await protocol._validations.acquire()
        waiting = asyncio.create_task(protocol.rpc_ping(request, P2PContext("", protocol.p2p.peer_id, peer)))
        assert await protocol.call_ping(peer)
        assert not waiting.done()
        for _ in range(MAX_VALIDATIONS):
            protocol._validations.release()
        assert (await waiting).available

    pair.net.run(scenario())


@pytest.mark.must("SWM-15")
def test_who_comes_and_goes_is_handed_one_thing_at_a_time(pair: Pair) -> None:
    place, value, expiration, subkey = entry(pointer(Key.generate()))
    pair.ours._storage.take(place, subkey, value, expiration, None)
    protocol, peer = pair.protocol, pair.peer
    answer = dht_pb2.PingResponse(peer=peer.protocol.node_info)

    async def appear() -> None:
        peer.protocol.stores = 0
        for _ in range(50):
            protocol.table.silent(peer.peer_id)
            protocol._meet(peer.peer_id, answer)
            await asyncio.sleep(0)
        async with asyncio.timeout(QUICK_SECONDS):
            while protocol._handed:
                await asyncio.sleep(0.01)  # until it is given up
        assert peer.protocol.stores == 1

    pair.net.run(appear())


def test_looking_for_company_ends_however_many_are_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    class Silent:
        asked = 0
        peers = tuple(range(1000))

        async def call_ping(self, peer: int) -> bool:
            self.asked += 1
            return False

    silent = Silent()
    assert not asyncio.run(has_company(cast(DHTProtocol, silent), Random(1)))  # noqa: S311
    assert silent.asked == MAX_SAMPLES * SAMPLE

    class Slow(Silent):
        async def call_ping(self, peer: int) -> bool:
            await asyncio.Event().wait()
            return True

    monkeypatch.setattr(company, "COMPANY_SECONDS", 0.01)
    assert not asyncio.run(has_company(cast(DHTProtocol, Slow()), Random(1)))  # noqa: S311


@pytest.mark.must("SWM-22", "SWM-26")
def test_a_duty_that_fails_is_taken_up_again(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr("protocol.swarm.node.TELL_SECONDS", 0.01)
    with network() as net:

        async def scenario() -> None:
            node, failed, mine = await net.node(), asyncio.Event(), pointer(Key.generate())
            tell = node.republish

            async def fail_once() -> None:
                node.republish = tell_again  # type: ignore[method-assign]
                raise ZeroDivisionError

            async def tell_again() -> None:
                await tell()
                failed.set()

            node.republish = fail_once  # type: ignore[method-assign]
            await failed.wait()
            await node.publish(mine.round_id, mine)
            assert await node.find(mine.round_id, KIND) == [mine]
            await node.close()

        net.run(scenario())
    assert "ZeroDivisionError" in caplog.text
