"""A pointer: the few hundred bytes that travel in the swarm and say that a record exists.

Layout, integers little-endian, in this order and with nothing between or behind::

    version     1   1
    kind        1   a number of Kind
    slot        1   0 to 7: which of its publisher's pointers of this kind and round
    a           1   length of the address, 0 to 64
    round id   32
    record id  32   of the envelope; of a blob for Kind.LOG
    size        4   bytes of what is pointed to
    expiration  8   unix seconds, after which the pointer is nothing
    author     33   compressed P-256 point of its publisher
    address     a   "host:port" of the publisher's direct gRPC road, printable ASCII; empty if there is none
    signature       by the author over all of the above, domain "umm/pointer/1", to the end

Rules:

1. A pointer that exists is well formed and signed: building one checks both.
2. It tells of a record; it is not the record. Whoever follows it checks the record's own signatures and id.
3. Between two pointers with the same author, round, kind and slot the one that expires later counts.
"""

import re
import struct
from dataclasses import dataclass, field, replace
from enum import IntEnum
from functools import cached_property
from typing import Self

from protocol.errors import MalformedError, TooLargeError, TooNewError, TooOldError, UsageError
from protocol.identity import Key, PublicKey
from protocol.identity.public import MAX_SIGNATURE_BYTES, POINT_BYTES

DOMAIN = b"umm/pointer/1"

VERSION = 1

ID_BYTES = 32

MAX_SLOTS = 8
"""Pointers that one key may have in one round, for each kind."""

MAX_ADDRESS_BYTES = 64

MAX_RECORD_BYTES = 32 * 1024
"""Of an encoded envelope."""

MAX_LOG_BYTES = 32 * 1024 * 1024
"""Of a list of a million record ids."""

MAX_LIFETIME_SECONDS = 24 * 3600
"""A pointer expires at most this long after anybody may look at it: nobody squats for longer."""

MAX_SKEW_SECONDS = 3
"""Nodes whose clocks differ by more do not join each other."""

MAX_EXPIRATION = 2**40
"""Unix seconds; the year 36812."""

_HEAD = struct.Struct(f"<BBBB{ID_BYTES}s{ID_BYTES}sIQ{POINT_BYTES}s")

MAX_POINTER_BYTES = _HEAD.size + MAX_ADDRESS_BYTES + MAX_SIGNATURE_BYTES

_ADDRESS = re.compile(rb"[\x21-\x7e]{0,64}")


class Kind(IntEnum):
    """What a pointer leads to. A number is never given a second meaning."""

    ROUND = 1
    COMMITMENT = 2
    CONTRIBUTION = 3
    WITHDRAWAL = 4
    REFUSAL = 5
    BALLOT = 6
    VOTE = 7
    TIMEOUT = 8
    ATTESTATION = 9
    RESULT = 10
    REVISION = 11
    LOG = 12
    """Not one record but the blob with the ids of all records of the round that the publisher serves: how records are
    found whose authors are away."""
    PROPOSAL = 13


