"""The reader of dictionaries, against what hivemind writes."""

import msgpack  # type: ignore[import-untyped]
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import MalformedError, TooLargeError
from protocol.swarm.dictionary import Entry, read
from protocol.swarm.locations import MAX_DICTIONARY_ENTRIES
from tests.fuzz.fuzz_swarm import one

from protocol import hivemind_light  # isort: skip  # noqa: F401  # before hivemind
from hivemind.dht.storage import DictionaryDHTValue  # isort: skip
from hivemind.utils.serializer import MSGPackSerializer  # isort: skip

SUBKEY, LATER = bytes(34), 4e9

entries = st.lists(
    st.tuples(st.binary(min_size=34, max_size=34), st.binary(max_size=600), st.floats(LATER, 2 * LATER)),
    max_size=40,
    unique_by=lambda each: each[0],
)


def written(*entries: tuple[bytes, bytes, float]) -> bytes:
    """As hivemind does."""
    dictionary = DictionaryDHTValue()
    for entry in entries:
        dictionary.store(*entry)
    return bytes(MSGPackSerializer.dumps(dictionary))


def ext(body: object, code: int = 0x50) -> bytes:
    """An extension around anything."""
    return bytes(msgpack.packb(msgpack.ExtType(code, msgpack.packb(body))))


@given(entries)
def test_what_hivemind_writes_is_read(made: list[tuple[bytes, bytes, float]]) -> None:
    assert read(written(*made)) == [Entry(*each) for each in made]


def test_a_full_dictionary_is_read() -> None:
    made = [(number.to_bytes(34, "big"), bytes(249), LATER) for number in range(MAX_DICTIONARY_ENTRIES)]
    assert len(read(written(*made))) == MAX_DICTIONARY_ENTRIES
    with pytest.raises(TooLargeError):
        read(written(*made, (b"\xff" * 34, b"", LATER)))


HOSTILE = {
    "nothing": b"",
    "a list and no extension": bytes(msgpack.packb([1.0, 2.0, []])),
    "another extension": ext([1.0, 2.0, []], 0x40),
    "something behind": written() + b"\x00",
    "something behind the entries": bytes(
        msgpack.packb(msgpack.ExtType(0x50, bytes(msgpack.packb([1.0, 2.0, []])) + b"\xc0"))
    ),
    "cut": written((SUBKEY, b"value", LATER))[:-1],
    "four parts": ext([1.0, 2.0, [], []]),
    "whole numbers": ext([1, 2, []]),
    "an expiration that is none": ext([1.0, 2.0, [[SUBKEY, b"", 4]]]),
    "a subkey of 33 bytes": ext([1.0, 2.0, [[SUBKEY[1:], b"", 4.0]]]),
    "a subkey of text": ext([1.0, 2.0, [["x" * 34, b"", 4.0]]]),
    "a value of text": ext([1.0, 2.0, [[SUBKEY, "text", 4.0]]]),
    "a value that is a dictionary": ext([1.0, 2.0, [[SUBKEY, {}, 4.0]]]),
    "lists in lists": ext([1.0, 2.0, b"\x91" * 1000]),
    "a million small numbers": ext([1.0, 2.0, [1] * 1_000_000]),
    "a length of four gigabytes": b"\xc9\xff\xff\xff\xff\x50",
    "more entries than bytes": written()[:-1] + b"\x9f",
}


@pytest.mark.must("SWM-16")
@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
def test_nothing_else_is_read(data: bytes) -> None:
    with pytest.raises(MalformedError):
        read(data)


@pytest.mark.must("SWM-16")
def test_extensions_in_extensions_are_no_deeper_than_the_first() -> None:
    nested = b""
    for _ in range(3000):
        nested = bytes(msgpack.packb(msgpack.ExtType(0x50, nested)))
    with pytest.raises(MalformedError):
        read(nested)
    with pytest.raises(MalformedError):
        read(ext([1.0, 2.0, [[SUBKEY, msgpack.ExtType(0x50, nested), LATER]]]))


@given(st.binary(max_size=200))
def test_bytes_of_any_kind_are_answered(data: bytes) -> None:
    one(data)
    one(b"\xc8" + len(data).to_bytes(2, "big") + b"\x50" + data)
