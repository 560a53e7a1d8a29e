"""Changes as whole numbers: exact both ways, and small where the change is small."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from umm.delta.bits import LEAST_STRETCH, UNSIGNED, applied, as_bits, change, joined, planes, stretches
from umm.delta.head import CODES, width


@st.composite
def values(draw: st.DrawFn) -> tuple[str, bytes, bytes]:
    dtype = draw(st.sampled_from(sorted(CODES)))
    size = width(dtype) * draw(st.integers(0, 40))
    return dtype, draw(st.binary(min_size=size, max_size=size)), draw(st.binary(min_size=size, max_size=size))


@pytest.mark.must("DLT-8", "DLT-9")
@given(values())
def test_any_bits_come_back(made: tuple[str, bytes, bytes]) -> None:
    dtype, before, after = made
    base, expert = (as_bits(np.frombuffer(raw, np.uint8), width(dtype)) for raw in (before, after))
    rows = planes(change(base, expert, dtype))
    assert rows.shape == (width(dtype), len(base))
    assert applied(base, joined(list(rows), len(base)), dtype).tobytes() == after


@pytest.mark.must("DLT-8")
@pytest.mark.parametrize("dtype", ["U8", "BF16", "F32", "I64"])
def test_small_changes_of_either_sign_are_small_numbers(dtype: str) -> None:
    base = np.full(5, 100, UNSIGNED[width(dtype)])
    expert = np.array([100, 99, 101, 98, 102], UNSIGNED[width(dtype)])
    assert change(base, expert, dtype).tolist() == [0, 1, 2, 3, 4]


@given(st.floats(width=16, allow_nan=False, allow_infinity=False), st.integers(-100, 100))
def test_the_number_counts_the_values_between_two_floats_of_one_sign(value: float, steps: int) -> None:
    base = np.array([value], "<f2").view("<u2")
    expert = (base.astype(np.int64) + steps).astype("<u2")
    same_sign = (base ^ expert)[0] < 0x8000
    if same_sign:
        assert change(base, expert, "F16")[0] == (2 * steps if steps >= 0 else -2 * steps - 1)


@pytest.mark.must("DLT-9")
@pytest.mark.parametrize(("dtype", "floats"), [("F16", "<f2"), ("F32", "<f4")])
def test_changes_lie_in_order_of_the_bases_exponents(dtype: str, floats: str) -> None:
    base = np.array([4.0, -1.0, 0.0, -5.0, 1.5, 0.25], floats).view(UNSIGNED[width(dtype)])
    expert = base + np.arange(1, 7, dtype=base.dtype)
    assert [number // 2 for number in change(base, expert, dtype).tolist()] == [3, 6, 2, 5, 1, 4]


@given(st.lists(st.integers(0, 0xFFFF), min_size=1, max_size=40), st.integers(1, 400))
def test_stretches_cover_a_block_and_end_where_exponents_change(values: list[int], times: int) -> None:
    base = np.repeat(np.array(values, "<u2"), times)
    found = stretches(base, "BF16")
    assert sum(found) == len(base)
    assert len(found) == 1 or min(found) >= LEAST_STRETCH
    exponents = np.sort((base >> 7) & 0xFF)
    assert all(exponents[end - 1] < exponents[end] for end in np.cumsum(found)[:-1])


def test_values_without_exponents_are_one_stretch() -> None:
    assert stretches(np.zeros(9000, "u1"), "I8") == [9000]


def test_a_plane_that_is_none_is_zeros() -> None:
    whole = joined([None, np.array([1, 2], np.uint8)], 2)
    assert whole.tolist() == [0x100, 0x200]
