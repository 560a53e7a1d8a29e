"""Durations and times."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.drafts.moments import UNITS, At, Lasting, duration, moment
from node.errors import UserError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30), ("10m", 600), ("10min", 600), ("2h", 7200), ("1d", 86_400), ("1w", 604_800), ("1.5h", 5400),
     ("1d 12h", 129_600), ("1h30m", 5400), (" 2 H ", 7200), ("0s", 0), ("0.001s", 1)],
)  # fmt: skip
def test_durations_are_read(text: str, seconds: int) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize("text", ["", " ", "2", "h", "2 hours", "-2h", "2h-", "1e3s", "२h", "9" * 10 + "s", "1h" * 30])
def test_what_is_no_duration_is_none(text: str) -> None:
    assert duration(text) is None


@given(st.lists(st.tuples(st.integers(0, 10**6), st.sampled_from(sorted(UNITS))), min_size=1, max_size=3))
def test_parts_of_a_duration_add_up(parts: list[tuple[int, str]]) -> None:
    assert duration(" ".join(f"{n}{unit}" for n, unit in parts)) == sum(n * UNITS[unit] for n, unit in parts)


@pytest.mark.parametrize(
    "text", ["2027-01-15T08:00:00Z", "2027-01-15 09:00:00+01:00", "2027-01-15t02:00:00-06:00", "2027-01-15T08:00Z"]
)
def test_times_have_a_zone(text: str) -> None:
    assert moment(text, "x") == At(1_800_000_000)


def test_a_part_of_a_second_is_the_next_one() -> None:
    assert moment("2027-01-15T08:00:00.001Z", "x") == At(1_800_000_001)


@given(st.text(max_size=50))
def test_any_text_is_a_moment_or_refused(text: str) -> None:
    with suppress(UserError):
        assert isinstance(moment(text, "x"), Lasting | At)


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"])
def test_times_at_the_ends_of_the_calendar_do_no_harm(text: str) -> None:
    with suppress(UserError):
        assert isinstance(moment(text, "x"), At)
