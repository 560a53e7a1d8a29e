"""Stewards that lie together: they hear everything at once, sign anything, and tell each what harms most."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

from protocol.agreement.leaders import leader
from protocol.agreement.rosters import by_ballots, by_lock
from protocol.errors import MalformedError
from protocol.records import (
    Ballot,
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
from tests.scenarios.stewards import Network, Said

BUSY_SECONDS = 2.0
"""A liar does something at least this often while it may."""

MAX_LIES = 60
"""Of one liar, so that a run ends."""


@dataclass
class Liar:
    """``tricks``: the names of what it does; it is silent without any."""

    network: Network
    number: int
    tricks: tuple[str, ...]
    lies: int = 0
    _done: dict[str, Callable[[], None]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._done = {name: getattr(self, name) for name in self.tricks}
        self.network.later(self.random.uniform(0, BUSY_SECONDS), self._act)

    @property
    def random(self) -> Random:
        return self.network.random

    def _act(self) -> None:
        if not self._done or self.lies >= MAX_LIES:
            return
        self.random.choice(sorted(self._done.items()))[1]()
        self.network.later(self.random.uniform(0, BUSY_SECONDS), self._act)

    # -- tricks ----------------------------------------------------------------------------------------------------

    def ballots(self) -> None:
        """Two ballots to two halves, of which one lists what exists nowhere."""
        setting = self.network.setting
        offers = range(len(setting.offers))
        listed = [setting.roster(*[o for o in offers if self.random.random() < 0.5] or [0]) for _ in range(2)]
        if self.random.random() < 0.3:
            listed[1] = Roster((self.random.randbytes(32),))
        for roster, half in zip(listed, self._halves(), strict=True):
            self.network.rosters_of_liars[roster.id] = roster
            count = len(roster.contributions)
            self._tell(half, Ballot, attempt=self._attempt(), roster=roster.id, count=count)

    def poison(self) -> None:
        """One ballot, like an honest steward's, with an offer that only liars would take."""
        setting, attempt = self.network.setting, self._attempt()
        author = setting.points[self.number]
        if not any((said.record.author, said.record.attempt) == (author, attempt) for said in self._of(Ballot)):
            roster = setting.roster()
            self.network.rosters_of_liars[roster.id] = roster
            count = len(roster.contributions)
            self._tell(list(self.network.stewards), Ballot, attempt=attempt, roster=roster.id, count=count)

    def votes(self) -> None:
        """For anything, in both stages, also in old attempts."""
        known = [said.record for said in self._of(Vote, Proposal)]
        if known:
            for half in self._halves():
                record: Any = self.random.choice(known)
                stage = self.random.choice(list(Stage))
                self._tell(half, Vote, attempt=record.attempt, stage=stage, roster=record.roster)

    def turncoat(self) -> None:
        """First like an honest steward, for what is proposed and locked; later against what it said then."""
        me, everybody = self.network.setting.points[self.number], list(self.network.stewards)
        mine = [said.record for said in self._of(Vote) if said.record.author == me]
        if mine and self.random.random() < 0.2:
            record: Any = self.random.choice(mine)
            roster = self.random.randbytes(32)
            self._tell(everybody, Vote, attempt=record.attempt, stage=record.stage, roster=roster)
            return
        chances = [(lock.attempt, Stage.DECIDE, lock.roster) for lock in self._locks()]
        chances += [(said.record.attempt, Stage.LOCK, said.record.roster) for said in self._of(Proposal)]
        for attempt, stage, roster in chances:
            if not any((vote.attempt, vote.stage) == (attempt, stage) for vote in mine):
                self._tell(everybody, Vote, attempt=attempt, stage=stage, roster=roster)
                return

    def timeouts(self) -> None:
        """Without a lock for one half and with any for the other; of attempts that go on and of some that do not."""
        for half in self._halves():
            attempt = self._attempt()
            locks = [lock for lock in self._locks() if lock.attempt <= attempt]
            lock = self.random.choice([None, *locks])
            self._tell(half, Timeout, attempt=attempt, lock=lock)

    def proposals(self) -> None:
        """As the leader: to each half what different ballots and timeouts justify, so that both would be right."""
        setting = self.network.setting
        attempt = self._attempt()
        if leader(setting.round, 0, attempt) == setting.points[self.number]:
            for half in self._halves():
                self._propose(attempt, half)

    def unjustified(self) -> None:
        """Whoever leads: a roster that follows from nothing."""
        setting, attempt = self.network.setting, self._attempt()
        some = sorted({said.id for said in self._of(Ballot)})[:3] or [self.random.randbytes(32)]
        before = sorted({said.id for said in self._of(Timeout)})[:3] or [self.random.randbytes(32)]
        roster = setting.roster(self.random.randrange(len(setting.offers)))
        named = {"ballots": tuple(some), "timeouts": tuple(before) if attempt else ()}
        self._tell(self._halves()[0], Proposal, attempt=attempt, roster=roster.id, **named)

    def replays(self) -> None:
        """Something old, to somebody who may not have it."""
        said = list(self.network.heard_by_liars.values())
        if said:
            self.network.send(self.random.choice(said), self.number, self._halves()[0])

    # -- means -----------------------------------------------------------------------------------------------------

    def _propose(self, attempt: int, half: list[int]) -> None:
        quorum = self.network.setting.round.record.quorum
        timeouts = self._quorum_of(Timeout, attempt - 1, quorum) if attempt else []
        ballots = self._quorum_of(Ballot, attempt, quorum)
        if timeouts is None or ballots is None:
            return
        found = by_lock([said.record for said in timeouts])
        if found is None:
            anybody = next(iter(self.network.stewards.values()))
            found = by_ballots([said.record for said in ballots], self._roster, anybody.ledger)
        if found is not None:
            named = {
                name: tuple(sorted(s.id for s in said)) for name, said in (("ballots", ballots), ("timeouts", timeouts))
            }
            self._tell(half, Proposal, attempt=attempt, roster=found.roster, **named)

    def _quorum_of(self, kind: type[RoundRecord], attempt: int, quorum: int) -> list[Signed[Any]] | None:
        by_author: dict[bytes, list[Said]] = {}
        for said in self._of(kind):
            if said.record.attempt == attempt:
                by_author.setdefault(said.record.author, []).append(said)
        if len(by_author) < quorum:
            return None
        authors = self.random.sample(sorted(by_author), quorum)
        return [self.random.choice(by_author[author]) for author in authors]

    def _locks(self) -> Iterator[Lock]:
        """Every lock that the votes said so far prove."""
        votes: dict[tuple[int, bytes], dict[bytes, Said]] = {}
        for said in self._of(Vote):
            if said.record.stage is Stage.LOCK:
                votes.setdefault((said.record.attempt, said.record.roster), {})[said.record.author] = said
        for (attempt, roster), of in votes.items():
            if len(of) >= self.network.setting.round.record.quorum:
                yield Lock(attempt=attempt, roster=roster, votes=endorsements(of.values()))

    def _roster(self, roster_id: bytes) -> Roster | None:
        known = [self.network.rosters_of_liars, *(steward.rosters for steward in self.network.stewards.values())]
        return next((rosters[roster_id] for rosters in known if roster_id in rosters), None)

    def _attempt(self) -> int:
        """One that goes on somewhere, or the one after it."""
        attempts: list[int] = [said.record.attempt for said in self._of(Ballot, Vote)] or [0]
        return max(0, max(attempts) + self.random.choice([-1, 0, 0, 0, 1]))

    def _of(self, *kinds: type[RoundRecord]) -> list[Said]:
        return [said for said in self.network.heard_by_liars.values() if isinstance(said.record, kinds)]

    def _halves(self) -> list[list[int]]:
        numbers = list(self.network.stewards)
        self.random.shuffle(numbers)
        cut = self.random.randint(0, len(numbers))
        return [numbers[:cut], numbers[cut:]]

    def _tell(self, to: list[int], kind: type[RoundRecord], **fields: Any) -> None:
        setting = self.network.setting
        given: Any = {"author": setting.points[self.number], "round": setting.round.id, "revision": 0, **fields}
        try:
            said = sign(kind(**given), setting.key(self.number))
        except MalformedError:
            return
        self.lies += 1
        self.network.send(said, self.number, to)


TRICKS = ("ballots", "poison", "turncoat", "votes", "timeouts", "proposals", "unjustified", "replays")
