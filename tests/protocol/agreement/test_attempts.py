"""How long attempts last."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.agreement.attempts import (
    FIRST_SECONDS,
    GROWTH,
    LONGEST_SECONDS,
    PATIENCE,
    SHORTEST_SECONDS,
    WINDOW_SHARE,
    Pace,
)


@pytest.mark.must("AGR-15")
@given(st.integers(0, 10), st.floats(0, 1e9), st.floats(1, 1e7))
def test_enough_attempts_to_pass_all_liars_and_one_more_fit_into_the_schedule(
    faults: int, began: float, window: float
) -> None:
    pace = Pace.of(faults, began, began + window)
    total = sum(pace.seconds(attempt) for attempt in range(faults + 2))
    assert total <= WINDOW_SHARE * window + 1 or pace.first == SHORTEST_SECONDS
    assert SHORTEST_SECONDS <= pace.first <= FIRST_SECONDS


@pytest.mark.must("AGR-15")
def test_attempts_grow_up_to_a_limit() -> None:
    pace = Pace.of(1, 0.0, None)
    assert [pace.seconds(attempt) for attempt in range(3)] == [30.0, 45.0, 67.5]
    assert pace.seconds(127) == LONGEST_SECONDS
    assert all(pace.seconds(a + 1) == min(LONGEST_SECONDS, GROWTH * pace.seconds(a)) for a in range(127))


@pytest.mark.must("AGR-15")
def test_a_tight_schedule_makes_them_shorter() -> None:
    assert Pace.of(1, 0.0, 57.0).first == pytest.approx(8.0)
    assert Pace.of(1, 0.0, 1.0).first == SHORTEST_SECONDS
    assert Pace.of(1, 0.0, 3600.0).first == FIRST_SECONDS


@pytest.mark.must("AGR-8")
def test_a_leader_is_patient_for_a_third_of_the_attempt() -> None:
    assert Pace.of(1, 0.0, None).patience(0) == pytest.approx(PATIENCE * 30.0)
    assert pytest.approx(1 / 3) == PATIENCE
