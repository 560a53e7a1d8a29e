"""What contributors say, and what a steward answers: Commitment, Contribution, Withdrawal, Refusal."""

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Annotated

from blake3 import blake3

from protocol.blobs.chunks import MAX_BLOB_BYTES
from protocol.errors import MalformedError
from protocol.field import field
from protocol.records.fields import Fields, Part
from protocol.records.forms import (
    DIGEST_BYTES,
    LICENCE,
    LOCATION,
    MAX_LOCATIONS,
    WORD,
    Decimal,
    DecimalForm,
    Digest,
    Hex,
    Integer,
    Many,
    Text,
)
from protocol.records.record import RoundRecord, record
from protocol.records.round import MAX_TITLE, Kind

COMMITMENT_DOMAIN = b"umm/commitment/1"

MAX_CLAIMS = 32
"""Evaluation results that a contributor states."""

MAX_SOURCES = 16
"""Contributions that one was derived from."""

MAX_REASON = 500
"""Characters."""


class Fault(StrEnum):
    """Why a steward does not take a contribution."""

    ARCHITECTURE = "architecture"
    BASE = "base"
    COPY = "copy"
    DISTRIBUTIONS = "distributions"
    LICENCE = "licence"
    MANIFEST = "manifest"
    NORM = "norm"
    OTHER = "other"
    RULE = "rule"
    SIZE = "size"
    UNAVAILABLE = "unavailable"
    VALUES = "values"


@record("commitment")
@dataclass(frozen=True, kw_only=True)
class Commitment(RoundRecord):
    """That a contribution exists, without showing it: nobody can copy what is still hidden."""

    digest: Digest


@dataclass(frozen=True, kw_only=True)
class Claim(Fields):
    """A score that the contributor measured; anyone may measure it again."""

    noun = "claim"

    suite: Annotated[str, Text(80)]
    metric: Annotated[str, WORD]
    score: Decimal
    items: Annotated[int, Integer(1)]
    blob: Digest | None = None
    """The suite itself, when it is published."""


@record("contribution")
@dataclass(frozen=True, kw_only=True)
class Contribution(RoundRecord):
    """One signed offer: a delta, an adapter, a whole checkpoint, or distributions on the round's prompts."""

    kind: Kind
    title: Annotated[str | None, Text(MAX_TITLE)] = None
    manifest: Digest
    """The blob that lists files and tensors."""
    root: Digest
    """Of what the manifest lists."""
    size: Annotated[int, Integer(1, MAX_BLOB_BYTES)]
    """Bytes of the manifest and of every blob that it lists, a blob listed twice counted once."""
    base: Digest | None = None
    """Root of the model it is measured from; distributions need none."""
    prompts: Digest | None = None
    norm: Annotated[str | None, DecimalForm(negative=False)] = None
    """Euclidean norm of the whole delta, as the contributor measured it."""
    domain: Annotated[str, WORD]
    licence: Annotated[str, LICENCE]
    claims: Annotated[tuple[Claim, ...], Many(Part(Claim), MAX_CLAIMS, ascending=False)] = ()
    derived_from: Annotated[tuple[Digest, ...], Many(Hex(DIGEST_BYTES, DIGEST_BYTES), MAX_SOURCES)] = ()
    """Contributions that it was distilled from."""
    training: Digest | None = None
    """The blob that says how: seeds, training recipe, fused targets."""
    locations: Annotated[tuple[str, ...], Many(LOCATION, MAX_LOCATIONS, ascending=False)] = ()
    """Mirrors, beside the swarm."""
    salt: Digest
    """Random; it keeps the commitment from being guessed."""

    def _check(self) -> None:
        distributions = self.kind is Kind.DISTRIBUTIONS
        for name, needed in (("base", not distributions), ("prompts", distributions)):
            if (getattr(self, name) is not None) != needed:
                found = "lacks" if needed else "has no use for"
                raise MalformedError(f"a contribution of the kind {self.kind.value} {found} the field {name}")
        if distributions and self.norm is not None:
            raise MalformedError("a contribution of the kind distributions has no use for the field norm")

    @cached_property
    def commitment_digest(self) -> Digest:
        """What its author's Commitment states."""
        hidden = field(COMMITMENT_DOMAIN) + field(self.round) + field(self.author) + field(self.id)
        return blake3(hidden).digest()


@record("withdrawal")
@dataclass(frozen=True, kw_only=True)
class Withdrawal(RoundRecord):
    """The contributor takes an offer back, at any time; after the merge it is the ground for a Revision."""

    contribution: Digest
    reason: Annotated[str | None, Text(MAX_REASON)] = None


@record("refusal")
@dataclass(frozen=True, kw_only=True)
class Refusal(RoundRecord):
    """A steward does not take a contribution, and says why."""

    contribution: Digest
    fault: Fault
    reason: Annotated[str, Text(MAX_REASON)]