@dataclass(frozen=True)
class Pointer:
    """One signed pointer."""

    round_id: bytes
    kind: Kind
    slot: int
    record_id: bytes
    size: int
    expiration: int
    author: bytes
    address: str
    signature: bytes = field(repr=False)

    author_id: bytes = field(init=False, repr=False, compare=False)
    """The 32 bytes in the author's peer id, by which pointers are sharded."""

    def __post_init__(self) -> None:
        _check(self)
        public = PublicKey.from_point(self.author)
        public.verify(self.signature, DOMAIN, self._signed())
        object.__setattr__(self, "author_id", public.id)

    @classmethod
    def sign(
        cls,
        key: Key,
        *,
        round_id: bytes,
        kind: Kind,
        record_id: bytes,
        size: int,
        expiration: int,
        slot: int = 0,
        address: str = "",
    ) -> Self:
        """A pointer by the owner of ``key``."""
        unsigned = (round_id, kind, slot, record_id, size, expiration, key.public.point, address)
        return cls(*unsigned, signature=key.sign(DOMAIN, _body(*unsigned)))

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """The pointer in these bytes, whose signature is then known to be good."""
        if len(data) > MAX_POINTER_BYTES:
            raise TooLargeError(f"a pointer has at most {MAX_POINTER_BYTES} bytes, not {len(data)}")
        if data and data[0] != VERSION:
            raise (TooNewError if data[0] > VERSION else TooOldError)(
                f"this pointer has version {data[0]}; this program knows version {VERSION}"
            )
        if len(data) <= _HEAD.size:
            raise MalformedError(f"a pointer ends after {len(data)} bytes, before its signature")
        _, kind, slot, length, round_id, record_id, size, expiration, author = _HEAD.unpack_from(data)
        address, signature = data[_HEAD.size : _HEAD.size + length], data[_HEAD.size + length :]
        if length > MAX_ADDRESS_BYTES or len(address) != length or not _ADDRESS.fullmatch(address):
            raise MalformedError(f"the address in a pointer is not 0 to {MAX_ADDRESS_BYTES} printable ASCII characters")
        return cls(round_id, _kind(kind), slot, record_id, size, expiration, author, address.decode("ascii"), signature)

    def encode(self) -> bytes:
        """The bytes that :meth:`parse` reads."""
        return self._signed() + self.signature

    @cached_property
    def public(self) -> PublicKey:
        """The author's key."""
        return PublicKey.from_point(self.author)

    @property
    def subkey(self) -> bytes:
        """Its place in a dictionary of the swarm: the author's point and the slot."""
        return self.author + bytes([self.slot])

    def alive(self, now: float) -> bool:
        """Whether the pointer counts now: not expired, and not valid for longer than anything may be."""
        return now < self.expiration <= now + MAX_LIFETIME_SECONDS + MAX_SKEW_SECONDS

    def renewed(self, key: Key, expiration: int) -> Self:
        """The same pointer with a later expiration, signed again by its author."""
        if key.public.point != self.author:
            raise UsageError("only its author renews a pointer")
        unsigned = (
            self.round_id,
            self.kind,
            self.slot,
            self.record_id,
            self.size,
            expiration,
            self.author,
            self.address,
        )
        return replace(self, expiration=expiration, signature=key.sign(DOMAIN, _body(*unsigned)))

    def _signed(self) -> bytes:
        return _body(
            self.round_id,
            self.kind,
            self.slot,
            self.record_id,
            self.size,
            self.expiration,
            self.author,
            self.address,
        )


def _body(
    round_id: bytes, kind: Kind, slot: int, record_id: bytes, size: int, expiration: int, author: bytes, address: str
) -> bytes:
    where = address.encode("utf-8")
    try:
        head = _HEAD.pack(VERSION, kind, slot, len(where), round_id, record_id, size, expiration, author)
    except struct.error as error:
        raise MalformedError(f"a field of a pointer is out of range: {error}") from None
    return head + where


def _kind(number: int) -> Kind:
    try:
        return Kind(number)
    except ValueError:
        raise TooNewError(f"a pointer to something of kind {number}, which this program does not know") from None


def _check(pointer: Pointer) -> None:
    for name, value in (("round id", pointer.round_id), ("record id", pointer.record_id)):
        if len(value) != ID_BYTES:
            raise MalformedError(f"the {name} of a pointer has {ID_BYTES} bytes, not {len(value)}")
    if not 0 <= pointer.slot < MAX_SLOTS:
        raise MalformedError(f"the slot of a pointer is 0 to {MAX_SLOTS - 1}, not {pointer.slot}")
    limit = MAX_LOG_BYTES if pointer.kind is Kind.LOG else MAX_RECORD_BYTES
    if not 0 < pointer.size <= limit:
        raise MalformedError(f"a pointer to a {pointer.kind.name.lower()} says 1 to {limit} bytes, not {pointer.size}")
    if not 0 < pointer.expiration <= MAX_EXPIRATION:
        raise MalformedError(f"a pointer expires at unix second 1 to {MAX_EXPIRATION}, not {pointer.expiration}")
    if not _ADDRESS.fullmatch(pointer.address.encode("utf-8", "replace")):
        raise MalformedError(f"the address in a pointer is 0 to {MAX_ADDRESS_BYTES} printable ASCII characters")
