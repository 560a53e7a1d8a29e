"""What was said about one revision, as questions and answers.

A steward who answered a question twice is counted with each of its answers. That is safe: two quorums share an honest
steward, who answers once. And it is needed: were a liar's vote to vanish as soon as a second one turns up, a steward
could forget what it is locked on, and a decision could be unmade.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias, TypeVar

from protocol.ledger import Ledger
from protocol.records import Ballot, Endorsement, Lock, Proposal, RoundRecord, Stage, Timeout, Vote

K = TypeVar("K", Ballot, Proposal, Timeout, Vote)

Question: TypeAlias = tuple[type[RoundRecord], int, Stage | None]
"""Kind, attempt, and the stage of a vote."""


@dataclass(frozen=True)
class Answer:
    """One record; ``at`` is when it was first seen, ``signature`` None as long as it is only about to be said."""

    record: RoundRecord
    at: float
    signature: bytes | None = None


class Minutes:
    """Answers by question and author; of one author in the order of their ids."""

    def __init__(self, ledger: Ledger, revision: int) -> None:
        self.round = ledger.round
        self.revision = revision
        self._answers: dict[Question, dict[bytes, list[Answer]]] = defaultdict(lambda: defaultdict(list))
        for kind in (Ballot, Proposal, Timeout, Vote):
            for signed in ledger.taken(kind):
                record: Any = signed.record
                if record.revision == revision:
                    self.enter(Answer(record, ledger.first_seen(signed.id), signed.envelope.sig))

    def enter(self, answer: Answer) -> None:
        """Count one more record."""
        self._answers[question(answer.record)][answer.record.author].append(answer)

    def answers(self, kind: type[K], attempt: int, stage: Stage | None = None) -> Mapping[bytes, tuple[K, ...]]:
        """What each author answered."""
        found: dict[bytes, list[Any]] = self._of((kind, attempt, stage))
        return {author: tuple(answer.record for answer in said) for author, said in found.items()}

    def said(self, author: bytes, kind: type[K], attempt: int, stage: Stage | None = None) -> tuple[K, ...]:
        """What this author answered."""
        return self.answers(kind, attempt, stage).get(author, ())

    def has_said(self, author: bytes, asked: Question) -> bool:
        """Whether this author answered this question."""
        return author in self._of(asked)

    def since(self, kind: type[K], attempt: int) -> float | None:
        """When answers of a quorum were there; None as long as they are not."""
        firsts = sorted(min(answer.at for answer in said) for said in self._of((kind, attempt, None)).values())
        return firsts[self.quorum - 1] if len(firsts) >= self.quorum else None

    @property
    def quorum(self) -> int:
        """Stewards that decide."""
        return self.round.record.quorum

    @cached_property
    def liars(self) -> frozenset[bytes]:
        """Who answered a question twice."""
        said = (pair for authors in self._answers.values() for pair in authors.items())
        return frozenset(author for author, answers in said if len(answers) > 1)

    @property
    def attempt(self) -> int:
        """The one that goes on: a quorum gave the one before it up."""
        return 1 + max((a for a in self._attempts(Timeout) if self.since(Timeout, a) is not None), default=-1)

    def leaving(self, attempt: int) -> set[bytes]:
        """Who gave up this attempt or a later one."""
        return {author for a in self._attempts(Timeout) if a >= attempt for author in self.answers(Timeout, a)}

    def voted(self, attempt: int, stage: Stage) -> bytes | None:
        """The roster for which a quorum voted; None without one, or with two, which takes too many liars."""
        votes: dict[bytes, set[bytes]] = defaultdict(set)
        for author, said in self.answers(Vote, attempt, stage).items():
            for vote in said:
                votes[vote.roster].add(author)
        found = [roster for roster, authors in votes.items() if len(authors) >= self.quorum]
        return found[0] if len(found) == 1 else None

    @property
    def decided(self) -> bytes | None:
        """The roster that a quorum decided."""
        found = {self.voted(attempt, Stage.DECIDE) for attempt in self._attempts(Vote)} - {None}
        return found.pop() if len(found) == 1 else None

    def lock(self, until: int) -> Lock | None:
        """The newest lock of an attempt not after ``until``, with the signatures that prove it."""
        for attempt in sorted(self._attempts(Vote), reverse=True):
            roster = self.voted(attempt, Stage.LOCK) if attempt <= until else None
            if roster is not None and (votes := self._endorsements(attempt, roster)):
                return Lock(attempt=attempt, roster=roster, votes=votes)
        return None

    def own_lock(self, me: bytes, until: int) -> Vote | None:
        """This steward's newest vote to decide in an attempt not after ``until``: what it is locked on."""
        for attempt in sorted(self._attempts(Vote), reverse=True):
            if attempt <= until and (said := self.said(me, Vote, attempt, Stage.DECIDE)):
                return said[0]
        return None

    def _endorsements(self, attempt: int, roster: bytes) -> tuple[Endorsement, ...]:
        """The signatures of a quorum; none while one of them is still to be made."""
        votes = self._of((Vote, attempt, Stage.LOCK))
        found = [
            Endorsement(author=author, signature=answer.signature)
            for author in sorted(votes)
            for answer in votes[author]
            if answer.signature is not None and getattr(answer.record, "roster", None) == roster
        ]
        return tuple(found[: self.quorum]) if len(found) >= self.quorum else ()

    def _attempts(self, kind: type[RoundRecord]) -> set[int]:
        return {attempt for of, attempt, _ in self._answers if of is kind}

    def _of(self, asked: Question) -> dict[bytes, list[Answer]]:
        return self._answers.get(asked, {})


def question(record: RoundRecord) -> Question:
    """What a record answers."""
    match record:
        case Vote():
            return Vote, record.attempt, record.stage
        case Ballot() | Proposal() | Timeout():
            return type(record), record.attempt, None
    raise TypeError(f"a {record.noun} answers no question of agreement")


def known(minutes: Minutes, ids: tuple[bytes, ...], kind: type[K], attempt: int) -> Iterator[K]:
    """The records that a proposal names, as far as they are of this kind and attempt and known."""
    wanted = set(ids)
    for said in minutes.answers(kind, attempt).values():
        yield from (record for record in said if record.id in wanted)
