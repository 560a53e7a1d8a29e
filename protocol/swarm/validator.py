"""What may lie in the swarm: entries of dictionaries that their authors signed for exactly this place and time.

Rules. An entry is valid if

1. its subkey is a byte string of 34 bytes and its value a byte string of at most ``MAX_POINTER_BYTES``, each as
   MessagePack writes it in the shortest way (so the two reserved subkeys are not valid),
2. the value is a pointer (well formed, signed),
3. the subkey is that pointer's author and slot,
4. the expiration is that pointer's to the second, in the future, and at most ``MAX_LIFETIME_SECONDS`` away,
5. the location is one of that pointer's.

Nodes check this of what they are asked to keep and of what they are given to read.
"""

from collections import Counter
from collections.abc import Callable
from functools import lru_cache

from protocol import hivemind_light  # isort: skip  # noqa: F401  # before hivemind

from hivemind.dht.validation import DHTRecord, RecordValidatorBase

from protocol.errors import PeerError
from protocol.pointer import MAX_POINTER_BYTES, Pointer
from protocol.swarm.locations import locations_of

MAX_KNOWN_POINTERS = 16_384
"""Pointers whose signature is not checked twice; about a kilobyte each."""

_BIN8, _BIN16 = 0xC4, 0xC5
_BIN16_HEAD = 3


def packed(data: bytes) -> bytes:
    """A byte string as MessagePack writes it."""
    if len(data) < 2**8:
        return bytes([_BIN8, len(data)]) + data
    return bytes([_BIN16]) + len(data).to_bytes(2, "big") + data


def unpacked(data: object) -> bytes | None:
    """The byte string in its one spelling, or None; none that we know is longer than a pointer."""
    if not isinstance(data, bytes) or len(data) > MAX_POINTER_BYTES + _BIN16_HEAD:
        return None
    for start in (2, 3):
        if packed(data[start:]) == data:
            return data[start:]
    return None


class PointerValidator(RecordValidatorBase):  # type: ignore[misc]
    """The rules of the module; ``refused`` counts what broke which."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.refused: Counter[str] = Counter()
        self.read = lru_cache(maxsize=MAX_KNOWN_POINTERS)(_read)
        """The pointer in these bytes and where it belongs; remembers those it has checked."""

    def validate(self, record: DHTRecord) -> bool:
        """Whether this entry may lie here."""
        fault = self.fault(record)
        if fault is not None:
            self.refused[fault] += 1
        return fault is None

    def fault(self, record: DHTRecord) -> str | None:
        """Which rule the entry breaks, in a word."""
        subkey = unpacked(record.subkey)
        value = unpacked(record.value)
        if subkey is None or value is None:
            return "shape"
        try:
            pointer, places = self.read(value)
        except PeerError:
            return "forged"
        if pointer.subkey != subkey:
            return "subkey"
        if record.expiration_time != pointer.expiration or not pointer.alive(self._clock()):
            return "expiration"
        if record.key not in places:
            return "location"
        return None


def _read(value: bytes) -> tuple[Pointer, tuple[bytes, ...]]:
    pointer = Pointer.parse(value)
    return pointer, locations_of(pointer)
