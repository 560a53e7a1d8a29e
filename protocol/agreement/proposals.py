"""Making a proposal, and judging one: both by the same function of what it names."""

from collections.abc import Callable
from typing import TypeVar

from protocol.agreement.leaders import leader
from protocol.agreement.minutes import Minutes, known
from protocol.agreement.rosters import AtHand, Justified, by_ballots, by_lock, is_usable
from protocol.ledger import Ledger
from protocol.records import Ballot, Proposal, Timeout

K = TypeVar("K", Ballot, Timeout)


def make(minutes: Minutes, ledger: Ledger, at_hand: AtHand, me: bytes) -> tuple[Proposal, Justified] | None:
    """What the leader of this attempt can propose by what it holds; None while that is not enough."""
    attempt = minutes.attempt
    timeouts = _chosen(minutes, Timeout, attempt - 1, lambda _: True) if attempt else ()
    if timeouts is None:
        return None
    justified = by_lock(timeouts)
    if justified is not None:
        ballots = _any_ballot(minutes, attempt)
    else:
        chosen = _chosen(minutes, Ballot, attempt, lambda ballot: is_usable(ballot, at_hand))
        ballots = chosen or ()
        justified = by_ballots(ballots, at_hand, ledger) if ballots else None
    if justified is None or not ballots:
        return None
    made = Proposal(
        author=me,
        round=minutes.round.id,
        revision=minutes.revision,
        attempt=attempt,
        roster=justified.roster,
        ballots=tuple(sorted(ballot.id for ballot in ballots)),
        timeouts=tuple(sorted(timeout.id for timeout in timeouts)),
    )
    return made, justified


def standing(minutes: Minutes) -> Proposal | None:
    """What the leader of this attempt proposed; None if it said nothing, or more than one thing."""
    first = leader(minutes.round, minutes.revision, minutes.attempt)
    said = minutes.said(first, Proposal, minutes.attempt)
    return said[0] if len(said) == 1 else None


def judge(proposal: Proposal, minutes: Minutes, ledger: Ledger, at_hand: AtHand) -> Justified | None:
    """Why the proposal is right; None when it is not, or not as far as is known here."""
    timeouts: tuple[Timeout, ...] = ()
    if proposal.attempt:
        timeouts = tuple(known(minutes, proposal.timeouts, Timeout, proposal.attempt - 1))
        if not _is_quorum(timeouts, proposal.timeouts, minutes.quorum):
            return None
    justified = by_lock(timeouts)
    if justified is None:
        ballots = tuple(known(minutes, proposal.ballots, Ballot, proposal.attempt))
        if not _is_quorum(ballots, proposal.ballots, minutes.quorum):
            return None
        justified = by_ballots(ballots, at_hand, ledger)
    return justified if justified is not None and justified.roster == proposal.roster else None


def usable_authors(minutes: Minutes, at_hand: AtHand) -> set[bytes]:
    """Stewards of whom the leader of this attempt has all that it needs to name them."""
    attempt = minutes.attempt
    ballots = minutes.answers(Ballot, attempt)
    authors = {author for author, said in ballots.items() if any(is_usable(ballot, at_hand) for ballot in said)}
    return authors & set(minutes.answers(Timeout, attempt - 1)) if attempt else authors


def _chosen(minutes: Minutes, kind: type[K], attempt: int, usable: Callable[[K], bool]) -> tuple[K, ...] | None:
    """One record of each steward that never lied, and of liars only as many as a quorum lacks; None without one.

    A liar may give the record that is named to the leader alone. Once it is known as a liar that costs no attempt more.
    """
    honest: list[K] = []
    others: list[K] = []
    for author, said in sorted(minutes.answers(kind, attempt).items()):
        if (fit := next((record for record in said if usable(record)), None)) is not None:
            (others if author in minutes.liars else honest).append(fit)
    chosen = honest + others[: max(0, minutes.quorum - len(honest))]
    return tuple(chosen) if len(chosen) >= minutes.quorum else None


def _any_ballot(minutes: Minutes, attempt: int) -> tuple[Ballot, ...]:
    """A proposal names one at least; where a lock settles the roster it proves nothing."""
    said = (ballot for ballots in minutes.answers(Ballot, attempt).values() for ballot in ballots)
    return tuple(sorted(said, key=lambda ballot: ballot.id)[:1])


def _is_quorum(found: tuple[K, ...], named: tuple[bytes, ...], quorum: int) -> bool:
    """Whether all that is named is there, by as many stewards as records."""
    return len(found) == len(named) == len({record.author for record in found}) >= quorum
