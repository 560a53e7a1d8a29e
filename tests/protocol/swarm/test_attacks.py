"""What an attacker can do in a real swarm: each attack is shown to work on a peer that keeps to hivemind's rules."""

import dataclasses
import math
import secrets
from collections.abc import Iterator

import pytest

from protocol.identity import Key
from protocol.pointer import DOMAIN, Pointer
from protocol.swarm.guard import BAN_SECONDS
from protocol.swarm.kademlia import MAX_KEYS
from protocol.swarm.node import Swarm
from protocol.swarm.offers import MAX_OFFERED
from protocol.swarm.storage import MAX_ENTRIES_OF_A_PEER
from protocol.swarm.table import place_of
from protocol.swarm.validator import packed
from tests.protocol.swarm.net import KIND, ROUND, Clock, Net, Stock, entry, network, pointer

from hivemind.dht import protocol as upstream  # isort: skip  # after hivemind_light, which the above import first
from hivemind.dht.routing import DHTID  # isort: skip
from hivemind.dht.storage import DictionaryDHTValue  # isort: skip
from hivemind.p2p import PeerID  # isort: skip
from hivemind.proto import dht_pb2  # isort: skip


class Scene:
    """One of our nodes, one that checks nothing, and an attacker who knows both."""

    def __init__(self, net: Net) -> None:
        self.net, self.clock, self.round = net, Clock(), bytes(32)
        net.run(self._start())

    async def _start(self) -> None:
        self.ours: Swarm = await self.net.node(clock=self.clock)
        self.naive: Stock = await self.net.stock(*self.ours.addresses)
        self.attacker: Stock = await self.net.stock(*self.ours.addresses, self.naive.address)

    async def offer(self, *entries: tuple[DHTID, bytes, float, bytes | None]) -> tuple[list[bool] | None, object]:
        """To both: what ours answers, and what the naive one does."""
        self.clock.ahead += BAN_SECONDS  # what was tried before is forgiven
        to_ours = await self.attacker.offer(self.ours.peer_id, *entries)
        return to_ours, await self.attacker.offer(self.naive.peer_id, *entries)

    def attack(self, *entries: tuple[DHTID, bytes, float, bytes | None]) -> tuple[list[bool] | None, object]:
        return self.net.run(self.offer(*entries))

    def pointer(self, key: Key, lifetime: int = 6 * 3600, **changed: object) -> Pointer:
        """One for the round of this test."""
        return pointer(key, lifetime, round_id=self.round, **changed)

    def found(self) -> list[Pointer]:
        return self.net.run(self.ours.find(self.round, KIND))


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    with network() as net:
        yield Scene(net)


@pytest.fixture(autouse=True)
def fresh(request: pytest.FixtureRequest) -> None:
    """Each test has a round of its own."""
    if "scene" in request.fixturenames:
        request.getfixturevalue("scene").round = secrets.token_bytes(32)


@pytest.fixture
def victim(scene: Scene) -> Pointer:
    """Somebody's pointer that both nodes keep."""
    found = scene.pointer(Key.generate())
    ours, naive = scene.attack(entry(found))
    assert ours == naive == [True], "the control: a good pointer is kept"
    return found


def forged(of: Pointer, **changed: object) -> bytes:
    """What the attacker would like it to say, under the signature that there is."""
    fake = object.__new__(Pointer)
    for field in dataclasses.fields(Pointer):
        object.__setattr__(fake, field.name, changed.get(field.name, getattr(of, field.name)))
    return packed(fake.encode())


@pytest.mark.must("SWM-2", "SWM-10")
def test_a_forged_pointer_replaces_nothing(scene: Scene, victim: Pointer) -> None:
    place, _, _, subkey = entry(victim)
    later = victim.expiration + 60
    value = forged(victim, expiration=later, record_id=b"\xee" * 32)
    assert scene.attack((place, value, float(later), subkey)) == ([False], [True])
    assert victim in scene.found()
    assert scene.naive.keeps(place)[subkey] == value  # type: ignore[index, call-overload]


