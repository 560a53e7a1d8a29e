"""Stewards agree on one roster through storms and among liars: never on two, and always once the network is calm."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from protocol.agreement.attempts import DELAYS, Pace
from protocol.agreement.minutes import Minutes
from protocol.records import Stage, Vote
from tests.protocol.agreement.setting import BEGAN, ENDS, Setting
from tests.scenarios.liars import TRICKS, Liar
from tests.scenarios.stewards import GOSSIP_SECONDS, STEP_SECONDS, Network, Weather, honest_stewards

CALM = Weather(slowest=1.0)

KINDS = ("ballot", "proposal", "timeout", Stage.LOCK.value, Stage.DECIDE.value)

DELAY = GOSSIP_SECONDS + STEP_SECONDS + CALM.slowest
"""In calm weather: what one honest steward has, every other has after this many seconds."""


@dataclass(frozen=True)
class Crash:
    """A steward dies at a moment, or right after it said some records more, and is back after a while."""

    steward: int
    at: float
    says: int | None
    down: float


@dataclass(frozen=True)
class Storm:
    """From ``at`` on, until the next one."""

    at: float
    loss: float
    slowest: float
    is_split: bool
    deaf: tuple[str, ...]
    """Kinds of records, and stages of votes, that some stewards do not hear, or none."""
    is_deaf_to_all: bool


@dataclass(frozen=True)
class Story:
    """What happens to a round; the seed settles the details."""

    stewards: int
    liars: tuple[tuple[str, ...], ...]
    storms: tuple[Storm, ...]
    crashes: tuple[Crash, ...]
    calm_at: float
    is_steady: bool
    seed: int


def crashes() -> st.SearchStrategy[Crash]:
    return st.builds(
        Crash,
        steward=st.integers(0, 6),
        at=st.floats(0, 100),
        says=st.none() | st.integers(0, 5),
        down=st.floats(0, 60),
    )


def storms() -> st.SearchStrategy[Storm]:
    return st.builds(
        Storm,
        at=st.just(0.0) | st.floats(0, 100),
        loss=st.sampled_from([0.0, 0.3, 0.7, 0.95]),
        slowest=st.sampled_from([1.0, 10.0, 40.0]),
        is_split=st.booleans(),
        deaf=st.lists(st.sampled_from(KINDS), unique=True, max_size=2).map(tuple),
        is_deaf_to_all=st.booleans(),
    )


def silences() -> st.SearchStrategy[Storm]:
    """From the beginning everything is heard but one kind of record: so attempts fail when they have almost decided."""
    deaf = st.sampled_from(KINDS).map(lambda kind: (kind,))
    return st.builds(
        Storm,
        at=st.just(0.0),
        loss=st.just(0.0),
        slowest=st.just(1.0),
        is_split=st.just(False),
        deaf=deaf,
        is_deaf_to_all=st.booleans(),
    )


@st.composite
def stories(draw: st.DrawFn) -> Story:
    stewards = draw(st.sampled_from([1, 4, 4, 5, 7]))
    tricks = st.lists(st.sampled_from(TRICKS), unique=True, max_size=len(TRICKS)).map(tuple)
    return Story(
        stewards=stewards,
        liars=tuple(draw(st.lists(tricks, max_size=(stewards - 1) // 3))),
        storms=tuple(draw(st.lists(storms(), max_size=3) | st.lists(silences(), min_size=1, max_size=1))),
        crashes=tuple(draw(st.lists(crashes(), max_size=3))),
        calm_at=draw(st.floats(25, 160)),
        is_steady=draw(st.booleans()),
        seed=draw(st.integers(0, 2**32)),
    )


@cache
def setting(stewards: int) -> Setting:
    return Setting(stewards, offers=6)


def begin(story: Story) -> Network:
    """Everybody at work, and all that will happen before the calm."""
    network = Network(setting(story.stewards), Random(story.seed))  # noqa: S311
    numbers = list(range(story.stewards))
    network.random.shuffle(numbers)
    liars, honest = numbers[: len(story.liars)], sorted(numbers[len(story.liars) :])
    network.stewards = {s.number: s for s in honest_stewards(network, honest, story.is_steady)}
    for number, tricks in zip(liars, story.liars, strict=True):
        Liar(network, number, tricks)
    for number in honest:
        network.later(network.random.uniform(0, GOSSIP_SECONDS), lambda n=number: network.gossip(n))  # type: ignore[misc]
    for storm in (s for s in story.storms if s.at < story.calm_at):
        network.later(storm.at, lambda s=storm: rage(network, s))  # type: ignore[misc]
    for crash in (c for c in story.crashes if c.at < story.calm_at):
        network.later(crash.at, lambda c=crash: strike(network, c))  # type: ignore[misc]
    return network


def rage(network: Network, storm: Storm) -> None:
    """The weather changes; a split is anywhere."""
    island = frozenset(n for n in network.stewards if network.random.random() < 0.5)
    islands = (island, frozenset(network.stewards) - island) if storm.is_split else ()
    share = 1.0 if storm.is_deaf_to_all else 0.6
    deaf = frozenset((n, kind) for kind in storm.deaf for n in network.stewards if network.random.random() < share)
    network.weather = Weather(slowest=storm.slowest, loss=storm.loss, islands=islands, deaf=deaf)


def strike(network: Network, crash: Crash) -> None:
    steward = list(network.stewards.values())[crash.steward % len(network.stewards)]
    if crash.says is None:
        steward.crash()
    else:
        steward.crash_after = crash.says
    network.later(crash.down, steward.revive)


def calm(network: Network) -> None:
    network.weather = CALM
    for steward in network.stewards.values():
        steward.crash_after = None
        steward.revive()


def play(story: Story) -> Network:
    """Storms, then calm for as long as the specification says that it takes; what it says is checked."""
    network = begin(story)
    network.run(BEGAN + story.calm_at)
    check_safety(network)
    calm(network)
    everybody = list(network.stewards.values())
    last = bound(network)
    pace = Pace.of(network.setting.round.record.faults, BEGAN, ENDS)
    patience = sum(pace.seconds(attempt) for attempt in range(last + 1)) + 3 * DELAY
    assert network.now + patience < ENDS
    network.run(network.now + patience, done=lambda: all(steward.decided for steward in everybody))
    check_safety(network)
    check_liveness(network, last)
    return network


def bound(network: Network) -> int:
    """The last attempt in which they decide, if the calm begins now."""
    record = network.setting.round.record
    pace = Pace.of(record.faults, BEGAN, ENDS)
    running = max(Minutes(steward.ledger, 0).attempt for steward in network.stewards.values())
    long_enough = next(attempt for attempt in range(128) if pace.seconds(attempt) >= DELAYS * DELAY)
    return max(running + 1, long_enough) + record.faults


def quorums(network: Network, stage: Stage) -> Iterator[tuple[int, bytes]]:
    """Attempt and roster of every quorum of votes that anybody could put together from all that was ever said."""
    authors: dict[tuple[int, bytes], set[bytes]] = defaultdict(set)
    for said in network.heard_by_liars.values():
        if isinstance(said.record, Vote) and said.record.stage is stage:
            authors[said.record.attempt, said.record.roster].add(said.record.author)
    return (vote for vote, of in authors.items() if len(of) >= network.setting.round.record.quorum)


def check_safety(network: Network) -> None:
    decided = {roster for _, roster in quorums(network, Stage.DECIDE)}
    assert len(decided) <= 1, "two rosters decided"
    assert {roster for steward in network.stewards.values() for roster in steward.decided} <= decided
    attempts = [attempt for attempt, _ in quorums(network, Stage.LOCK)]
    assert len(attempts) == len(set(attempts)), "two rosters locked in one attempt"
    convicted = {proof.liar.point for steward in network.stewards.values() for proof in steward.ledger.equivocations}
    assert not convicted & {network.setting.points[number] for number in network.stewards}, (
        "an honest steward convicted"
    )
    check_validity(network, decided)


def check_validity(network: Network, decided: set[bytes]) -> None:
    """Nothing is in that no honest steward would list."""
    listed = {c for steward in network.stewards.values() for view in steward.candidates for c in view.contributions}
    for roster_id in decided:
        roster = next(s.rosters[roster_id] for s in network.stewards.values() if roster_id in s.rosters)
        assert set(roster.contributions) <= listed


def check_liveness(network: Network, last: int) -> None:
    assert all(steward.decided for steward in network.stewards.values()), "an honest steward did not decide"
    assert min(attempt for attempt, _ in quorums(network, Stage.DECIDE)) <= last


@pytest.mark.must("AGR-1", "AGR-3", "AGR-10", "AGR-13")
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(stories())
def test_stewards_decide_on_one_roster_once_the_network_is_calm(story: Story) -> None:
    play(story)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@settings(max_examples=1000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(stories())
def test_stewards_decide_on_one_roster_in_many_more_stories(story: Story) -> None:
    play(story)


def deaf(at: float, *kinds: str) -> Storm:
    """From then on nobody hears these kinds; everything else is heard at once."""
    return Storm(at, 0.0, 1.0, is_split=False, deaf=kinds, is_deaf_to_all=True)


ALMOST = {
    "a decision that nobody heard of": (deaf(0.0, "decide"),),
    "a lock that was found after it was given up": (
        deaf(0.0, "lock", "timeout"),
        deaf(40.0, "decide", "timeout"),
        deaf(60.0, "decide"),
    ),
}
"""Weather in which a roster is decided, or nearly, while everybody must go on to the next attempt."""


@pytest.mark.must("AGR-1", "AGR-6", "AGR-12")
@pytest.mark.parametrize("name", sorted(ALMOST))
@pytest.mark.parametrize("stewards", [4, 7])
@pytest.mark.parametrize("seed", range(3))
def test_what_was_almost_agreed_is_not_contradicted_later(name: str, stewards: int, seed: int) -> None:
    network = begin(Story(stewards, (), ALMOST[name], (), 150.0, is_steady=False, seed=seed))
    network.run(BEGAN + 150.0)
    assert not any(steward.decided for steward in network.stewards.values())
    assert {attempt for attempt, _ in quorums(network, Stage.LOCK)} >= {0, 1}
    check_safety(network)
    calm(network)
    network.run(BEGAN + 250.0)
    assert all(steward.decided for steward in network.stewards.values())
    check_safety(network)


@pytest.mark.must("AGR-13")
@pytest.mark.parametrize("seed", range(6))
def test_a_turncoat_takes_back_neither_a_lock_nor_a_decision(seed: int) -> None:
    gone = Crash(steward=0, at=0.0, says=None, down=120.0)
    network = begin(Story(4, (("turncoat",),), (deaf(0.0, "decide"),), (gone,), 150.0, is_steady=False, seed=seed))
    network.run(BEGAN + 150.0)
    check_safety(network)
    calm(network)
    last = bound(network)
    network.run(BEGAN + 400.0)
    check_safety(network)
    check_liveness(network, last)


@pytest.mark.must("AGR-4")
def test_without_a_calm_before_the_end_nobody_signs_on_and_there_is_no_result() -> None:
    network = begin(Story(4, (), (deaf(0.0, "lock"),), (), ENDS, is_steady=True, seed=1))
    network.run(ENDS + 10)
    said = len(network.heard_by_liars)
    calm(network)
    network.run(ENDS + 600)
    assert len(network.heard_by_liars) == said
    assert not any(steward.decided for steward in network.stewards.values())
