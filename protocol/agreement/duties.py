"""What a steward says next.

In the attempt that goes on, and in the order of the rules:

Rule 1 (catching up). Whoever enters an attempt without having given up the one before does so now: its lock must be
heard by the next leader.

Rule 2 (ballot). It says which contributions it holds.

Rule 3 (proposal). The leader waits for all stewards, or for a share of the attempt and a quorum of them, and proposes.

Rule 4 (lock). It votes for the first proposal of the leader that is justified, unless it is locked on another roster by
a vote no older than the newest lock that the proposal's timeouts show.

Rule 5 (decide). When a quorum voted to lock a roster, it votes to decide on it. From then on it is locked.

Rule 6 (timeout). When the attempt has lasted its time, or an honest steward must have given it up, it gives it up too,
with the newest lock that it knows. After that it votes in this attempt no more: so the timeouts of a quorum show every
roster that may have been decided.

It says one thing to each question, what is in the ledger already counts, and it never votes in an older attempt.
"""

from collections.abc import Iterator
from typing import Any, TypeAlias

from protocol.agreement import proposals
from protocol.agreement.attempts import Pace
from protocol.agreement.leaders import leader
from protocol.agreement.minutes import Answer, Minutes, known
from protocol.agreement.rosters import NOTHING
from protocol.agreement.situation import Duty, Fetch, Keep, Say, Situation
from protocol.records import Ballot, Proposal, Roster, RoundRecord, Stage, Timeout, Vote
from protocol.records.agreement import MAX_ATTEMPT

Due: TypeAlias = tuple[RoundRecord, Roster | None]
"""What a rule wants said, and the roster to be kept before that."""


def duties(situation: Situation, now: float) -> tuple[Duty, ...]:
    """Everything that is due at ``now``, in the order in which it is to be done."""
    steward = _Steward(situation, now)
    return tuple(steward.act())


def wake(situation: Situation, now: float) -> float | None:
    """When to ask for duties again even if nothing was heard; None if only what is heard can change them."""
    if situation.me in situation.ledger.round.record.stewards and now < situation.began:
        return situation.began
    return _Steward(situation, now).next_deadline()