@pytest.mark.must("SWM-10")
def test_nobody_writes_in_the_place_of_another(scene: Scene, victim: Pointer) -> None:
    place, _, _, subkey = entry(victim)
    mine = scene.pointer(Key.generate(), 7 * 3600)
    assert scene.attack((place, packed(mine.encode()), float(mine.expiration), subkey)) == ([False], [True])
    assert victim in scene.found()
    assert mine not in scene.found()


@pytest.mark.must("SWM-10")
def test_nobody_writes_where_only_the_author_can(scene: Scene, victim: Pointer) -> None:
    place, *_ = entry(victim, 3)
    _, value, expiration, subkey = entry(scene.pointer(Key.generate()))
    assert scene.attack((place, value, expiration, subkey)) == ([False], [True])


@pytest.mark.must("SWM-6", "SWM-10")
def test_nobody_squats_for_a_century(scene: Scene) -> None:
    century = scene.pointer(Key.generate(), 100 * 365 * 86400)
    assert scene.attack(entry(century)) == ([False], [True])
    honest = scene.pointer(Key.generate())
    place, value, _, subkey = entry(honest)
    assert scene.attack((place, value, float("inf"), subkey)) == ([False], [True])
    assert century not in scene.found()


@pytest.mark.must("SWM-10")
@pytest.mark.parametrize("subkey", [None, b"reserved", "text", 7, b"x" * 33])
def test_a_value_of_another_shape_replaces_no_dictionary(scene: Scene, victim: Pointer, subkey: object) -> None:
    place, value, expiration, _ = entry(victim)
    assert scene.attack((place, value, expiration + 60, subkey)) == ([False], [True])  # type: ignore[arg-type]
    assert victim in scene.found()
    if subkey is None:
        assert isinstance(scene.naive.keeps(place), bytes), "the whole dictionary was replaced"


@pytest.mark.must("SWM-4", "SWM-10")
def test_a_key_has_eight_slots_and_no_room_for_more(scene: Scene) -> None:
    key = Key.generate()
    good = scene.pointer(key, slot=7)
    body = bytearray(good.encode()[: -len(good.signature)])
    body[2] = 8
    ninth = packed(bytes(body) + key.sign(DOMAIN, bytes(body)))
    place, _, expiration, _ = entry(good)
    assert scene.attack((place, ninth, expiration, good.author + b"\x08")) == ([False], [True])
    large = packed(good.encode() + bytes(60_000))
    assert scene.attack((place, large, expiration - 60, good.subkey)) == ([False], [True])
    assert scene.attack(entry(good)) == ([True], [True])


@pytest.mark.must("SWM-14", "SWM-12", "SWM-13")
def test_a_flood_from_one_peer_hides_nobody(scene: Scene) -> None:
    crowd = [scene.pointer(Key.generate()) for _ in range(MAX_ENTRIES_OF_A_PEER + 40)]
    ours, naive = scene.attack(*map(entry, crowd))
    assert ours is not None
    assert sum(ours) <= MAX_ENTRIES_OF_A_PEER
    assert naive == [True] * len(crowd)
    late = scene.pointer(Key.generate())

    async def honest() -> Swarm:
        other = await scene.net.node(*scene.ours.addresses)
        await other.publish(scene.round, late)
        return other

    other = scene.net.run(honest())
    assert late in scene.found()
    assert scene.net.run(scene.ours.find(scene.round, KIND, [late.author])) == [late]
    scene.net.run(other.close())


@pytest.mark.must("SWM-7", "SWM-11")
def test_an_old_pointer_sent_again_changes_nothing(scene: Scene) -> None:
    key = Key.generate()
    old, new = scene.pointer(key, 5 * 3600), scene.pointer(key, record_id=b"\x01" * 32)
    assert scene.attack(entry(new)) == ([True], [True])
    assert scene.attack(entry(old)) == ([False], [False])
    held = scene.ours._storage.get(entry(new)[0]).value
    assert held.key_to_heap[new.subkey].expiration_time == new.expiration, "it is not dropped when the old one expires"
    assert new in scene.found()


