"""Pointers: layout, signature, limits."""

import importlib
import json
from dataclasses import FrozenInstanceError
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.envelope import MAX_ENVELOPE_BYTES
from protocol.errors import ForgedError, MalformedError, PeerError, TooLargeError, TooNewError, TooOldError, UsageError
from protocol.pointer import (
    MAX_EXPIRATION,
    MAX_LIFETIME_SECONDS,
    MAX_LOG_BYTES,
    MAX_POINTER_BYTES,
    MAX_RECORD_BYTES,
    MAX_SKEW_SECONDS,
    MAX_SLOTS,
    Kind,
    Pointer,
)
from protocol.records import REGISTRY
from protocol.swarm.locations import LEVELS, SHARED_LEVELS, children, location, locations_of, prefix_of
from tests.fuzz.fuzz_pointer import one
from tests.protocol.hostile.make_pointer import FOLDER, body, faults, signed
from tests.protocol.keys import key
from tests.vectors.make_pointer import vectors

GOLDEN = Path(__file__).parents[1] / "vectors" / "pointer.json"
NOW = 1_800_000_000

FORGED = {
    "author-another",
    "author-exchanged",
    "bit-flipped-in-the-record-id",
    "domain-another",
    "domain-none",
    "signature-another-length",
    "signature-negative",
    "signature-one-byte",
    "signature-trailing",
    "signature-zero",
    "address-longer-than-said",
}
ANSWERS: dict[str, type[PeerError]] = {
    **dict.fromkeys(FORGED, ForgedError),
    "too-long": TooLargeError,
    "version-0": TooOldError,
    "version-2": TooNewError,
    "json": TooNewError,
    "kind-0": TooNewError,
    "kind-14": TooNewError,
}


def pointer(number: int = 1, **changed: object) -> Pointer:
    fields = {
        "round_id": bytes(32),
        "kind": Kind.CONTRIBUTION,
        "record_id": bytes([7]) * 32,
        "size": 1000,
        "expiration": NOW + 3600,
        **changed,
    }
    return Pointer.sign(key(number), **fields)  # type: ignore[arg-type]


kinds = st.sampled_from(Kind)
addresses = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=64)


@pytest.mark.must("SWM-1", "SWM-2")
@given(
    number=st.integers(1, 9),
    round_id=st.binary(min_size=32, max_size=32),
    record_id=st.binary(min_size=32, max_size=32),
    kind=kinds,
    slot=st.integers(0, MAX_SLOTS - 1),
    size=st.integers(1, MAX_RECORD_BYTES),
    expiration=st.integers(1, MAX_EXPIRATION),
    address=addresses,
)
def test_a_pointer_is_read_as_it_was_written(number: int, **fields: object) -> None:
    written = pointer(number, **fields)
    data = written.encode()
    assert len(data) <= MAX_POINTER_BYTES == 249
    assert Pointer.parse(data) == written
    assert written.public == key(number).public
    assert written.subkey == key(number).public.point + bytes([written.slot])


@pytest.mark.must("SWM-1", "SWM-2", "SWM-9")
def test_golden_pointers_are_what_the_description_says() -> None:
    golden = json.loads(GOLDEN.read_text())
    assert golden == json.loads(json.dumps(vectors()))
    for vector in golden["pointers"]:
        read = Pointer.parse(bytes.fromhex(vector["bytes"]))
        assert read.round_id.hex() == golden["round_id"]
        assert read.record_id.hex() == golden["record_id"]
        assert (read.kind, read.slot, read.size) == (vector["kind"], vector["slot"], vector["size"])
        assert (read.expiration, read.address) == (vector["expiration"], vector["address"])
        assert read.author.hex() == vector["point"]
        assert read.author_id.hex() == vector["author_id"]
        assert read.subkey.hex() == vector["subkey"]
        assert [place.hex() for place in locations_of(read)] == [vector["locations"][str(bits)] for bits in LEVELS]
        again = Pointer.sign(
            key(vector["key"]),
            round_id=read.round_id,
            kind=read.kind,
            record_id=read.record_id,
            size=read.size,
            expiration=read.expiration,
            slot=read.slot,
            address=read.address,
        )
        assert again.encode() == read.encode()


@pytest.mark.must("SWM-1", "SWM-2", "SWM-3", "SWM-4", "SWM-5")
@pytest.mark.parametrize("name", sorted(faults()))
def test_a_pointer_with_one_fault_is_refused_for_it(name: str) -> None:
    data = (FOLDER / f"{name}.bin").read_bytes()
    assert data == faults()[name]
    with pytest.raises(PeerError) as caught:
        Pointer.parse(data)
    assert caught.type is ANSWERS.get(name, MalformedError), caught.value


