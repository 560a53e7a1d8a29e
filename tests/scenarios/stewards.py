"""Stewards in a network that delays, loses, reorders and splits: one process, and a clock that only events move.

Everything that happens follows from the seed of a ``Random``. A steward keeps on its disk the records that it took, in
order and with the moment of each, and the rosters that it fetched; a crash takes the rest.
"""

import heapq
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count
from random import Random
from typing import Any, TypeAlias

from protocol.agreement import Fetch, Keep, Say, Situation, decision, duties, wake
from protocol.errors import RuleError
from protocol.records import Roster, RoundRecord, Signed, sign
from protocol.records.round import SKEW_SECONDS
from tests.protocol.agreement.setting import BEGAN, ENDS, Setting

Said: TypeAlias = Signed[Any]

STEP_SECONDS = 0.5
"""A steward looks at what it heard this often."""

GOSSIP_SECONDS = 3.0
"""Every so often it asks each other steward for what it has not heard."""

RETRY_SECONDS = 3.0
"""A roster that nobody had is asked for again."""


VIEW_SECONDS = 25.0
"""How long a steward holds the same contributions for complete and valid."""


@dataclass
class Weather:
    """How the network is now: delays in seconds, the part of messages that is lost, and who hears what of whom."""

    slowest: float = 1.0
    loss: float = 0.0
    islands: tuple[frozenset[int], ...] = ()
    deaf: frozenset[tuple[int, str]] = frozenset()
    """Who does not hear what: a steward and a kind of record, or a stage of votes."""

    def reach(self, one: int, other: int) -> bool:
        """Whether a message can pass; everybody reaches everybody without islands."""
        return not self.islands or any(one in island and other in island for island in self.islands)


class Network:
    """The stewards, honest and not, and the messages on their way."""

    def __init__(self, setting: Setting, random: Random) -> None:
        self.setting, self.random = setting, random
        self.now = BEGAN
        self.weather = Weather()
        self.stewards: dict[int, Steward] = {}
        self.heard_by_liars: dict[bytes, Said] = {}
        self.rosters_of_liars: dict[bytes, Roster] = {}
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._ties = count()

    def later(self, seconds: float, event: Callable[[], None]) -> None:
        heapq.heappush(self._events, (self.now + seconds, next(self._ties), event))

    def run(self, until: float, done: Callable[[], bool] = lambda: False) -> None:
        """Let everything happen that is due before ``until``, or before something is done."""
        while self._events and self._events[0][0] < until and not done():
            self.now, _, event = heapq.heappop(self._events)
            event()
        if not done():
            self.now = until

    def send(self, signed: Said, source: int, to: Iterable[int]) -> None:
        """Tell some stewards of a record; whoever is a liar hears everything at once."""
        self.heard_by_liars[signed.id] = signed
        for number in to:
            if number in self.stewards and number != source and self._passes(source, number, signed):
                self.later(self._delay(), lambda n=number: self.stewards[n].hear(signed))  # type: ignore[misc]

    def gossip(self, number: int) -> None:
        """One steward asks all others for what it has not heard, and so on for ever."""
        steward = self.stewards[number]
        for other in self.stewards.values():
            if other is not steward and steward.is_up and other.is_up:
                for signed, _ in other.disk:
                    if steward.ledger.find(signed.id) is None and self._passes(other.number, number, signed):
                        self.later(self._delay(), lambda s=signed: steward.hear(s))  # type: ignore[misc]
        self.later(GOSSIP_SECONDS, lambda: self.gossip(number))

    def fetch(self, roster_id: bytes, number: int, of: int) -> None:
        """Ask the one who should have a roster, and if that fails everybody."""
        sources = [of, *(n for n in self.stewards if n != of)]
        for source in sources:
            honest = self.stewards.get(source)
            if honest is None:
                found = self.rosters_of_liars.get(roster_id) if self.random.random() < 0.5 else None
            else:
                found = honest.rosters.get(roster_id) if honest.is_up else None
            if found is not None and self._passes(source, number):
                self.later(self._delay(), lambda r=found: self.stewards[number].receive(r))  # type: ignore[misc]
                return

    def _passes(self, source: int, to: int, signed: Said | None = None) -> bool:
        """What liars send always arrives."""
        if source not in self.stewards:
            return True
        if signed is not None and (to, getattr(signed.record, "stage", signed.record.noun)) in self.weather.deaf:
            return False
        return self.weather.reach(source, to) and self.random.random() >= self.weather.loss

    def _delay(self) -> float:
        return self.random.uniform(0.01, self.weather.slowest)