@pytest.mark.must("SWM-17")
def test_who_forges_is_not_listened_to_for_a_while(scene: Scene, victim: Pointer) -> None:
    place, _, expiration, _ = entry(victim)
    forgery = (place, forged(victim, slot=1), expiration, victim.author + b"\x01")
    good = scene.pointer(Key.generate())
    assert scene.attack(forgery, entry(good)) == ([False, False], [True, True])
    assert scene.net.run(scene.attacker.offer(scene.ours.peer_id, entry(good))) is None
    assert scene.attack(entry(good))[0] == [True], "until it is over"


@pytest.mark.must("SWM-17")
def test_who_is_late_is_not_taken_for_a_forger(scene: Scene) -> None:
    late = scene.pointer(Key.generate(), -1)
    good = scene.pointer(Key.generate())
    assert scene.attack(entry(late), entry(good))[0] == [False, True]


@pytest.mark.must("SWM-16")
def test_questions_and_offers_without_end_are_refused_unread(scene: Scene) -> None:
    peer = PeerID.from_base58(scene.ours.peer_id)
    keys = [DHTID(number) for number in range(MAX_KEYS + 1)]
    ask = scene.attacker.protocol.call_find
    assert len(scene.net.run(ask(peer, keys[:-1]))) == MAX_KEYS
    assert scene.net.run(ask(peer, keys)) is None
    scene.net.run(scene.attacker.meet(scene.ours.addresses[0]))
    place, _, expiration, subkey = entry(scene.pointer(Key.generate()))
    ours, naive = scene.attack(*[(place, b"", expiration, subkey)] * (MAX_OFFERED + 1))
    assert (ours, naive is None) == (None, False)
    scene.net.run(scene.attacker.meet(scene.ours.addresses[0]))


@pytest.mark.must("SWM-10", "SWM-16")
def test_hostile_dictionaries_are_refused(scene: Scene, victim: Pointer) -> None:
    place, value, expiration, subkey = entry(victim)
    whole = DictionaryDHTValue()
    for number in range(3000):
        whole.store(number.to_bytes(34, "big"), b"", expiration)
    mixed = DictionaryDHTValue()
    mixed.store(subkey, value, expiration)
    mixed.store(b"\x01" * 34, b"\xc4\x00", expiration)
    nested = upstream.DHTProtocol.serializer.dumps(whole)

    async def offer(dictionary: DictionaryDHTValue) -> list[bool] | None:
        scene.clock.ahead += BAN_SECONDS
        peer = PeerID.from_base58(scene.ours.peer_id)
        return await scene.attacker.protocol.call_store(peer, [place], [dictionary], [expiration])  # type: ignore[no-any-return]

    good = DictionaryDHTValue()
    good.store(subkey, value, expiration)
    for offered in (whole, mixed, good):
        assert list(scene.net.run(offer(offered)) or ()) == [False]
    assert scene.net.run(scene.attacker.offer(scene.ours.peer_id, entry(scene.pointer(Key.generate())))) == [True], (
        "a stock node offers dictionaries in good faith and is not banned for it"
    )
    assert scene.attack((place, nested, expiration + 60, subkey)) == ([False], [True])
    assert victim in scene.found()


@pytest.mark.must("SWM-18")
def test_a_forgery_in_a_dictionary_does_not_hide_its_other_entries(scene: Scene) -> None:
    """They lie at the naive node, which knows no better."""
    good, bad = scene.pointer(Key.generate()), scene.pointer(Key.generate())
    key, value, expiration, subkey = entry(good, 3)
    fake = forged(bad, record_id=b"\xee" * 32)

    async def plant() -> None:
        offers = [(key, value, expiration, subkey), (key, fake, expiration, bad.subkey)]
        assert await scene.attacker.offer(scene.naive.peer_id, *offers) == [True, True]

    scene.net.run(plant())
    assert scene.net.run(scene.ours.find(scene.round, KIND, [good.author])) == [good]
    throws_all_away = scene.net.run(_upstream_read(scene, key))
    assert throws_all_away is None


async def _upstream_read(scene: Scene, key: DHTID) -> object:
    """What hivemind makes of the naive node's dictionary, with our validator."""
    reader = scene.attacker.protocol
    reader.record_validator = scene.ours._protocol.record_validator
    try:
        answer = await reader.call_find(scene.naive.peer_id, [key])
        return answer[key][0]
    finally:
        reader.record_validator = None


