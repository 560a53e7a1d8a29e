"""Who stands where, and that nobody chooses it."""

import hashlib

import pytest

from protocol.identity import Key
from protocol.swarm import table as module
from protocol.swarm.table import MAX_ROUTED, Table, named, place_of

from hivemind.dht.routing import DHTID  # isort: skip  # after table, which imports light first
from hivemind.p2p import PeerID  # isort: skip


def peer(number: int) -> PeerID:
    return PeerID(b"\x12\x20" + number.to_bytes(32, "big"))


@pytest.mark.must("SWM-23")
def test_a_place_follows_from_the_key() -> None:
    public = Key.generate().public
    expected = hashlib.sha1(public.id, usedforsecurity=False).digest()
    assert place_of(PeerID.from_base58(public.peer_id)).to_bytes() == expected


@pytest.mark.must("SWM-20")
@pytest.mark.parametrize("length", [0, 1, 33, 43, 3_900_000])
def test_what_no_peer_is_called_names_nobody(length: int) -> None:
    assert named(bytes(length)) is None
    assert named(bytes(34)) == PeerID(bytes(34))


@pytest.mark.must("SWM-23")
def test_a_place_has_one_peer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "place_of", lambda _: DHTID(7))
    table = Table(DHTID(1))
    table.heard(peer(1))
    table.heard(peer(2))
    assert table.peers == [peer(1)]
    table.silent(peer(2))
    assert table.peers == [peer(1)]
    table.silent(peer(1))
    assert not table.peers
    assert not table.uid_to_peer_id


@pytest.mark.must("SWM-15")
def test_a_table_has_an_end() -> None:
    table = Table(DHTID(1))
    for number in range(MAX_ROUTED + 50):
        table.heard(peer(number))
    assert len(table.peers) == len(table.uid_to_peer_id) == MAX_ROUTED


def test_a_node_does_not_know_itself() -> None:
    table = Table(place_of(peer(1)))
    table.heard(peer(1))
    assert not table.peers
