"""Norms: the canonical sum, and what becomes of values that are not numbers."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from umm import arithmetic
from umm.checkpoint.dtype import Dtype
from umm.delta.bits import as_bits
from umm.delta.norm import block_sums, decimal, norm, sums
from umm.errors import CheckpointError

NAN, INFINITY, ONE, HALF = 0x7FC1, 0x7F80, 0x3F80, 0x3F00  # bfloat16


def bfloat16(*values: int) -> np.ndarray:
    return np.array(values, "<u2")


@pytest.mark.must("DLT-14")
@pytest.mark.parametrize("size", [1, 31, 32, 1023, 1024, 1025, 70_000])
def test_a_sum_has_the_order_of_canonical_arithmetic(size: int) -> None:
    values = np.random.default_rng(size).standard_normal(size) ** 2
    expected = arithmetic.block_sums(torch.from_numpy(values)[None], size)[0].numpy()
    assert block_sums(values).tobytes() == expected.tobytes()


@given(st.lists(st.tuples(st.integers(0, 0xFFFF), st.integers(0, 0xFFFF)), min_size=1, max_size=50))
def test_a_norm_is_finite_whatever_the_bits(pairs: list[tuple[int, int]]) -> None:
    base, expert = (np.array(column, "<u2") for column in zip(*pairs, strict=True))
    for dtype in (Dtype.BF16, Dtype.F16):
        found = sums(base, expert, dtype)
        assert np.isfinite(found.squares).all()
        assert (found.squares >= 0).all()


def test_the_largest_floats_do_not_overflow() -> None:
    large = np.array([0x7F7FFFFF, 0xFF7FFFFF], "<u4")
    assert math.isfinite(norm({"w": float(sums(large, large[::-1].copy(), Dtype.F32).squares.sum())}))


@pytest.mark.must("DLT-15")
def test_what_the_expert_brings_must_be_numbers() -> None:
    assert not sums(bfloat16(ONE, ONE), bfloat16(ONE, NAN), Dtype.BF16).finite
    assert not sums(bfloat16(ONE, ONE), bfloat16(INFINITY, ONE), Dtype.BF16).finite
    assert not sums(bfloat16(NAN), bfloat16(NAN + 1), Dtype.BF16).finite
    assert sums(bfloat16(NAN, ONE), bfloat16(NAN, HALF), Dtype.BF16).finite


@pytest.mark.must("DLT-14")
def test_what_is_not_a_number_counts_as_zero() -> None:
    assert sums(bfloat16(NAN, ONE), bfloat16(HALF, ONE), Dtype.BF16).squares.tolist() == [0.25]
    assert sums(bfloat16(NAN, ONE), bfloat16(NAN, HALF), Dtype.BF16).squares.tolist() == [0.25]


def test_signalling_nan_warns_nobody() -> None:
    signalling = as_bits(np.frombuffer(bytes.fromhex("0100807f"), np.uint8), 4)
    assert not sums(np.zeros(1, "<u4"), signalling, Dtype.F32).finite


@pytest.mark.must("DLT-14")
def test_tensors_are_added_in_order_of_name() -> None:
    parts = {"c": 1e-17, "a": 1.0, "b": 1e-16}
    assert norm(parts) == math.sqrt(1.0 + 1e-16 + 1e-17)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (2.0, "2"), (0.25, "0.25"), (120.0, "120"), (1e-20, "0"), (3.5e15, "3500000000000000")],
)
def test_a_norm_is_spelled_as_records_do(value: float, text: str) -> None:
    assert decimal(value) == text


def test_a_norm_that_no_record_can_hold_is_refused() -> None:
    with pytest.raises(CheckpointError, match=r"norm of 1e\+18 is not the outcome of any training"):
        decimal(1e18)