class Liar(upstream.DHTProtocol):  # type: ignore[misc]
    """Sits next to a key and answers with one entry that it says is all there will ever be."""

    answer: DictionaryDHTValue | None = None
    named: tuple[tuple[DHTID, PeerID], ...] = ()

    async def rpc_find(self, request: dht_pb2.FindRequest, context: object) -> dht_pb2.FindResponse:
        result = dht_pb2.FindResult(type=dht_pb2.NOT_FOUND)
        if self.answer is not None:
            value = self.serializer.dumps(self.answer)
            result = dht_pb2.FindResult(type=dht_pb2.FOUND_DICTIONARY, value=value, expiration_time=math.inf)
        for node_id, peer in self.named:
            result.nearest_node_ids.append(node_id.to_bytes())
            result.nearest_peer_ids.append(peer.to_bytes())
        return dht_pb2.FindResponse(results=[result for _ in request.keys], peer=self.node_info)


Liar.__name__ = "DHTProtocol"  # the wire name of its handlers


class Siege:
    """Three nodes, six pointers, and a liar next to the key who knows all nodes."""

    def __init__(self, net: Net) -> None:
        self.net = net
        self.pointers = sorted((pointer(Key.generate()) for _ in range(6)), key=lambda each: each.author)
        self.key = entry(self.pointers[0])[0]
        net.run(self._start())

    async def _start(self) -> None:
        self.nodes = await self.net.nodes(3)
        for number, each in enumerate(self.pointers):
            await self.nodes[number % 3].publish(ROUND, each)
        addresses = [node.addresses[0] for node in self.nodes]
        self.liar = await self.net.stock(*addresses, node_id=self.key ^ 1, kind=Liar)

    def found(self) -> list[Pointer]:
        return self.net.run(self.nodes[0].find(ROUND, KIND))


@pytest.fixture(scope="module")
def siege() -> Iterator[Siege]:
    with network() as net:
        yield Siege(net)


@pytest.mark.must("SWM-19")
def test_a_liar_next_to_the_key_hides_nothing(siege: Siege) -> None:
    _, value, expiration, subkey = entry(siege.pointers[0])
    siege.liar.protocol.answer = DictionaryDHTValue()
    siege.liar.protocol.answer.store(subkey, value, expiration)
    siege.liar.protocol.named = ()

    async def deceived() -> list[bytes]:
        reader = await siege.net.reader(siege.liar.address, *(node.addresses[0] for node in siege.nodes))
        search = reader.get_many_by_id([siege.key], math.inf, num_workers=1)  # which asks the nearest first
        return list((await search)[siege.key].value)

    assert siege.net.run(deceived()) == [subkey], "the control: whoever believes the liar sees one of six"
    assert siege.found() == siege.pointers


@pytest.mark.must("SWM-20")
def test_nodes_that_a_liar_invents_hide_nothing(siege: Siege) -> None:
    siege.liar.protocol.answer = None
    invented = [(DHTID(siege.key ^ (2 + n)), PeerID(b"\x12\x20" + secrets.token_bytes(32))) for n in range(20)]
    siege.liar.protocol.named = tuple(invented)
    assert siege.found() == siege.pointers

    async def near() -> list[PeerID]:
        return (await siege.nodes[0]._lookup.near([siege.key]))[siege.key]

    assert not {peer for _, peer in invented} & set(siege.net.run(near()))
    assert siege.nodes[0]._lookup._distrusted.keys() == {siege.liar.peer_id}


@pytest.mark.must("SWM-23")
def test_a_peer_that_is_many_nodes_is_one(siege: Siege) -> None:
    table = siege.nodes[0]._protocol.table

    async def appear() -> None:
        for number in range(50):
            siege.liar.protocol.node_info = dht_pb2.NodeInfo(node_id=DHTID(number).to_bytes())
            assert await siege.liar.protocol.call_ping(PeerID.from_base58(siege.nodes[0].peer_id)) is not None

    before = len(table.uid_to_peer_id)
    siege.net.run(appear())
    assert len(table.uid_to_peer_id) == len(table.peer_id_to_uid) <= before + 1
    assert table.get(peer_id=siege.liar.peer_id) == place_of(siege.liar.peer_id), "and its key says where"
