"""The pure parts of a download: what is wanted, how peers are judged, what is asked of whom."""

import math

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from protocol.blobs.chunks import CHUNK_BYTES
from protocol.errors import (
    BusyError,
    EnvironmentFault,
    ForgedError,
    MalformedError,
    ProtocolError,
    TooLargeError,
    TooNewError,
    TooOldError,
    UnavailableError,
)
from protocol.exchange.grudges import MAX_GRUDGES, Grudges
from protocol.exchange.interface import STALL_SECONDS
from protocol.exchange.outcomes import Broke, Busy, Forged, Lacks, Outcome, Whole, outcome_of
from protocol.exchange.scheduler import (
    LISTS_PER_PEER,
    LOOKAHEAD_CHUNKS,
    MAX_DUPLICATES,
    MAX_LISTS,
    MAX_REQUESTS,
    Request,
    Scheduler,
)
from protocol.exchange.scores import (
    LONGEST_REST_SECONDS,
    LONGEST_STALL_SECONDS,
    MAX_BUSY,
    MAX_FAILURES,
    MAX_REQUEST_CHUNKS,
    MAX_STALLS,
    Score,
)
from protocol.exchange.wanted import LEFT_OUT_TWICE, MAX_LEFT_OUT, SECOND_CHANCE_SECONDS, Wanted
from tests.protocol.exchange.scripted import KEYS, Peer

A, B, C = (bytes([n]) * 32 for n in range(3))


def test_a_request_follows_the_speed_that_was_measured() -> None:
    score = Score("peer")
    assert (score.share, score.slots) == (2, 1)
    score.started(0.0)
    for n in range(1, 41):
        score.landed(CHUNK_BYTES, n / 10)
    assert score.rate == pytest.approx(10 * CHUNK_BYTES, rel=0.3)
    assert 7 <= score.share <= 13
    assert score.slots == 2
    score.landed(10_000 * CHUNK_BYTES, 5.0)
    assert score.share == MAX_REQUEST_CHUNKS


def test_time_without_a_request_does_not_count_against_the_speed() -> None:
    score = Score("peer")
    for begin in (0.0, 1000.0):
        score.started(begin)
        score.landed(CHUNK_BYTES, begin + 1.0)
        score.ended(begin + 1.0)
    assert score.rate == pytest.approx(CHUNK_BYTES)


@pytest.mark.must("DWN-5")
def test_patience_doubles_with_every_stall_up_to_a_minute() -> None:
    score = Score("peer")
    waited = []
    for _ in range(MAX_STALLS):
        waited.append(score.patience)
        score.stalled(0.0)
    assert waited == [STALL_SECONDS, 20.0, 40.0, LONGEST_STALL_SECONDS]
    assert score.lost is not None


def test_a_chunk_forgives_failures_but_a_slow_peer_stays_known_as_slow() -> None:
    score = Score("peer")
    for _ in range(5 * MAX_FAILURES):
        score.broke("broke off", 0.0)
        score.busy(0.0, 0.0)
        score.landed(1, 0.0)
    assert score.lost is None
    score.stalled(0.0)
    score.landed(1, 0.0)
    assert score.patience == 2 * STALL_SECONDS


@pytest.mark.must("DWN-6")
def test_no_rest_is_longer_than_a_minute() -> None:
    score = Score("peer")
    for _ in range(MAX_BUSY - 1):
        score.busy(math.inf, 100.0)
        assert score.resting_until == 100.0 + LONGEST_REST_SECONDS
    assert not score.usable(100.0)
    assert score.usable(100.0 + LONGEST_REST_SECONDS)
    score.busy(0.0, 100.0)
    assert score.lost == f"given up, was busy {MAX_BUSY} times in a row"


@pytest.mark.parametrize(
    ("error", "for_list", "outcome"),
    [
        (BusyError("full", 3.0), False, Busy),
        (UnavailableError("not here"), True, Lacks),
        (UnavailableError("broke off"), False, Broke),
        (TooLargeError("too large a blob"), True, Lacks),
        (TooLargeError("too large a chunk"), False, Forged),
        (ForgedError("another list"), True, Forged),
        (MalformedError("nonsense"), False, Forged),
        (TooOldError("an old peer"), True, Broke),
        (TooNewError("a new peer"), False, Broke),
        (EnvironmentFault("no network"), False, Broke),
    ],
)
def test_an_error_says_what_became_of_a_request(error: ProtocolError, for_list: bool, outcome: type[Outcome]) -> None:
    assert isinstance(outcome_of(error, for_list), outcome)


