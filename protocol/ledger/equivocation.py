"""Two signed statements of one key that exclude each other: a proof that its owner lies, for anyone to check.

Where a steward may say one thing only (its **stance**):

- a Ballot, Proposal or Timeout for each revision and attempt; a Vote for each revision, attempt and stage;
- an Attestation for each revision: one roster, one recipe, one root;
- a Result or Revision for each number: the same roster, root, manifest and recipe. More endorsements or other mirrors
  are no contradiction.

A Refusal and a Withdrawal say the same whatever their reason.

Bytes of a proof: ``field("umm/equivocation/1") field(envelope) field(envelope)``, the lower record id first.
"""

from dataclasses import dataclass
from typing import Self, TypeAlias

from protocol.envelope import MAX_ENVELOPE_BYTES, Envelope
from protocol.errors import ForgedError, MalformedError, TooLargeError
from protocol.field import LENGTH_BYTES, field
from protocol.identity import PublicKey
from protocol.records import (
    Attestation,
    Ballot,
    Outcome,
    Proposal,
    Refusal,
    RoundRecord,
    Signed,
    Timeout,
    Vote,
    Withdrawal,
    open_record,
)

EQUIVOCATION_DOMAIN = b"umm/equivocation/1"

MAX_EQUIVOCATION_BYTES = 3 * LENGTH_BYTES + len(EQUIVOCATION_DOMAIN) + 2 * MAX_ENVELOPE_BYTES


Slot: TypeAlias = tuple[bytes, str, tuple[int | str | bytes, ...]]
"""Author, kind, and what it is about."""


@dataclass(frozen=True)
class Stance:
    """``slot``: the question, of which the author may answer each once; ``claim``: the answer."""

    slot: Slot
    claim: tuple[object, ...]


def stance(record: RoundRecord) -> Stance | None:
    """What a record commits its author to; None for kinds of which one key may publish many."""
    match record:
        case Vote():
            return _stance(record, (record.revision, record.attempt, record.stage.value), record.id)
        case Ballot() | Proposal() | Timeout():
            return _stance(record, (record.revision, record.attempt), record.id)
        case Attestation():
            return _stance(record, (record.revision,), record.id)
        case Outcome():
            return _stance(record, (record.number,), record.roster, record.root, record.manifest, record.recipe.digest)
        case Refusal() | Withdrawal():
            return _stance(record, (record.contribution,))
    return None


def _stance(record: RoundRecord, about: tuple[int | str | bytes, ...], *claim: object) -> Stance:
    return Stance((record.author, record.noun, about), claim)


@dataclass(frozen=True)
class Equivocation:
    """Two envelopes of one key with one slot and two claims, the lower record id first."""

    first: Signed[RoundRecord]
    second: Signed[RoundRecord]

    def __post_init__(self) -> None:
        a, b = self.first.record, self.second.record
        if self.first.id >= self.second.id:
            raise MalformedError("the two records of an equivocation must differ and stand in the order of their ids")
        if a.round != b.round:
            raise ForgedError("the two records are of two rounds, which proves nothing")
        said, also = stance(a), stance(b)
        if said is None or also is None or said.slot != also.slot or said.claim == also.claim:
            raise ForgedError("the two records do not exclude each other, which proves nothing")

    @classmethod
    def of(cls, one: Signed[RoundRecord], other: Signed[RoundRecord]) -> Self:
        """The proof that two records make, given in any order."""
        return cls(*sorted((one, other), key=lambda signed: signed.id))

    @property
    def liar(self) -> PublicKey:
        """Who signed both."""
        return self.first.signer

    def check(self) -> None:
        """Verify everything again, from the bytes: what a proof is worth to somebody who trusts nobody."""
        self.parse(self.encode())

    def encode(self) -> bytes:
        """The bytes to hand on."""
        return field(EQUIVOCATION_DOMAIN) + field(self.first.envelope.encode()) + field(self.second.envelope.encode())

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """The proof in these bytes, its signatures verified."""
        if len(data) > MAX_EQUIVOCATION_BYTES:
            raise TooLargeError(f"an equivocation of {len(data)} bytes; at most {MAX_EQUIVOCATION_BYTES} are allowed")
        domain, rest = _cut(data)
        if domain != EQUIVOCATION_DOMAIN:
            raise MalformedError("the bytes are no equivocation: they do not begin with its domain")
        first, rest = _cut(rest)
        second, rest = _cut(rest)
        if rest:
            raise MalformedError(f"the equivocation has {len(rest)} bytes behind its end")
        return cls(_opened(first), _opened(second))


def _opened(envelope: bytes) -> Signed[RoundRecord]:
    return open_record(Envelope.parse(envelope), RoundRecord)


def _cut(data: bytes) -> tuple[bytes, bytes]:
    """The field at the beginning, and the rest."""
    end = LENGTH_BYTES + int.from_bytes(data[:LENGTH_BYTES], "little")
    if len(data) < LENGTH_BYTES or len(data) < end:
        raise MalformedError("the equivocation is truncated")
    return data[LENGTH_BYTES:end], data[end:]