def test_the_hostile_pointers_differ_from_a_good_one_only_by_their_fault() -> None:
    assert Pointer.parse(signed(body())).address == "192.0.2.7:7400"
    assert {path.stem for path in FOLDER.iterdir()} == set(faults())


def test_a_pointer_leads_to_anything_that_an_envelope_can_be() -> None:
    assert MAX_RECORD_BYTES == MAX_ENVELOPE_BYTES
    assert pointer(size=MAX_RECORD_BYTES).size == MAX_RECORD_BYTES
    assert pointer(kind=Kind.LOG, size=MAX_LOG_BYTES).size == MAX_LOG_BYTES


def test_every_kind_of_record_can_be_pointed_to_and_nothing_else_but_the_log() -> None:
    assert {kind.name.lower() for kind in Kind} - {"log"} == set(REGISTRY)


@given(data=st.binary(max_size=300))
def test_any_bytes_are_answered(data: bytes) -> None:
    one(data)


@given(place=st.integers(0, len(signed(body())) - 1), bit=st.integers(0, 7))
@pytest.mark.must("SWM-2")
def test_no_bit_of_a_pointer_can_be_changed(place: int, bit: int) -> None:
    data = bytearray(signed(body()))
    data[place] ^= 1 << bit
    with pytest.raises(PeerError):
        Pointer.parse(bytes(data))


@pytest.mark.parametrize(
    "changed",
    [
        {"round_id": bytes(31)},
        {"record_id": bytes(33)},
        {"slot": MAX_SLOTS},
        {"slot": 256},
        {"slot": -1},
        {"size": 0},
        {"size": 2**32},
        {"size": MAX_RECORD_BYTES + 1},
        {"expiration": 0},
        {"expiration": MAX_EXPIRATION + 1},
        {"address": "a" * 65},
        {"address": "a\n"},
        {"address": "ä"},
        {"address": "a" * 300},
    ],
    ids=str,
)
@pytest.mark.must("SWM-4", "SWM-5")
def test_a_pointer_that_no_one_would_accept_cannot_be_made(changed: dict[str, Any]) -> None:
    with pytest.raises(MalformedError):
        pointer(**changed)


@pytest.mark.must("SWM-8")
def test_a_pointer_proves_nothing_about_what_it_leads_to() -> None:
    """Anybody can make one that leads to another's record, or to none."""
    theirs = b"\x0e" * 32
    assert Pointer.parse(pointer(2, record_id=theirs, size=1).encode()).record_id == theirs


def test_a_pointer_does_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        pointer().slot = 2  # type: ignore[misc]


@pytest.mark.must("SWM-6")
def test_a_pointer_counts_until_it_expires_and_not_if_that_is_too_far_away() -> None:
    limit = MAX_LIFETIME_SECONDS + MAX_SKEW_SECONDS
    assert pointer(expiration=NOW + 1).alive(NOW)
    assert not pointer(expiration=NOW).alive(NOW)
    assert pointer(expiration=NOW + limit).alive(NOW)
    assert not pointer(expiration=NOW + limit + 1).alive(NOW)


def test_a_pointer_is_renewed_by_its_author_only() -> None:
    old = pointer(slot=3, address="192.0.2.7:1")
    new = old.renewed(key(1), NOW + 7200)
    assert new == pointer(slot=3, address="192.0.2.7:1", expiration=NOW + 7200)
    with pytest.raises(UsageError):
        old.renewed(key(2), NOW + 7200)


def test_shards_are_the_parents_of_their_children() -> None:
    for number in range(1, 20):
        author_id = key(number).public.id
        for level, deeper in pairwise(SHARED_LEVELS):
            below = children(level, prefix_of(author_id, level))
            assert below is not None
            assert below[0] == deeper
            assert prefix_of(author_id, deeper) in below[1]
    assert children(8, 255) is None


def test_rounds_kinds_levels_and_shards_lie_apart() -> None:
    places = {
        location(bytes([number]) * 32, kind, bits, prefix)
        for number in range(3)
        for kind in Kind
        for bits in LEVELS
        for prefix in (range(16) if bits else range(1))
    }
    assert len(places) == 3 * len(Kind) * (16 * 3 + 1)


def test_pointers_are_known_without_hivemind() -> None:
    source = Path(importlib.import_module("protocol.pointer").__file__ or "").read_text()
    assert "hivemind" not in source
