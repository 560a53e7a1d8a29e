"""What stewards say of the merged model: Attestation, Result, Revision.

A Result is final by itself: with the Round it names, anyone can check it offline. It carries one signature for each
steward, over the Attestation that the steward made; those are not repeated, since every word of them stands in the
Result already.
"""

from dataclasses import dataclass
from typing import Annotated

from protocol.records.agreement import MAX_REVISION, REVISION
from protocol.records.contribution import MAX_REASON
from protocol.records.endorsement import ENDORSEMENTS, Endorsement, check_authors
from protocol.records.forms import DIGEST_BYTES, LOCATION, MAX_LOCATIONS, Digest, Hex, Integer, Many, Text
from protocol.records.record import RoundRecord, record
from protocol.records.round import Recipe

MAX_REMOVED = 64
"""Contributions that one Revision takes out."""


@record("attestation")
@dataclass(frozen=True, kw_only=True)
class Attestation(RoundRecord):
    """A steward merged this roster by this recipe and got this root."""

    revision: Annotated[int, REVISION]
    roster: Digest
    root: Digest
    recipe: Digest
    """Of the locked recipe (``Recipe.digest``): else a liar could publish the root with another one."""


@dataclass(frozen=True, kw_only=True)
class Outcome(RoundRecord):
    """What a Result and a Revision share.

    The quorum stands behind round, revision, roster, root and recipe. Manifest and locations are its author's word, and
    need no more: the manifest must have that root.
    """

    roster: Digest
    root: Digest
    manifest: Digest
    recipe: Recipe
    """Locked: every choice made, nothing left to search or to default."""
    locations: Annotated[tuple[str, ...], Many(LOCATION, MAX_LOCATIONS, ascending=False)] = ()
    endorsements: Annotated[tuple[Endorsement, ...], ENDORSEMENTS]

    def _check(self) -> None:
        check_authors(self.endorsements, f"{self.noun}.endorsements")

    @property
    def number(self) -> int:
        """0 for a Result, the number of a Revision."""
        return 0


@record("result")
@dataclass(frozen=True, kw_only=True)
class Result(Outcome):
    """The round's model, published by any steward once a quorum has attested to it."""


@record("revision")
@dataclass(frozen=True, kw_only=True)
class Revision(Outcome):
    """The round's model merged anew: without what was withdrawn, or because the merge before was wrong."""

    revision: Annotated[int, Integer(1, MAX_REVISION)]
    previous: Digest
    """The Result or Revision that it succeeds."""
    removed: Annotated[tuple[bytes, ...], Many(Hex(DIGEST_BYTES, DIGEST_BYTES), MAX_REMOVED)] = ()
    """None when only the merge is corrected."""
    reason: Annotated[str, Text(MAX_REASON)]

    @property
    def number(self) -> int:
        """Its place in the chain."""
        return self.revision
