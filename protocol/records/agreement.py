"""What stewards say while they agree on the roster: Ballot, Proposal, Vote, Timeout.

A roster is named by the blob id of its list of contribution ids (``roster.Roster``), since a long one does not fit into
a record. An attempt has one leader; when it fails, the next attempt begins and carries what a quorum has locked.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from protocol.errors import MalformedError
from protocol.records.endorsement import ENDORSEMENTS, Endorsement, check_authors
from protocol.records.fields import Fields
from protocol.records.forms import DIGEST_BYTES, Digest, Hex, Integer, Many
from protocol.records.record import RoundRecord, record
from protocol.records.round import MAX_CONTRIBUTIONS, MAX_STEWARDS

MAX_ATTEMPT = 127
"""Attempts are numbered from 0. A calm network needs twelve at most; the rest bounds what a liar makes others hold."""

MAX_REVISION = 999
"""A Result is number 0, its Revisions are numbered from 1; each is agreed on by itself."""

MAX_QUORUM_RECORDS = MAX_STEWARDS
"""Records that justify something: at most one of each steward."""

IDS = Many(Hex(DIGEST_BYTES, DIGEST_BYTES), MAX_QUORUM_RECORDS)
ATTEMPT = Integer(0, MAX_ATTEMPT)
REVISION = Integer(0, MAX_REVISION)


class Stage(StrEnum):
    """What a quorum of votes does: first it locks a roster, then it decides on it."""

    DECIDE = "decide"
    LOCK = "lock"


@record("ballot")
@dataclass(frozen=True, kw_only=True)
class Ballot(RoundRecord):
    """The contributions that a steward holds complete and valid; in a revision, those it would keep."""

    revision: Annotated[int, REVISION]
    attempt: Annotated[int, ATTEMPT]
    roster: Digest
    count: Annotated[int, Integer(0, MAX_CONTRIBUTIONS)]
    """Ids in that roster: its blob has 32 bytes for each."""


@record("proposal")
@dataclass(frozen=True, kw_only=True)
class Proposal(RoundRecord):
    """The roster that the attempt's leader proposes, with the ballots that justify it."""

    revision: Annotated[int, REVISION]
    attempt: Annotated[int, ATTEMPT]
    roster: Digest
    ballots: Annotated[tuple[bytes, ...], IDS]
    timeouts: Annotated[tuple[bytes, ...], IDS] = ()
    """Of the attempt before: they show what is locked, if anything."""

    def _check(self) -> None:
        if (self.attempt == 0) != (not self.timeouts):
            raise MalformedError("a proposal carries timeouts if and only if it is not of attempt 0")


@record("vote")
@dataclass(frozen=True, kw_only=True)
class Vote(RoundRecord):
    """A steward is for a roster."""

    revision: Annotated[int, REVISION]
    attempt: Annotated[int, ATTEMPT]
    stage: Stage
    roster: Digest


@dataclass(frozen=True, kw_only=True)
class Lock(Fields):
    """A quorum locked a roster in the timeout's revision: this proves itself, as a Result does."""

    noun = "lock"

    attempt: Annotated[int, ATTEMPT]
    roster: Digest
    votes: Annotated[tuple[Endorsement, ...], ENDORSEMENTS]

    def _check(self) -> None:
        check_authors(self.votes, "lock.votes")


@record("timeout")
@dataclass(frozen=True, kw_only=True)
class Timeout(RoundRecord):
    """A steward gives an attempt up, and carries its lock into the next."""

    revision: Annotated[int, REVISION]
    attempt: Annotated[int, ATTEMPT]
    lock: Lock | None = None

    def _check(self) -> None:
        if self.lock is not None and self.lock.attempt > self.attempt:
            raise MalformedError(f"timeout.lock is of attempt {self.lock.attempt}, after the timeout's {self.attempt}")
