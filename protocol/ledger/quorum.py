"""What a quorum of the round's stewards signed: a Result is final, a Lock holds.

It takes the Round and the record that carries the signatures, and nothing else: no network, no ledger. So a steward who
contradicts himself later takes nothing back.
"""

from collections.abc import Callable
from typing import TypeVar

from protocol.envelope import Envelope
from protocol.errors import ForgedError, RuleError
from protocol.identity import PublicKey
from protocol.ledger.rules import Rule
from protocol.records import (
    Attestation,
    Endorsement,
    Lock,
    Outcome,
    Round,
    RoundRecord,
    Signed,
    Stage,
    Timeout,
    Vote,
)

R = TypeVar("R", bound=RoundRecord)


def carried(record: RoundRecord, round_: Signed[Round]) -> tuple[Signed[RoundRecord], ...]:
    """The signed records inside a record, verified; raises when they should be a quorum and are not."""
    match record:
        case Outcome():
            return tuple(Signed[RoundRecord](said.record, said.envelope) for said in attestations(record, round_))
        case Timeout(lock=Lock()):
            return tuple(Signed[RoundRecord](said.record, said.envelope) for said in locking_votes(record, round_))
    return ()


def attestations(outcome: Outcome, round_: Signed[Round]) -> tuple[Signed[Attestation], ...]:
    """The attestations behind a Result or Revision, each verified; raises unless they are a quorum."""

    def said(author: bytes) -> Attestation:
        return Attestation(
            author=author,
            round=outcome.round,
            revision=outcome.number,
            roster=outcome.roster,
            root=outcome.root,
            recipe=outcome.recipe.digest,
        )

    return _quorum(outcome, outcome.endorsements, said, round_)


def locking_votes(timeout: Timeout, round_: Signed[Round]) -> tuple[Signed[Vote], ...]:
    """The votes behind a Timeout's lock, each verified; none without a lock; raises unless they are a quorum."""
    lock = timeout.lock
    if lock is None:
        return ()

    def said(author: bytes) -> Vote:
        return Vote(
            author=author,
            round=timeout.round,
            revision=timeout.revision,
            attempt=lock.attempt,
            stage=Stage.LOCK,
            roster=lock.roster,
        )

    return _quorum(timeout, lock.votes, said, round_)


def _quorum(
    carrier: RoundRecord, endorsements: tuple[Endorsement, ...], said: Callable[[bytes], R], round_: Signed[Round]
) -> tuple[Signed[R], ...]:
    what, stewards = f"the {carrier.noun}", round_.record.stewards
    if carrier.round != round_.id:
        raise RuleError(Rule.ROUND, f"{what} is of round {carrier.round.hex()}, not of {round_.id.hex()}")
    if strangers := [e.author for e in endorsements if e.author not in stewards]:
        raise RuleError(Rule.QUORUM, f"{what} is endorsed by {strangers[0].hex()}, who is no steward of the round")
    if len(endorsements) < round_.record.quorum:
        raise RuleError(
            Rule.QUORUM,
            f"{what} has {len(endorsements)} endorsements; it takes {round_.record.quorum} of {len(stewards)}",
        )
    return tuple(_signed(carrier, endorsement, said(endorsement.author)) for endorsement in endorsements)


def _signed(carrier: RoundRecord, endorsement: Endorsement, said: R) -> Signed[R]:
    """What this steward signed: every word of it stands in what carries it."""
    public = PublicKey.from_point(endorsement.author)
    try:
        return Signed(said, Envelope(said.payload_type, said.payload(), public, endorsement.signature))
    except ForgedError as error:
        raise ForgedError(f"the {carrier.noun} holds an endorsement that proves nothing: {error}") from None
