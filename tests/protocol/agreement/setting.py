"""A round with stewards and contributions, and what its stewards may say. Stewards by number, in the order of turns."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, TypeVar

from protocol.agreement import Fetch, Keep, Say, Situation, duties
from protocol.agreement.leaders import turns
from protocol.identity import Key
from protocol.ledger import Ledger
from protocol.records import (
    Ballot,
    Contribution,
    Lock,
    Proposal,
    Roster,
    RoundRecord,
    Signed,
    Stage,
    Timeout,
    Vote,
    endorsements,
    sign,
)
from protocol.records.round import SKEW_SECONDS
from tests.protocol.keys import key
from tests.protocol.records.examples import (
    ADMISSION,
    DURING_COMMIT,
    DURING_REVEAL,
    SCHEDULE,
    commitment,
    contribution,
    points,
    signed_round,
)

R = TypeVar("R", bound=RoundRecord)

BEGAN = SCHEDULE.reveal_closes + SKEW_SECONDS
ENDS = float(SCHEDULE.roster_closes)


class Setting:
    """A round of ``stewards`` stewards to which each of ``offers`` keys contributed once."""

    def __init__(self, stewards: int, offers: int = 4, **admission: Any) -> None:
        numbers = tuple(range(11, 11 + stewards))
        self.round = signed_round(stewards=points(numbers), admission=replace(ADMISSION, **admission))
        self._keys: dict[bytes, Key] = {key(number).public.point: key(number) for number in numbers}
        self.points = turns(self.round, 0)
        self.offers: list[Signed[Contribution]] = [
            contribution(41 + number, f"offer {number}", round=self.round.id) for number in range(offers)
        ]
        self.commitments = [commitment(offer, 41 + number) for number, offer in enumerate(self.offers)]

    def key(self, steward: int) -> Key:
        return self._keys[self.points[steward]]

    def number(self, point: bytes) -> int:
        return self.points.index(point)

    def ledger(self, *said: Signed[Any], now: float = BEGAN) -> Ledger:
        """All contributions, and these records, first seen at ``now``."""
        book = Ledger(self.round)
        for opening in self.commitments:
            book.accept(opening, DURING_COMMIT)
        for offer in self.offers:
            book.accept(offer, DURING_REVEAL)
        for signed in said:
            book.accept(signed, now)
        return book

    def roster(self, *offers: int) -> Roster:
        """Of the offers with these numbers; all of them without any."""
        return Roster(tuple(sorted(self.offers[number].id for number in offers or range(len(self.offers)))))

    def sign(self, steward: int, kind: type[R], **fields: Any) -> Signed[R]:
        made: Any = kind(author=self.points[steward], round=self.round.id, **fields)
        return sign(made, self.key(steward))

    def ballot(self, steward: int, roster: Roster, attempt: int = 0, **fields: Any) -> Signed[Ballot]:
        said = {"revision": 0, "count": len(roster.contributions), "roster": roster.id, **fields}
        return self.sign(steward, Ballot, attempt=attempt, **said)

    def vote(
        self, steward: int, roster: Roster, attempt: int = 0, stage: Stage = Stage.LOCK, revision: int = 0
    ) -> Signed[Vote]:
        return self.sign(steward, Vote, revision=revision, attempt=attempt, stage=stage, roster=roster.id)

    def votes(
        self, stewards: Iterable[int], roster: Roster, attempt: int = 0, stage: Stage = Stage.LOCK
    ) -> list[Signed[Vote]]:
        return [self.vote(steward, roster, attempt, stage) for steward in stewards]

    def lock(self, stewards: Iterable[int], roster: Roster, attempt: int = 0) -> Lock:
        votes = endorsements(self.votes(stewards, roster, attempt))
        return Lock(attempt=attempt, roster=roster.id, votes=votes)

    def timeout(self, steward: int, attempt: int = 0, lock: Lock | None = None) -> Signed[Timeout]:
        return self.sign(steward, Timeout, revision=0, attempt=attempt, lock=lock)

    def proposal(
        self,
        steward: int,
        roster: Roster,
        ballots: Iterable[Signed[Ballot]],
        timeouts: Iterable[Signed[Timeout]] = (),
        attempt: int = 0,
    ) -> Signed[Proposal]:
        return self.sign(
            steward,
            Proposal,
            revision=0,
            attempt=attempt,
            roster=roster.id,
            ballots=tuple(sorted(ballot.id for ballot in ballots)),
            timeouts=tuple(sorted(timeout.id for timeout in timeouts)),
        )

    def situation(
        self, steward: int, ledger: Ledger, candidate: Roster | None = None, at_hand: Iterable[Roster] = (), **more: Any
    ) -> Situation:
        here = {roster.id: roster for roster in at_hand}
        given: dict[str, Any] = {"revision": 0, "began": BEGAN, "ends": ENDS, "rosters": here.get, **more}
        return Situation(ledger=ledger, me=self.points[steward], candidate=candidate, **given)

    def says(
        self, steward: int, ledger: Ledger, now: float, candidate: Roster | None = None, at_hand: Iterable[Roster] = ()
    ) -> list[RoundRecord]:
        """The records that this steward has to say."""
        due = duties(self.situation(steward, ledger, candidate, at_hand), now)
        return [duty.record for duty in due if isinstance(duty, Say)]


def fetched(due: Iterable[Say | Keep | Fetch]) -> dict[bytes, bytes]:
    return {duty.roster: duty.of for duty in due if isinstance(duty, Fetch)}
