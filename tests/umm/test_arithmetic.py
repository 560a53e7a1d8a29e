"""Canonical arithmetic against plain restatements of its rules, published vectors and exact decimals."""

import math
from decimal import Decimal, localcontext
from functools import reduce
from itertools import pairwise
from operator import add

import numpy as np
import pytest
import torch
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from tests.umm.memory import philox4x32
from umm.arithmetic import (
    BLOCK,
    LANES,
    accumulate,
    block_sums,
    exponential,
    float32,
    fold,
    from_ordered_bits,
    logarithm,
    odds_threshold,
    ordered_bits,
    philox,
    philox_key,
    philox_range,
    rank_step,
    rank_threshold,
    row_divergence,
    row_sums,
)

finite = st.floats(width=32, allow_nan=False, allow_infinity=False)

# -- random words ----------------------------------------------------------------------------------------------------

# From Random123, tests/kat_vectors, lines "philox4x32 7": counter, key, words (Salmon et al., SC 2011).
KNOWN_ANSWERS = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "5f6fb709 0d893f64 4f121f81 4f730a48"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "5207ddc2 45165e59 4d8ee751 8c52f662"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "4dfccaba 190a87f0 c47362ba b6b5242a"),
]


def number_of(key: int, element: int) -> int:
    """The random number of an element as the rules state it."""
    counter = element // 1024 * 128 + element % 256 // 2
    words = philox4x32([counter & 0xFFFFFFFF, counter >> 32, 0, 0], [key & 0xFFFFFFFF, key >> 32], rounds=7)
    return int(words[element % 1024 // 256] >> 16 * (element % 2) & 0xFFFF)


@pytest.mark.parametrize(("counter", "key", "words"), KNOWN_ANSWERS)
def test_the_reference_philox_gives_the_published_answers(counter: str, key: str, words: str) -> None:
    def parsed(text: str) -> list[int]:
        return [int(w, 16) for w in text.split()]

    assert philox4x32(parsed(counter), parsed(key), rounds=7) == parsed(words)


def test_the_published_answer_for_zeros_lies_a_quarter_block_apart() -> None:
    numbers = philox(0, 0, 1)
    assert [f"{numbers[i + 1]:04x}{numbers[i]:04x}" for i in (0, 256, 512, 768)] == KNOWN_ANSWERS[0][2].split()


@pytest.mark.parametrize("key", [0, 1, 0xFFFFFFFF, 1 << 32, 0x299F31D0A4093822, (1 << 64) - 1])
@pytest.mark.parametrize("first", [0, 5, (1 << 24) - 1, (1 << 34) + 3])
def test_every_element_takes_the_number_that_the_rules_give_it(key: int, first: int) -> None:
    numbers = philox(key, first, 2)
    for place in (0, 1, 255, 256, 511, 777, 1023, 1024, 1300, 2047):
        assert int(numbers[place]) == number_of(key, first * BLOCK + place)


@given(st.integers(0, 5000), st.integers(0, 3000))
def test_a_range_of_numbers_does_not_depend_on_where_it_is_cut(start: int, count: int) -> None:
    assert np.array_equal(philox_range(7, start, count), philox(7, 0, 8)[start : start + count])


def test_a_key_is_a_digest_of_seed_tensor_and_input() -> None:
    message = b"umm/philox/v1\0"
    for part in (b"42", b"layers.0.w", b"math"):
        message += len(part).to_bytes(8, "little") + part
    assert philox_key(42, "layers.0.w", "math") == int.from_bytes(blake3(message).digest()[:8], "little")


def test_keys_of_different_seeds_tensors_and_inputs_differ() -> None:
    keys = {philox_key(*k) for k in [(0, "a", "b"), (1, "a", "b"), (0, "b", "a"), (0, "ab", ""), (0, "", "ab")]}
    assert len(keys) == 5


# -- odds ------------------------------------------------------------------------------------------------------------


def test_odds_become_thresholds_among_all_numbers() -> None:
    assert [odds_threshold(p) for p in (-0.5, 0.0, 0.5, 1.0, 1.5)] == [0, 0, 1 << 15, 1 << 16, 1 << 16]
    assert odds_threshold(0.1) == round(0.1 * 2**16)


def test_odds_next_to_certainty_are_not_rounded_to_it() -> None:
    assert [odds_threshold(p) for p in (2.0**-39, 1 - 2.0**-40)] == [1, 0xFFFF]


@given(st.integers(0, 0xFFFF), st.integers(0, 0xFFFF), st.integers(2, 1 << 20))
def test_thresholds_grow_from_low_to_high_along_a_row(one: int, other: int, row: int) -> None:
    low, high = sorted((one, other))
    ends = rank_threshold(low, rank_step(low, high, row), np.array([0, 2 * (row - 1)]))
    assert ends.tolist() == [low, high]


@pytest.mark.parametrize("row", [500, 2048, 5632])
@pytest.mark.parametrize(("density", "epsilon"), [(0.5, 0.15), (0.3, 0.1), (0.017, 0.013)])
def test_thresholds_of_a_row_are_right_on_average(density: float, epsilon: float, row: int) -> None:
    low, high = odds_threshold(density - epsilon), odds_threshold(density + epsilon)
    thresholds = rank_threshold(low, rank_step(low, high, row), 2 * np.arange(row))
    assert abs(thresholds.mean() - (low + high) / 2) < 0.02  # half a step of 2^-16 were they rounded down


def test_a_row_of_one_has_no_ranks() -> None:
    assert rank_step(5, 500, 1) == 0


# -- order of scores -------------------------------------------------------------------------------------------------


@given(st.lists(finite, min_size=2, max_size=20))
def test_ordered_bits_order_like_the_numbers(numbers: list[float]) -> None:
    scores = sorted(numbers)
    bits = ordered_bits(torch.tensor(scores)).tolist()
    for (a, b), (i, j) in zip(pairwise(scores), pairwise(bits), strict=True):
        assert (i < j) if a < b else (i == j)
    assert [from_ordered_bits(b) for b in bits] == scores


def test_both_zeros_have_one_place_in_the_order() -> None:
    assert ordered_bits(torch.tensor([0.0, -0.0])).tolist() == [0x80000000, 0x80000000]


# -- sums ------------------------------------------------------------------------------------------------------------


def plain_block_sum(values: list[float]) -> float:
    """One block's sum as the rules state it."""
    lanes = [0.0] * LANES
    for i in range(BLOCK):
        lanes[i % LANES] += values[i] if i < len(values) else 0.0
    while len(lanes) > 1:
        half = len(lanes) // 2
        lanes = [lanes[i] + lanes[half + i] for i in range(half)]
    return lanes[0]


@pytest.mark.parametrize(("rows", "row"), [(1, 1), (5, 7), (3, 31), (2, 1023), (2, 1024), (3, 1025), (1, 3000)])
def test_a_block_is_summed_in_the_stated_order(rows: int, row: int) -> None:
    values = torch.from_numpy(np.random.default_rng(row).normal(size=(2, rows * row)) * 1e3)
    expected = [
        [
            plain_block_sum(line[r + b : min(r + b + BLOCK, r + row)])
            for r in range(0, rows * row, row)
            for b in range(0, row, BLOCK)
        ]
        for line in values.tolist()
    ]
    assert block_sums(values, row).tolist() == expected


def test_a_row_sum_folds_its_blocks_from_left_to_right() -> None:
    values = torch.from_numpy(np.random.default_rng(3).normal(size=(4, 2500)) * 1e6)
    blocks = block_sums(values.reshape(1, -1), 2500).reshape(4, 3).tolist()
    assert row_sums(values).tolist() == [(0.0 + a + b) + c for a, b, c in blocks]


@given(st.lists(st.floats(-1e9, 1e9), max_size=30), st.integers(0, 30))
def test_a_running_total_does_not_depend_on_where_it_is_interrupted(sums: list[float], cut: int) -> None:
    two = np.array([sums, sums[::-1]])
    whole = accumulate([0.1, 0.2], two)
    assert accumulate(accumulate([0.1, 0.2], two[:, :cut]), two[:, cut:]) == whole
    assert whole == [reduce(add, sums, 0.1), reduce(add, sums[::-1], 0.2)]


def test_scalars_are_folded_in_float32_and_in_order() -> None:
    assert fold([1e8, 1.0, -1e8]) == 0.0
    assert fold([1e8, -1e8, 1.0]) == 1.0
    assert fold([]) == 0.0
    assert float32(0.1) == 0.10000000149011612


# -- exp and log -----------------------------------------------------------------------------------------------------


def units_off(computed: float, exact: Decimal) -> float:
    """By how many units in the last place a float64 misses an exact value."""
    return float(abs(Decimal(computed) - exact) / Decimal(math.ulp(float(exact))))


EXPONENTS = [0.0, 1.0, -1.0, 1e-300, -1e-9, 0.34657359027997264, 0.3465735902799727, -40.0, 40.0, 88.8, 699.9, -699.9]


def test_exp_is_within_two_units_in_the_last_place() -> None:
    random = np.random.default_rng(1)
    points = EXPONENTS + (random.normal(size=300) * 5).tolist() + random.uniform(-700, 700, 300).tolist()
    computed = exponential(torch.tensor(points, dtype=torch.float64)).tolist()
    with localcontext(prec=40):
        assert max(units_off(c, Decimal(p).exp()) for c, p in zip(computed, points, strict=True)) <= 2.0


def test_exp_stops_growing_at_700() -> None:
    assert (
        exponential(torch.tensor([1e9, -1e9]).double()).tolist()
        == exponential(torch.tensor([700.0, -700.0]).double()).tolist()
    )


def test_log_is_within_two_units_in_the_last_place() -> None:
    random = np.random.default_rng(2)
    points = [1.0, 2.0, 0.5, 1e-8, 1 + 2**-52, 1 - 2**-53, 1.4142135623730951, 1e300, 1e-300, math.pi]
    points += np.exp(random.normal(size=300) * 20).tolist() + (1 + random.normal(size=300) * 1e-3).tolist()
    computed = logarithm(torch.tensor(points, dtype=torch.float64)).tolist()
    with localcontext(prec=40):
        assert max(units_off(c, Decimal(p).ln()) for c, p in zip(computed, points, strict=True) if p != 1) <= 2.0
    assert computed[0] == 0.0


def test_row_divergence_is_the_divergence_of_softmaxes() -> None:
    p, q = np.random.default_rng(4).normal(size=(2, 5, 1300))
    soft = [np.exp(x) / np.exp(x).sum(1, keepdims=True) + 1e-8 for x in (p, q)]
    expected = (soft[0] * np.log(soft[0] / soft[1])).sum(1)
    found = row_divergence(torch.from_numpy(p), torch.from_numpy(q)).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-12)
