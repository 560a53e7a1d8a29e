"""Changes as whole numbers: exact both ways, and small where the change is small."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from umm.delta.bits import UNSIGNED, applied, as_bits, change, joined, planes


@st.composite
def values(draw: st.DrawFn) -> tuple[int, bytes, bytes]:
    width = draw(st.sampled_from(sorted(UNSIGNED)))
    size = width * draw(st.integers(0, 40))
    return width, draw(st.binary(min_size=size, max_size=size)), draw(st.binary(min_size=size, max_size=size))


@pytest.mark.must("DLT-8", "DLT-9")
@given(values())
def test_any_bits_come_back(made: tuple[int, bytes, bytes]) -> None:
    width, before, after = made
    base, expert = (as_bits(np.frombuffer(raw, np.uint8), width) for raw in (before, after))
    rows = planes(change(base, expert))
    assert rows.shape == (width, len(base))
    assert applied(base, joined(list(rows), len(base))).tobytes() == after


@pytest.mark.must("DLT-8")
@pytest.mark.parametrize("width", sorted(UNSIGNED))
def test_small_changes_of_either_sign_are_small_numbers(width: int) -> None:
    base = np.full(5, 100, UNSIGNED[width])
    expert = np.array([100, 99, 101, 98, 102], UNSIGNED[width])
    assert change(base, expert).tolist() == [0, 1, 2, 3, 4]


@given(st.floats(width=16, allow_nan=False, allow_infinity=False), st.integers(-100, 100))
def test_the_number_counts_the_values_between_two_floats_of_one_sign(value: float, steps: int) -> None:
    base = np.array([value], "<f2").view("<u2")
    expert = (base.astype(np.int64) + steps).astype("<u2")
    same_sign = (base ^ expert)[0] < 0x8000
    if same_sign:
        assert change(base, expert)[0] == (2 * steps if steps >= 0 else -2 * steps - 1)


def test_a_plane_that_is_none_is_zeros() -> None:
    whole = joined([None, np.array([1, 2], np.uint8)], 2)
    assert whole.tolist() == [0x100, 0x200]