def test_grudges_are_bounded_and_the_oldest_is_forgotten() -> None:
    grudges = Grudges()
    mirrors = [Peer(f"https://{n}", {}, None, identity=None) for n in range(MAX_GRUDGES + 1)]  # type: ignore[arg-type]
    for mirror in mirrors:
        grudges.hold(mirror, "lied")
    assert len(grudges) == MAX_GRUDGES
    assert grudges.against(mirrors[0]) is None
    assert grudges.against(mirrors[-1]) == "lied"
    assert grudges.against(Peer("https://1", {}, None, identity=KEYS[0])) is None  # type: ignore[arg-type]


def test_a_chunk_of_two_requests_waits_again_only_when_both_failed() -> None:
    wanted = Wanted()
    wanted.add(A, 10)
    wanted.list(A, [0])
    blob = wanted.listed[A]
    assert wanted.take(blob, 5, 0) == (0,)
    wanted.ask(1, blob, [0])
    wanted.ask(2, blob, [0])
    wanted.release(1, A, [0])
    assert wanted.waiting == 0
    wanted.release(2, A, [0])
    assert wanted.take(blob, 5, 0) == (0,)


def test_a_chunk_that_came_late_is_not_taken_again() -> None:
    wanted = Wanted()
    wanted.list(A, [0, 1])
    assert wanted.land(A, 0) == set()
    assert wanted.take(wanted.listed[A], 5, 0) == (1,)
    wanted.land(A, 1)
    assert not wanted
    assert wanted.waiting == 0


def test_a_chunk_left_out_twice_is_asked_of_others_only() -> None:
    wanted = Wanted()
    wanted.list(A, range(4))
    blob = wanted.listed[A]
    for _ in range(LEFT_OUT_TWICE):
        blob.leave_out(7, [0, 1])
    assert wanted.take(blob, 9, 7) == (2, 3)
    assert wanted.take(blob, 9, 8) == (0, 1)
    blob.leave_out(7, range(MAX_LEFT_OUT + 1))
    assert not blob.has_hope(7)


def test_a_blob_that_a_peer_did_not_bring_is_asked_for_once_more() -> None:
    wanted = Wanted()
    wanted.add(A, 10)
    blob = wanted.unlisted[A]
    assert blob.lacked_by(0, 5.0) == 5.0 + SECOND_CHANCE_SECONDS
    assert not blob.may_ask(0, 5.0)
    assert blob.may_ask(0, 7.0)
    assert blob.lacked_by(0, 7.0) == math.inf
    assert not blob.has_hope(0)


def test_lists_are_asked_for_ahead_but_not_too_far() -> None:
    scheduler = Scheduler(["one"])
    scheduler.listed(A, range(LOOKAHEAD_CHUNKS + 10))
    for n in range(10):
        scheduler.wanted.add(bytes([9, n]) * 16, CHUNK_BYTES)
    begun = scheduler.plan(0.0).begin
    assert sum(not request.indices for request in begun) == 1
    scheduler = Scheduler([f"peer {n}" for n in range(20)])
    for n in range(50):
        scheduler.wanted.add(bytes([9, n]) * 16, CHUNK_BYTES)
    begun = scheduler.plan(0.0).begin
    assert len(begun) == MAX_LISTS // 2, "nobody is proven"
    assert max(sum(other.peer == request.peer for other in begun) for request in begun) <= LISTS_PER_PEER
    for peer in range(6):
        scheduler.scores[peer].landed(CHUNK_BYTES, 1.0)
    assert len(scheduler.plan(1.0).begin) == MAX_LISTS - len(begun)


def test_an_event_of_a_request_that_was_called_off_changes_nothing_but_a_chunk_still_counts() -> None:
    scheduler = Scheduler(["slow", "other"])
    scheduler.listed(A, [0])
    [request] = scheduler.plan(0.0).begin
    plan = scheduler.plan(STALL_SECONDS)
    assert plan.cancel == (request.number,)
    scheduler.ended(request.number, Forged("too late to matter"), STALL_SECONDS)
    assert scheduler.scores[request.peer].lost is None
    assert scheduler.landed(request, 0, 5, STALL_SECONDS)
    assert scheduler.finished
    assert scheduler.plan(STALL_SECONDS).cancel == (plan.begin[0].number,)


