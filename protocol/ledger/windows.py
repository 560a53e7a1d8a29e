"""When a record counts.

A record holds no time of its own, since its author could write any: what counts is when this node first saw it. What
stewards say has a beginning and no end: a split that lasts past a deadline could never heal if those on one side had to
refuse what the other side took in time. ``roster_closes`` tells honest stewards when to stop signing.
"""

from protocol.errors import RuleError
from protocol.ledger.rules import Rule
from protocol.records import (
    Attestation,
    Ballot,
    Commitment,
    Contribution,
    Outcome,
    Proposal,
    Refusal,
    RoundRecord,
    Schedule,
    Timeout,
    Vote,
)
from protocol.records.round import SKEW_SECONDS


def is_late(record: RoundRecord, schedule: Schedule, now: float) -> bool:
    """Whether the record came after its window; refuses what came before it."""
    opens, closes = _window(record, schedule)
    if opens is not None and now < opens:
        raise RuleError(
            Rule.EARLY, f"a {record.noun} before its time; it counts in {opens - now:.0f} s, offer it again"
        )
    return closes is not None and now >= closes


def _window(record: RoundRecord, schedule: Schedule) -> tuple[float | None, float | None]:
    """From when to before when, by a clock that may differ from the author's by ``SKEW_SECONDS``."""
    match record:
        case Commitment():
            return schedule.commit_opens - SKEW_SECONDS, schedule.commit_closes + SKEW_SECONDS
        case Contribution():
            return schedule.commit_closes + SKEW_SECONDS, schedule.reveal_closes + SKEW_SECONDS
        case Refusal():
            return schedule.commit_closes + SKEW_SECONDS, None
        case Ballot() | Proposal() | Vote() | Timeout() | Attestation() | Outcome():
            return schedule.reveal_closes - SKEW_SECONDS, None
    return None, None