class _Steward:
    """One look at the situation."""

    def __init__(self, situation: Situation, now: float) -> None:
        self.of, self.now = situation, now
        self.me, self.round = situation.me, situation.ledger.round.record
        self.minutes = Minutes(situation.ledger, situation.revision)
        self.pace = Pace.of(self.round.faults, situation.began, situation.ends)
        self.voted_now = False

    def act(self) -> Iterator[Duty]:
        """The rules, one after the other, until none of them has anything to say."""
        while self._is_active() and (due := next(self._due(), None)) is not None:
            record, roster = due
            if roster is not None and self.of.rosters(roster.id) is None:
                yield Keep(roster)
            yield Say(record)
            self.minutes.enter(Answer(record, self.now))
            self.voted_now |= isinstance(record, Vote)
        if self._is_active():
            yield from self._missing()

    def next_deadline(self) -> float | None:
        """The end of the attempt, or of the leader's patience."""
        entered = self._entered()
        if not self._is_active() or entered is None or self._has_left():
            return None
        ahead = [max(self.now, entered + self.pace.seconds(self.attempt))]
        patience = entered + self.pace.patience(self.attempt)
        if self._leads() and not self._said(Proposal) and patience > self.now:
            ahead.append(patience)
        return min(ahead) if self.of.ends is None or min(ahead) < self.of.ends else None

    @property
    def attempt(self) -> int:
        """The one that goes on."""
        return self.minutes.attempt

    def _is_active(self) -> bool:
        return (
            self.me in self.round.stewards
            and self.of.began <= self.now
            and (self.of.ends is None or self.now < self.of.ends)
            and self.attempt <= MAX_ATTEMPT
            and self.minutes.decided is None
        )

    def _due(self) -> Iterator[Due]:
        """What each rule wants said."""
        yield from self._catch_up()
        if not self._has_left():
            yield from self._ballot()
            yield from self._proposal()
            yield from self._lock()
            yield from self._decide()
            yield from self._leave()

    # -- rules -----------------------------------------------------------------------------------------------------

    def _catch_up(self) -> Iterator[Due]:
        if self.attempt and not self._said(Timeout, self.attempt - 1):
            yield from self._timeout(self.attempt - 1)

    def _ballot(self) -> Iterator[Due]:
        roster = self.of.candidate
        if roster is not None and not self._said(Ballot):
            count = len(roster.contributions)
            yield Ballot(**self._common(), attempt=self.attempt, roster=roster.id, count=count), roster

    def _proposal(self) -> Iterator[Due]:
        if not self._leads() or self._said(Proposal) or not self._is_ready():
            return
        if (made := proposals.make(self.minutes, self.of.ledger, self._at_hand, self.me)) is not None:
            proposal, justified = made
            yield proposal, justified.listed

    def _lock(self) -> Iterator[Due]:
        proposal = proposals.standing(self.minutes)
        if proposal is None or self._said(Vote, stage=Stage.LOCK):
            return
        justified = proposals.judge(proposal, self.minutes, self.of.ledger, self._at_hand)
        if justified is None:
            return
        own = self.minutes.own_lock(self.me, self.attempt)
        if own is None or own.roster == justified.roster or own.attempt < (justified.attempt or 0):
            yield self._vote(Stage.LOCK, justified.roster), justified.listed

    def _decide(self) -> Iterator[Due]:
        roster = self.minutes.voted(self.attempt, Stage.LOCK)
        if roster is not None and not self._said(Vote, stage=Stage.DECIDE):
            yield self._vote(Stage.DECIDE, roster), None

    def _leave(self) -> Iterator[Due]:
        entered = self._entered()
        over = entered is not None and self.now >= entered + self.pace.seconds(self.attempt)
        if over or len(self.minutes.leaving(self.attempt) - {self.me}) > self.round.faults:
            yield from self._timeout(self.attempt)

    def _timeout(self, attempt: int) -> Iterator[Due]:
        """Nothing as long as it could not show what this steward is locked on: its votes must be signed first."""
        lock, own = self.minutes.lock(attempt), self.minutes.own_lock(self.me, attempt)
        is_shown = own is None or (lock is not None and lock.attempt >= own.attempt)
        if is_shown and not self.voted_now:
            yield Timeout(**self._common(), attempt=attempt, lock=lock), None

    # -- what they ask ---------------------------------------------------------------------------------------------

    def _entered(self) -> float | None:
        """When the attempt began here: with ballots of a quorum, or timeouts of the one before; None before that."""
        before = self.attempt - 1
        began = self.minutes.since(Timeout, before) if self.attempt else self.minutes.since(Ballot, 0)
        return None if began is None else max(began, self.of.began)

    def _has_left(self) -> bool:
        return self.me in self.minutes.leaving(self.attempt)

    def _leads(self) -> bool:
        return self.me == leader(self.of.ledger.round, self.of.revision, self.attempt)

    def _is_ready(self) -> bool:
        """Whether the leader waits for nobody any more."""
        entered = self._entered()
        if entered is None:
            return False
        awaited = set(self.round.stewards) - self.minutes.liars
        is_patient = self.now < entered + self.pace.patience(self.attempt)
        return not is_patient or awaited <= proposals.usable_authors(self.minutes, self._at_hand)

    def _said(self, kind: type[RoundRecord], attempt: int | None = None, stage: Stage | None = None) -> bool:
        return self.minutes.has_said(self.me, (kind, self.attempt if attempt is None else attempt, stage))

    def _at_hand(self, roster_id: bytes) -> Roster | None:
        for roster in (NOTHING, self.of.candidate):
            if roster is not None and roster.id == roster_id:
                return roster
        return self.of.rosters(roster_id)

    def _missing(self) -> Iterator[Fetch]:
        """Rosters that somebody named and that are not here, each with who has it for sure."""
        wanted: dict[bytes, bytes] = {}
        for author, said in self.minutes.answers(Ballot, self.attempt).items():
            if author not in self.minutes.liars:
                wanted |= {ballot.roster: author for ballot in said}
        proposal = proposals.standing(self.minutes)
        if proposal is not None:
            named = known(self.minutes, proposal.ballots, Ballot, self.attempt)
            wanted |= {ballot.roster: proposal.author for ballot in named}
        if (lock := self.minutes.lock(MAX_ATTEMPT)) is not None:
            wanted[lock.roster] = next((vote.author for vote in lock.votes if vote.author != self.me), self.me)
        return (Fetch(roster, of) for roster, of in wanted.items() if self._at_hand(roster) is None)

    def _vote(self, stage: Stage, roster: bytes) -> Vote:
        return Vote(**self._common(), attempt=self.attempt, stage=stage, roster=roster)

    def _common(self) -> dict[str, Any]:
        return {"author": self.me, "round": self.of.ledger.round.id, "revision": self.of.revision}