class Machine(RuleBasedStateMachine):
    """Any order of events: the rules of the scheduler hold after each."""

    @initialize(peers=st.integers(1, 6), mirrors=st.integers(0, 2))
    def begin(self, peers: int, mirrors: int) -> None:
        self.now = 0.0
        self.scheduler = Scheduler([f"peer {n}" for n in range(peers + mirrors)], peers)
        self.running: dict[int, Request] = {}
        self.landed: set[tuple[bytes, int]] = set()
        self.chunks = {A: 5, B: 1, C: 40}
        for blob_id, count in self.chunks.items():
            self.scheduler.wanted.add(blob_id, count * CHUNK_BYTES)
        self.plan()

    def plan(self) -> None:
        plan = self.scheduler.plan(self.now)
        for number in plan.cancel:
            self.running.pop(number, None)
        for request in plan.begin:
            assert self.scheduler.scores[request.peer].usable(self.now)
            assert not self.landed & {(request.blob_id, index) for index in request.indices}
            assert list(request.indices) == sorted(set(request.indices))
            self.running[request.number] = request

    def some(self, data: st.DataObject, chunks: bool) -> Request | None:
        found = [request for request in self.running.values() if bool(request.indices) is chunks]
        return data.draw(st.sampled_from(found)) if found else None

    @rule(seconds=st.sampled_from([0.1, 1.0, 9.0, 30.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.plan()

    @rule(data=st.data())
    def a_list_comes(self, data: st.DataObject) -> None:
        if (request := self.some(data, chunks=False)) is not None:
            del self.running[request.number]
            self.scheduler.listed(request.blob_id, range(self.chunks[request.blob_id]), request.number)
            self.scheduler.ended(request.number, Whole(), self.now)
            self.plan()

    @rule(data=st.data())
    def a_chunk_lands(self, data: st.DataObject) -> None:
        if (request := self.some(data, chunks=True)) is not None:
            index = data.draw(st.sampled_from(request.indices))
            self.scheduler.arrived(request.number, self.now)
            new = self.scheduler.landed(request, index, CHUNK_BYTES, self.now)
            assert new is ((request.blob_id, index) not in self.landed)
            self.landed.add((request.blob_id, index))
            self.plan()

    @rule(
        data=st.data(),
        chunks=st.booleans(),
        outcome=st.sampled_from([Whole(), Lacks(), Busy(5.0), Broke("broke off"), Forged("lied")]),
    )
    def a_request_ends(self, data: st.DataObject, chunks: bool, outcome: Outcome) -> None:
        if (request := self.some(data, chunks)) is not None and (chunks or outcome != Whole()):
            del self.running[request.number]
            self.scheduler.ended(request.number, outcome, self.now)
            self.plan()

    @invariant()
    def limits_are_kept(self) -> None:
        chunks = [request for request in self.running.values() if request.indices]
        lists = [request for request in self.running.values() if not request.indices]
        assert len(chunks) <= MAX_REQUESTS
        assert len(lists) <= MAX_LISTS
        asked = [
            (blob.blob_id, index, numbers)
            for blob in self.scheduler.wanted.listed.values()
            for index, numbers in blob.asked.items()
        ]
        assert sum(len(numbers) > 1 for _, _, numbers in asked) <= MAX_DUPLICATES
        assert all(len(numbers) <= 2 for _, _, numbers in asked)

    @invariant()
    def it_never_waits_for_nothing(self) -> None:
        if not self.running and not self.scheduler.finished and not self.scheduler.hopeless():
            assert self.scheduler.wake(self.now) is not None


TestScheduler = Machine.TestCase
TestScheduler.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)


@pytest.mark.must("DWN-9")
def test_peers_that_are_not_proven_have_half_of_the_slots_and_those_that_stalled_one_together() -> None:
    scheduler = Scheduler([f"peer {n}" for n in range(40)])
    scheduler.listed(A, range(400))
    begun = scheduler.plan(0.0).begin
    assert [request.peer for request in begun] == list(range(MAX_REQUESTS // 2))
    proven, *_ = begun
    scheduler.landed(proven, proven.indices[0], CHUNK_BYTES, 1.0)
    assert proven.peer not in [request.peer for request in scheduler.plan(1.0).begin]
    for second in range(1, 200):
        scheduler.plan(float(second))
    running = [request.peer for request in scheduler._in_progress()]
    assert len(running) == 1, "everyone has stalled by now"


@pytest.mark.must("DWN-9")
def test_when_proven_peers_take_all_slots_one_is_left_for_a_peer_to_be_tried() -> None:
    scheduler = Scheduler([f"peer {n}" for n in range(40)])
    for score in scheduler.scores[1:]:
        score.landed(CHUNK_BYTES, 1.0)
    scheduler.listed(A, range(400))
    begun = scheduler.plan(1.0).begin
    assert len(begun) == MAX_REQUESTS
    assert 0 in [request.peer for request in begun]
