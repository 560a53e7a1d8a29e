import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import BusyError, UsageError
from protocol.exchange.budget import UNLIMITED, Bucket, Budget, Limits, Rate
from protocol.exchange.interface import STALL_SECONDS

MANY = Rate(1e6, 1e6)


def limits(**changed: object) -> Limits:
    """Generous ones, but for what is changed."""
    usual: dict[str, object] = {"requests_per_peer": MANY, "requests": MANY}
    return Limits(**(usual | changed))  # type: ignore[arg-type]


@pytest.mark.parametrize("rate", [(0, 1), (1, 0), (-1, 1), (math.nan, 1), (1, math.nan)])
def test_a_rate_is_above_zero(rate: tuple[float, float]) -> None:
    with pytest.raises(UsageError):
        Rate(*rate)


def test_a_bucket_gives_a_burst_and_then_its_rate() -> None:
    bucket = Bucket(Rate(10, 20), now=0)
    bucket.take(20, 0)
    assert bucket.until(1, 0) == pytest.approx(0.1)
    assert bucket.until(1, 0.1) == 0
    assert bucket.until(20, 100) == 0
    assert bucket.until(21, 100) == pytest.approx(0.1), "a rest of any length gives no more than a burst"


def test_a_clock_that_goes_backwards_gives_nothing() -> None:
    bucket = Bucket(Rate(10, 20), now=100)
    bucket.take(20, 100)
    assert bucket.until(1, 50) == pytest.approx(0.1)
    assert bucket.until(1, 100) == pytest.approx(0.1)


@given(st.lists(st.tuples(st.floats(0, 10), st.floats(0, 50)), max_size=30), st.floats(0.1, 100), st.floats(1, 100))
def test_a_bucket_never_gives_more_than_burst_plus_rate_times_time(
    takes: list[tuple[float, float]], rate: float, burst: float
) -> None:
    bucket, now, taken = Bucket(Rate(rate, burst), 0), 0.0, 0.0
    for pause, amount in takes:
        now += pause
        if bucket.until(amount, now) == 0:
            bucket.take(amount, now)
            taken += amount
    assert taken <= (burst + rate * now) * (1 + 1e-6)


def test_an_unlimited_bucket_is_never_empty() -> None:
    bucket = Bucket(UNLIMITED, 0)
    bucket.take(1e18, 0)
    assert bucket.until(1e18, 0) == 0
    assert bucket.is_full(0)


@pytest.mark.must("EXC-11")
def test_a_peer_beyond_its_requests_is_told_when_to_come_back_and_others_are_served() -> None:
    budget = Budget(limits(requests_per_peer=Rate(2, 3)), 0)
    for _ in range(3):
        budget.admit(b"a", 0).close()
    with pytest.raises(BusyError) as refused:
        budget.admit(b"a", 0)
    assert refused.value.retry_after == pytest.approx(0.5)
    budget.admit(b"b", 0).close()
    budget.admit(b"a", 0.5).close()


@pytest.mark.must("EXC-11")
def test_requests_of_all_peers_together_are_limited_however_many_keys_somebody_has() -> None:
    budget = Budget(limits(requests=Rate(1, 10)), 0)
    for number in range(10):
        budget.admit(b"%d" % number, 0).close()
    with pytest.raises(BusyError):
        budget.admit(b"one more", 0)


@pytest.mark.must("EXC-11")
def test_a_refused_request_costs_nothing() -> None:
    budget = Budget(limits(requests_per_peer=Rate(1, 1), requests=Rate(0.001, 2)), 0)
    budget.admit(b"a", 0).close()
    for _ in range(5):
        with pytest.raises(BusyError):
            budget.admit(b"a", 0)
    budget.admit(b"b", 0).close()


@pytest.mark.must("EXC-12")
def test_streams_are_limited_for_each_peer_and_for_all() -> None:
    budget = Budget(limits(streams_per_peer=2, streams=3), 0)
    first = budget.admit(b"a", 0)
    budget.admit(b"a", 0)
    with pytest.raises(BusyError):
        budget.admit(b"a", 0)
    budget.admit(b"b", 0)
    with pytest.raises(BusyError) as refused:
        budget.admit(b"c", 0)
    assert refused.value.retry_after > 0
    first.close()
    first.close()
    assert budget.open_streams == 2
    budget.admit(b"c", 0)


@pytest.mark.must("EXC-12")
def test_a_stream_is_given_back_when_serving_fails() -> None:
    budget = Budget(limits(), 0)
    with pytest.raises(ZeroDivisionError), budget.admit(b"a", 0):
        _ = 1 / 0
    assert budget.open_streams == 0


def test_a_closed_ticket_buys_nothing() -> None:
    ticket = Budget(limits(), 0).admit(b"a", 0)
    ticket.close()
    with pytest.raises(UsageError):
        ticket.spend(1, 0)


@pytest.mark.must("EXC-13")
def test_bytes_beyond_the_burst_are_waited_for() -> None:
    budget = Budget(limits(upload=Rate(100, 100)), 0)
    ticket = budget.admit(b"a", 0)
    assert ticket.spend(100, 0) == 0
    assert ticket.spend(100, 0) == 0, "what is sent first runs the debt up; the next one waits for it"
    assert ticket.spend(100, 0) == pytest.approx(1)
    assert ticket.spend(100, 2) == pytest.approx(0)


@pytest.mark.must("EXC-13")
def test_who_would_wait_too_long_is_refused_and_pays_nothing() -> None:
    budget = Budget(limits(upload=Rate(10, 10)), 0)
    ticket = budget.admit(b"a", 0)
    ticket.spend(110, 0)
    with pytest.raises(BusyError) as refused:
        ticket.spend(1, 0)
    assert refused.value.retry_after == pytest.approx(10)
    assert ticket.spend(10, 10) == 0


@pytest.mark.must("EXC-13")
def test_the_longest_wait_is_shorter_than_a_stall() -> None:
    assert Limits().longest_wait < STALL_SECONDS


@pytest.mark.must("EXC-13")
def test_one_peer_waits_for_its_own_bytes_while_others_do_not() -> None:
    budget = Budget(limits(bytes_per_peer=Rate(10, 10)), 0)
    greedy, modest = budget.admit(b"greedy", 0), budget.admit(b"modest", 0)
    greedy.spend(50, 0)
    assert greedy.spend(1, 0) == pytest.approx(4)
    assert modest.spend(1, 0) == 0


@pytest.mark.must("EXC-14")
def test_the_accounts_of_a_million_keys_take_no_more_memory_than_those_of_a_few() -> None:
    budget = Budget(limits(peers=10), 0)
    for number in range(1000):
        budget.admit(b"%d" % number, number).close()
    assert budget.remembered == 10


@pytest.mark.must("EXC-14")
def test_new_keys_do_not_wash_away_a_debt() -> None:
    budget = Budget(limits(requests_per_peer=Rate(0.001, 1), peers=5), 0)
    for number in range(5):
        budget.admit(b"%d" % number, 0).close()
    for number in range(5, 50):
        with pytest.raises(BusyError):
            budget.admit(b"%d" % number, 0)
    with pytest.raises(BusyError):
        budget.admit(b"0", 0)
    budget.admit(b"new", 2000).close()
