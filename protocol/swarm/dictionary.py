"""A dictionary as hivemind sends it, read by its layout. Pure.

    ext32(0x50, array [maxsize, latest expiration, array of [subkey, value, expiration]])

in MessagePack: subkeys are byte strings of ``SUBKEY_BYTES``, values byte strings, everything else 64-bit floats.
hivemind reads it with a general reader, which makes objects of whatever is in there: nested extensions broke the stack
of the whole process, and four megabytes of small numbers became 270.

Rules:

1. Nothing else is read, and nothing behind it. Each length is checked against what is there before it is believed.
2. At most ``MAX_DICTIONARY_ENTRIES`` entries. The two numbers in front of them are not used.
"""

import struct
from typing import NamedTuple

from protocol.errors import MalformedError, TooLargeError
from protocol.swarm.locations import MAX_DICTIONARY_ENTRIES

SUBKEY_BYTES = 34
"""An author and a slot."""

_TYPE = 0x50
_EXT = {0xC7: 1, 0xC8: 2, 0xC9: 4}
_BIN = {0xC4: 1, 0xC5: 2}
_ARRAY = {0xDC: 2}
"""Head bytes, and in how many bytes the length follows."""

_FIXED_ARRAY, _FIXED_ARRAY_MAX = 0x90, 15
_FLOAT = 0xCB
_FLOAT_BYTES = 8


class Entry(NamedTuple):
    """One of a dictionary. Its shape says nothing about its value."""

    subkey: bytes
    value: bytes
    expiration: float


def read(data: bytes) -> list[Entry]:
    """The entries of a dictionary, or MalformedError."""
    reader = _Reader(data)
    size = reader.length(_EXT)
    if reader.take(1)[0] != _TYPE or size != len(data) - reader.at:
        raise MalformedError("this is not one whole dictionary")
    reader.array(3)
    reader.float()
    reader.float()
    count = reader.array()
    if count > MAX_DICTIONARY_ENTRIES:
        raise TooLargeError(f"a dictionary has at most {MAX_DICTIONARY_ENTRIES} entries, not {count}")
    found = [reader.entry() for _ in range(count)]
    if reader.at != len(data):
        raise MalformedError("there is something behind the last entry of a dictionary")
    return found


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data, self.at = data, 0

    def take(self, count: int) -> bytes:
        found = self._data[self.at : self.at + count]
        if len(found) != count:
            raise MalformedError("a dictionary that ends too early")
        self.at += count
        return found

    def length(self, heads: dict[int, int]) -> int:
        size = heads.get(self.take(1)[0])
        if size is None:
            raise MalformedError(f"there is no part of a dictionary that begins as byte {self.at - 1} does")
        return int.from_bytes(self.take(size), "big")

    def array(self, expected: int | None = None) -> int:
        short = (self._data[self.at] if self.at < len(self._data) else 0) - _FIXED_ARRAY
        if 0 <= short <= _FIXED_ARRAY_MAX:
            self.at += 1
        else:
            short = self.length(_ARRAY)
        if expected is not None and short != expected:
            raise MalformedError(f"a list of {short} where a dictionary has one of {expected}")
        return short

    def float(self) -> float:
        if self.take(1)[0] != _FLOAT:
            raise MalformedError("the numbers in a dictionary are 64-bit floats")
        return float(struct.unpack(">d", self.take(_FLOAT_BYTES))[0])

    def entry(self) -> Entry:
        self.array(3)
        subkey = self.take(self.length(_BIN))
        if len(subkey) != SUBKEY_BYTES:
            raise MalformedError(f"a subkey has {SUBKEY_BYTES} bytes, not {len(subkey)}")
        return Entry(subkey, self.take(self.length(_BIN)), self.float())
