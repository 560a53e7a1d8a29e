"""A record: a small statement, signed by its author, that anyone can check and nobody can respell.

Rules:

1. The payload type is ``application/vnd.umm.<kind>+json; v=<version>``, spelled exactly so. A version below ours is too
   old, one above ours too new, anything else nonsense.
2. The payload is an object in canonical spelling (``strict.canonical``): the same statement has the same bytes, and so
   the same id.
3. ``author`` is the key that signs. Two stewards who say the same say it in two records with two ids; nobody can sign
   another's words as their own.
4. Payloads have at most ``MAX_PAYLOAD_BYTES``.

A kind is a class below with the decorator ``record``; the registry is what the decorator filled.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Generic, Self, TypeVar, overload

from blake3 import blake3

from protocol.envelope import MAX_PAYLOAD_BYTES, RECORD_DOMAIN, Envelope
from protocol.errors import ForgedError, MalformedError, TooLargeError, TooNewError, TooOldError
from protocol.field import field
from protocol.identity import Key, PublicKey
from protocol.records.fields import Fields
from protocol.records.forms import Digest, Point, shown
from protocol.strict import canonical, parse_object

VERSION = 1
"""Of every kind so far."""

_TYPE = re.compile(r"application/vnd\.umm\.([a-z]+)\+json; v=(0|[1-9][0-9]{0,8})", re.ASCII)

REGISTRY: dict[str, type["Record"]] = {}


@dataclass(frozen=True, kw_only=True)
class Record(Fields):
    """What all kinds share."""

    payload_type: ClassVar[str]

    author: Point

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.payload()) > MAX_PAYLOAD_BYTES:
            raise TooLargeError(
                f"the {self.noun} takes {len(self.payload())} bytes; at most {MAX_PAYLOAD_BYTES} are allowed"
            )

    def payload(self) -> bytes:
        """The bytes to be signed."""
        return self._payload

    @cached_property
    def _payload(self) -> bytes:
        return canonical(self.plain())

    @cached_property
    def id(self) -> bytes:
        """What other records call this one."""
        return blake3(field(RECORD_DOMAIN) + field(self.payload_type.encode()) + self.payload()).digest()

    @classmethod
    def parse(cls, payload_type: str, payload: bytes) -> Self:
        """The record in a payload, which is of this class: of any kind when asked of ``Record`` itself."""
        found = _kind(payload_type)
        if not issubclass(found, cls):
            raise MalformedError(f"a {found.noun} where a {cls.noun} is expected")
        made = found.read(parse_object(payload, MAX_PAYLOAD_BYTES, f"the {found.noun}"), found.noun)
        if made.payload() != payload:
            raise MalformedError(f"the {found.noun} is not in canonical spelling: sorted keys, no spaces, no escapes")
        return made


@dataclass(frozen=True, kw_only=True)
class RoundRecord(Record):
    """What all kinds share but the Round itself: they belong to one."""

    round: Digest


R = TypeVar("R", bound=Record)
R_co = TypeVar("R_co", bound=Record, covariant=True)


@dataclass(frozen=True)
class Signed(Generic[R_co]):
    """A record with the envelope that proves who made it."""

    record: R_co
    envelope: Envelope

    def __post_init__(self) -> None:
        if self.envelope.public.point != self.record.author:
            raise ForgedError(
                f"the {self.record.noun} names the author {self.record.author.hex()} but is signed by "
                f"{self.envelope.public.point.hex()}"
            )
        if (self.envelope.payload_type, self.envelope.payload) != (self.record.payload_type, self.record.payload()):
            raise ForgedError(f"the {self.record.noun} is not what its envelope holds")

    @property
    def id(self) -> bytes:
        """What other records call this one."""
        return self.envelope.id

    @property
    def signer(self) -> PublicKey:
        """The author's key."""
        return self.envelope.public


def record(kind: str) -> Callable[[type[R]], type[R]]:
    """Enter a class into the registry under the word that its payload type has."""

    def enter(made: type[R]) -> type[R]:
        made.noun, made.payload_type = kind, f"application/vnd.umm.{kind}+json; v={VERSION}"
        REGISTRY[kind] = made
        return made

    return enter


@overload
def open_record(envelope: Envelope) -> Signed[Record]: ...
@overload
def open_record(envelope: Envelope, expected: type[R]) -> Signed[R]: ...
def open_record(envelope: Envelope, expected: type[Any] = Record) -> Signed[Any]:
    """The record in an envelope, whose signature was verified when it was parsed."""
    return Signed(expected.parse(envelope.payload_type, envelope.payload), envelope)


def sign(statement: R, key: Key) -> Signed[R]:
    """The record in an envelope signed by its author."""
    return Signed(statement, Envelope.sign(statement.payload_type, statement.payload(), key))


def _kind(payload_type: str) -> type[Record]:
    """The class of a payload type; the three answers about versions."""
    matched = _TYPE.fullmatch(payload_type)
    if matched is None:
        raise MalformedError(f"{shown(payload_type)} is no payload type of a record")
    kind, version = matched[1], int(matched[2])
    if kind not in REGISTRY:
        raise MalformedError(f"{shown(kind)} is no kind of record; known are: {', '.join(sorted(REGISTRY))}")
    if version < VERSION:
        raise TooOldError(f"the {kind} has version {version}, which is no longer spoken; its author must update")
    if version > VERSION:
        raise TooNewError(f"the {kind} has version {version}, which this program does not know yet; update it")
    return REGISTRY[kind]
