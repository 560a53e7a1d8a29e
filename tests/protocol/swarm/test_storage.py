"""What a node keeps, and what hivemind's own storage does with the same."""

import pytest

from protocol.swarm import storage as module
from protocol.swarm.locations import MAX_DICTIONARY_ENTRIES
from protocol.swarm.storage import MAX_ENTRIES_OF_A_PEER, PointerStorage

from hivemind.dht.routing import DHTID  # isort: skip  # after storage, which imports hivemind_light first
from hivemind.dht.storage import DHTLocalStorage  # isort: skip
from hivemind.p2p import PeerID  # isort: skip
from hivemind.utils import timed_storage  # isort: skip

PLACE, OTHER = DHTID(1), DHTID(2)
SUBKEY = bytes(34)
A, B = PeerID(b"a"), PeerID(b"b")


class Hand:
    """A clock."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Hand:
    hand = Hand()
    monkeypatch.setattr(timed_storage, "get_dht_time", hand)
    return hand


def values(storage: DHTLocalStorage, place: DHTID = PLACE) -> dict[bytes, bytes]:
    found = storage.get(place)
    return {} if found is None else {subkey: item.value for subkey, item in found.value.items()}


def subkey(number: int) -> bytes:
    return number.to_bytes(34, "big")


@pytest.mark.must("SWM-7", "SWM-11")
def test_replaying_an_older_entry_does_not_shorten_the_life_of_a_newer_one(clock: Hand) -> None:
    storage = PointerStorage(clock)
    assert storage.take(PLACE, SUBKEY, b"new", 3000.0, A)
    assert not storage.take(PLACE, SUBKEY, b"old", 2000.0, B)
    assert not storage.take(PLACE, SUBKEY, b"equal", 3000.0, B)
    clock.now = 2500.0
    assert values(storage) == {SUBKEY: b"new"}
    clock.now = 3001.0
    assert values(storage) == {}


def test_it_does_with_the_storage_of_hivemind(clock: Hand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timed_storage.TimedStorage, "store", module._store_upstream)
    storage = DHTLocalStorage()
    assert storage.store_subkey(PLACE, SUBKEY, b"new", 3000.0)
    assert not storage.store_subkey(PLACE, SUBKEY, b"old", 2000.0)
    clock.now = 2500.0
    assert values(storage) == {}, "hivemind is repaired: remove our repair"


@pytest.mark.must("SWM-10")
def test_a_value_for_a_whole_key_replaces_nothing(clock: Hand) -> None:
    storage = PointerStorage(clock)
    assert storage.take(PLACE, SUBKEY, b"entry", 2000.0, A)
    assert not storage.store(PLACE, b"plain", 9000.0)
    assert values(storage) == {SUBKEY: b"entry"}
    stock = DHTLocalStorage()
    assert stock.store_subkey(PLACE, SUBKEY, b"entry", 2000.0)
    assert stock.store(PLACE, b"plain", 9000.0)


@pytest.mark.must("SWM-14")
def test_one_peer_fills_a_quarter_of_a_dictionary(clock: Hand) -> None:
    storage = PointerStorage(clock)
    taken = [storage.take(PLACE, subkey(n), b"x", 2000.0, A) for n in range(MAX_ENTRIES_OF_A_PEER + 10)]
    assert taken == [True] * MAX_ENTRIES_OF_A_PEER + [False] * 10
    assert storage.take(PLACE, subkey(0), b"renewed", 2500.0, A)
    assert storage.take(PLACE, subkey(9999), b"x", 2000.0, B)
    assert storage.take(OTHER, subkey(9999), b"x", 2000.0, A)
    assert storage.take(PLACE, subkey(5000), b"ours", 2000.0, None)


@pytest.mark.must("SWM-14")
def test_a_dictionary_has_an_end(clock: Hand) -> None:
    storage = PointerStorage(clock)
    for n in range(MAX_DICTIONARY_ENTRIES):
        assert storage.take(PLACE, subkey(n), b"x", 2000.0 + n % 2, PeerID(bytes([n % 8])))
    assert not storage.take(PLACE, subkey(5000), b"x", 2000.0, PeerID(b"new"))
    clock.now = 2000.5
    assert storage.take(PLACE, subkey(5000), b"x", 2100.0, PeerID(b"new"))


@pytest.mark.must("SWM-15")
def test_all_dictionaries_together_have_an_end(clock: Hand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_ENTRIES", 40)
    monkeypatch.setattr(module, "MAX_TOTAL_OF_A_PEER", 10)
    storage = PointerStorage(clock)
    by_one = [storage.take(DHTID(n), SUBKEY, b"x", 2000.0, A) for n in range(12)]
    assert by_one == [True] * 10 + [False] * 2
    by_many = [storage.take(DHTID(100 + n), SUBKEY, b"x", 2000.0, PeerID(bytes([n]))) for n in range(30)]
    assert by_many == [True] * 30
    assert storage.entries == 40
    assert not storage.take(DHTID(600), SUBKEY, b"x", 2000.0, A)
    clock.now = 2000.0 + module.COUNT_SECONDS
    assert storage.take(DHTID(500), SUBKEY, b"x", 9000.0, A), "what has expired makes room"
    assert storage.entries == 1


@pytest.mark.must("SWM-15")
def test_who_brought_most_gives_way_when_all_is_full(clock: Hand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_ENTRIES", 40)
    monkeypatch.setattr(module, "MAX_TOTAL_OF_A_PEER", 10)
    storage = PointerStorage(clock)
    flood = [PeerID(bytes([9, each])) for each in range(4)]
    for number in range(40):
        assert storage.take(DHTID(number // 2), subkey(number), b"flood", 2000.0, flood[number % 4])
    assert all(storage.take(OTHER, subkey(1000 + n), b"x", 2000.0, A) for n in range(7))
    assert storage.entries == 40 == sum(len(value.value) for _, value in storage.items())
    assert set(values(storage, OTHER)) >= {subkey(1000 + n) for n in range(7)}
    assert all(len(storage._by[peer]) >= 8 for peer in flood), "each lost about as much"
    assert not storage.take(OTHER, subkey(2000), b"flood", 2000.0, flood[0]), "and gets nothing back from who has less"
    clock.now = 2000.0 + module.COUNT_SECONDS
    assert storage.take(PLACE, SUBKEY, b"x", 3000.0, flood[0])
    assert storage.entries == 1


@pytest.mark.must("SWM-15")
def test_renewing_an_entry_for_ever_needs_no_more_memory(clock: Hand) -> None:
    storage = PointerStorage(clock)
    for n in range(5000):
        assert storage.take(PLACE, SUBKEY, b"x", 2000.0 + n, A)
    held = storage.get(PLACE).value
    assert len(held.expiration_heap) < 100
    assert len(storage.expiration_heap) < 100, "the one of the dictionaries themselves"
    clock.now = 6998.0
    assert values(storage) == {SUBKEY: b"x"}
    clock.now = 7000.0
    assert values(storage) == {}