@dataclass
class Steward:
    """An honest one."""

    network: Network
    number: int
    candidates: tuple[Roster, ...]
    """What it would list: another one every ``VIEW_SECONDS``, as it checks more or hears of withdrawals."""
    ready_at: float
    """When it knows the first."""
    skew: float
    """Of its clock, in seconds."""

    disk: list[tuple[Said, float]] = field(default_factory=list)
    rosters: dict[bytes, Roster] = field(default_factory=dict)
    decided: set[bytes] = field(default_factory=set)
    crash_after: int | None = None
    """How many records it says before it dies in the midst of it."""
    is_up: bool = True

    _asked: dict[bytes, float] = field(default_factory=dict)
    _step_due: bool = False

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        """Begin with what is on the disk."""
        self.is_up, self._step_due, self._asked = True, False, {}
        self.ledger = self.network.setting.ledger()
        for signed, first_seen in self.disk:
            self.ledger.accept(signed, first_seen)
        self.look()

    def crash(self) -> None:
        self.is_up, self.crash_after = False, None

    def revive(self) -> None:
        if not self.is_up:
            self.start()

    def hear(self, signed: Said) -> None:
        if self.is_up and self._take(signed):
            self.look()

    def receive(self, roster: Roster) -> None:
        self.rosters[roster.id] = roster
        self.look()

    def look(self) -> None:
        """Step soon, once for all that was heard until then."""
        if self.is_up and not self._step_due:
            self._step_due = True
            self.network.later(STEP_SECONDS, self._step)

    @property
    def clock(self) -> float:
        return self.network.now + self.skew

    @property
    def candidate(self) -> Roster | None:
        age = self.clock - self.ready_at
        return self.candidates[int(age / VIEW_SECONDS) % len(self.candidates)] if age >= 0 else None

    @property
    def situation(self) -> Situation:
        return Situation(
            ledger=self.ledger,
            revision=0,
            me=self.network.setting.points[self.number],
            candidate=self.candidate,
            rosters=self.rosters.get,
            began=BEGAN,
            ends=ENDS,
        )

    def _step(self) -> None:
        self._step_due = False
        if not self.is_up:
            return None
        for duty in duties(self.situation, self.clock):
            match duty:
                case Keep(roster):
                    self.rosters[roster.id] = roster
                case Say(record):
                    if self.crash_after == 0:
                        return self.crash()
                    self.crash_after = None if self.crash_after is None else self.crash_after - 1
                    self._say(record)
                case Fetch(roster_id, of):
                    self._fetch(roster_id, self.network.setting.number(of))
        if (found := decision(self.ledger, 0)) is not None:
            self.decided.add(found)
        self._sleep()
        return None

    def _sleep(self) -> None:
        due = wake(self.situation, self.clock)
        if self.clock < self.ready_at:
            due = min(self.ready_at, due or self.ready_at)
        if due is not None:
            self.network.later(max(0.0, due - self.clock), self.look)

    def _say(self, record: RoundRecord) -> None:
        signed = sign(record, self.network.setting.key(self.number))
        assert self._take(signed), "an honest steward contradicts itself"
        self.network.send(signed, self.number, self.network.stewards)

    def _fetch(self, roster_id: bytes, of: int) -> None:
        if self.clock >= self._asked.get(roster_id, 0.0) + RETRY_SECONDS:
            self._asked[roster_id] = self.clock
            self.network.fetch(roster_id, self.number, of)
            self.network.later(RETRY_SECONDS, self.look)

    def _take(self, signed: Said) -> bool:
        if self.ledger.find(signed.id) is not None:
            return False
        try:
            self.ledger.accept(signed, self.clock)
        except RuleError:
            return False
        self.disk.append((signed, self.clock))
        return True


def honest_stewards(network: Network, numbers: Iterable[int], is_steady: bool) -> Iterator[Steward]:
    """Each with views of its own, unless all are ready and agree; what the last offer is worth, all know: nothing."""
    random, offers = network.random, range(len(network.setting.offers) - 1)
    for number in numbers:
        views = [[o for o in offers if random.random() < 0.6] or [0] for _ in range(5)]
        candidates = (
            (network.setting.roster(*offers),) if is_steady else tuple(network.setting.roster(*view) for view in views)
        )
        ready_at = BEGAN + (0.0 if is_steady else random.uniform(0.0, 20.0))
        skew = random.uniform(-SKEW_SECONDS / 2, SKEW_SECONDS / 2)
        yield Steward(network, number, candidates, ready_at, skew)
