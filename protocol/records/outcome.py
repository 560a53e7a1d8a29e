"""What stewards say of the merged model: Attestation, Result, Revision.

A Result is final by itself: with the Round it names, anyone can check it offline. It carries one signature for each
steward, over the Attestation that the steward made; those are not repeated, since every word of them stands in the
Result already.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated

from protocol.errors import MalformedError
from protocol.identity.public import MAX_SIGNATURE_BYTES
from protocol.records.contribution import MAX_REASON
from protocol.records.fields import Fields, Part
from protocol.records.forms import DIGEST_BYTES, LOCATION, MAX_LOCATIONS, Digest, Hex, Integer, Many, Point, Text
from protocol.records.record import RoundRecord, Signed, record
from protocol.records.round import MAX_STEWARDS, Recipe

MAX_REVISION = 999
"""A Result is number 0, its Revisions are numbered from 1."""

MAX_REMOVED = 64
"""Contributions that one Revision takes out."""

MIN_SIGNATURE_BYTES = 8
"""Two integers of one byte in DER."""


@record("attestation")
@dataclass(frozen=True, kw_only=True)
class Attestation(RoundRecord):
    """A steward merged this roster and got this root."""

    revision: Annotated[int, Integer(0, MAX_REVISION)]
    roster: Digest
    root: Digest


@dataclass(frozen=True, kw_only=True)
class Endorsement(Fields):
    """A steward's signature over its Attestation."""

    noun = "endorsement"

    author: Point
    signature: Annotated[bytes, Hex(MIN_SIGNATURE_BYTES, MAX_SIGNATURE_BYTES)]


@dataclass(frozen=True, kw_only=True)
class Outcome(RoundRecord):
    """What a Result and a Revision share.

    The quorum stands behind round, revision, roster and root. Manifest, recipe and locations are its author's word, and
    need no more: the manifest must have that root, and the recipe must give it.
    """

    roster: Digest
    root: Digest
    manifest: Digest
    recipe: Recipe
    """Locked: every choice made, nothing left to search or to default."""
    locations: Annotated[tuple[str, ...], Many(LOCATION, MAX_LOCATIONS, ascending=False)] = ()
    endorsements: Annotated[tuple[Endorsement, ...], Many(Part(Endorsement), MAX_STEWARDS, ascending=False)]

    def _check(self) -> None:
        authors = [endorsement.author for endorsement in self.endorsements]
        if any(a >= b for a, b in pairwise(authors)):
            raise MalformedError(f"{self.noun}.endorsements are not in ascending order of their authors, each once")

    @property
    def number(self) -> int:
        """0 for a Result, the number of a Revision."""
        return 0


def endorsements(attestations: tuple[Signed[Attestation], ...]) -> tuple[Endorsement, ...]:
    """The form in which a Result carries attestations: ascending by author."""
    made = [Endorsement(author=a.record.author, signature=a.envelope.signatures[0].sig) for a in attestations]
    return tuple(sorted(made, key=lambda e: e.author))


@record("result")
@dataclass(frozen=True, kw_only=True)
class Result(Outcome):
    """The round's model, published by any steward once a quorum has attested to it."""


@record("revision")
@dataclass(frozen=True, kw_only=True)
class Revision(Outcome):
    """The round's model without some of its contributions, merged anew: what follows a Withdrawal."""

    revision: Annotated[int, Integer(1, MAX_REVISION)]
    previous: Digest
    """The Result or Revision that it succeeds."""
    removed: Annotated[tuple[bytes, ...], Many(Hex(DIGEST_BYTES, DIGEST_BYTES), MAX_REMOVED)]
    reason: Annotated[str, Text(MAX_REASON)]

    @property
    def number(self) -> int:
        """Its place in the chain."""
        return self.revision
