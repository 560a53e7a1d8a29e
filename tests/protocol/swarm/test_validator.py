"""Which entries are valid, without a network."""

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.pointer import MAX_LIFETIME_SECONDS, Kind, Pointer
from protocol.swarm.locations import locations_of
from protocol.swarm.validator import PointerValidator, packed, unpacked
from tests.protocol.keys import key

from hivemind.dht.protocol import DHTProtocol  # isort: skip  # after validator, which imports hivemind_light first
from hivemind.dht.validation import DHTRecord  # isort: skip
from hivemind.utils.serializer import MSGPackSerializer  # isort: skip

NOW = 1_800_000_000


def pointer(number: int = 1, slot: int = 2, expiration: int = NOW + 3600) -> Pointer:
    return Pointer.sign(
        key(number),
        round_id=bytes(32),
        kind=Kind.CONTRIBUTION,
        record_id=bytes(32),
        size=1,
        expiration=expiration,
        slot=slot,
    )


def record(of: Pointer, level: int = 0) -> DHTRecord:
    return DHTRecord(locations_of(of)[level], packed(of.subkey), packed(of.encode()), float(of.expiration))


def fault(of: Pointer | None = None, **changed: Any) -> str | None:
    return PointerValidator(lambda: float(NOW)).fault(dataclasses.replace(record(of or pointer()), **changed))


@pytest.mark.must("SWM-10")
def test_a_pointer_is_valid_at_each_of_its_places_and_nowhere_else() -> None:
    validator = PointerValidator(lambda: float(NOW))
    for level in range(4):
        assert validator.validate(record(pointer(), level))
    assert fault(key=locations_of(pointer(2))[3]) == "location"
    assert fault(key=locations_of(pointer(2))[0]) is None, "all authors share the first"
    assert fault(key=bytes(20)) == "location"


@pytest.mark.must("SWM-10")
@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"subkey": packed(pointer(2).subkey)}, "subkey"),
        ({"subkey": packed(pointer(1, slot=3).subkey)}, "subkey"),
        ({"subkey": DHTProtocol.IS_REGULAR_VALUE}, "shape"),
        ({"subkey": DHTProtocol.IS_DICTIONARY}, "shape"),
        ({"subkey": MSGPackSerializer.dumps("text")}, "shape"),
        ({"subkey": b"\xc5\x00\x22" + pointer().subkey}, "shape"),
        ({"value": pointer().encode()}, "shape"),
        ({"value": b"\xc5\x00" + bytes([len(pointer().encode())]) + pointer().encode()}, "shape"),
        ({"value": packed(bytes(60_000))}, "shape"),
        ({"value": 7}, "shape"),
        ({"value": packed(pointer().encode()[:-1])}, "forged"),
        ({"value": packed(b"")}, "forged"),
        ({"expiration_time": float(NOW + 3601)}, "expiration"),
        ({"expiration_time": float("inf")}, "expiration"),
        ({"expiration_time": float("nan")}, "expiration"),
        ({"expiration_time": "soon"}, "expiration"),
    ],
    ids=str,
)
def test_an_entry_that_is_not_what_its_pointer_says_is_refused(changed: dict[str, Any], why: str) -> None:
    assert fault(**changed) == why


@pytest.mark.must("SWM-6")
def test_a_pointer_that_lives_too_long_or_no_more_is_refused() -> None:
    assert fault(pointer(expiration=NOW)) == "expiration"
    assert fault(pointer(expiration=NOW + MAX_LIFETIME_SECONDS)) is None
    assert fault(pointer(expiration=NOW + MAX_LIFETIME_SECONDS + 4)) == "expiration"
    assert fault(pointer(expiration=NOW + 100 * 365 * 86400)) == "expiration"


def test_what_is_refused_is_counted() -> None:
    validator = PointerValidator(lambda: float(NOW))
    assert not validator.validate(dataclasses.replace(record(pointer()), value=packed(b"x")))
    assert not validator.validate(dataclasses.replace(record(pointer()), value=packed(b"x")))
    assert validator.refused == {"forged": 2}


@given(data=st.binary(max_size=300))
def test_byte_strings_are_packed_as_messagepack_does(data: bytes) -> None:
    assert packed(data) == MSGPackSerializer.dumps(data)
    assert unpacked(packed(data)) == (data if len(data) <= 249 else None)


@given(data=st.binary(max_size=300))
def test_there_is_one_packing_of_a_byte_string(data: bytes) -> None:
    read = unpacked(data)
    assert read is None or packed(read) == data
