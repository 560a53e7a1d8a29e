"""Medians, trimmed and geometric, and how far Model Stock goes."""

from itertools import combinations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.umm.memory import BACKENDS, Tensor, doubles, merged, models, numbers

Array = NDArray[np.float64]

SHAPE = (11, 130)


def close(found: Tensor, expected: Array, rtol: float = 2e-6) -> None:
    np.testing.assert_allclose(found.double().numpy(), expected, rtol=rtol, atol=2e-6)


# -- coordinate by coordinate ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 6])
def test_the_median_is_numpys(count: int) -> None:
    base, experts = models(1, SHAPE, count)
    expected = np.median(np.stack(doubles(*experts)), axis=0)
    close(merged("median", None, experts), expected)
    close(merged("median", base, experts), expected)


@pytest.mark.parametrize(
    ("count", "trim", "drop"), [(5, 0.2, 1), (5, 0.19, 0), (4, 0.25, 1), (5, 0.5, 2), (4, 0.5, 1), (1, 0.5, 0)]
)
def test_the_trimmed_mean_drops_as_many_at_both_ends(count: int, trim: float, drop: int) -> None:
    base, experts = models(2, SHAPE, count)
    ordered = np.sort(np.stack(doubles(*experts)), axis=0)
    expected = ordered[drop : count - drop].mean(0)
    close(merged("trimmed_mean", None, experts, trim=trim), expected)
    close(merged("trimmed_mean", base, experts, trim=trim), expected)


@pytest.mark.parametrize("method", ["median", "trimmed_mean", "geometric_median"])
def test_one_wild_expert_among_five_moves_a_robust_mean_only_little(method: str) -> None:
    base, experts = models(3, SHAPE, 5)
    good = np.mean(doubles(*experts[:4]), axis=0)
    wild = [*experts[:4], experts[4] + 1e4]
    assert np.abs(doubles(merged(method, base, wild))[0] - good).max() < 0.2
    assert np.abs(np.mean(doubles(*wild), axis=0) - good).max() > 1e3


# -- geometric median ------------------------------------------------------------------------------------------------


def on_a_line(places: list[float]) -> tuple[Tensor, list[Tensor]]:
    """A base, and points along one direction from it."""
    base, direction = numbers(4, SHAPE), numbers(5, SHAPE)
    return base, [base + direction * p for p in places]


def test_the_geometric_median_of_points_on_a_line_is_the_middle_one() -> None:
    base, experts = on_a_line([0.0, 1.0, 10.0])
    close(merged("geometric_median", base, experts), doubles(experts[1])[0], 1e-4)
    close(merged("geometric_median", None, experts), doubles(experts[1])[0], 1e-4)


def test_the_geometric_median_of_two_is_between_them() -> None:
    base, experts = on_a_line([-1.0, 3.0])
    close(merged("geometric_median", base, experts), np.mean(doubles(*experts), axis=0))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("with_base", [False, True])
def test_no_step_shortens_the_sum_of_distances_from_the_geometric_median(backend: str, with_base: bool) -> None:
    base, experts = models(6, SHAPE, 4, delta=1.0)
    points = doubles(*experts)
    median = doubles(merged("geometric_median", base if with_base else None, experts, backend=backend))[0]

    def distances(x: Array) -> float:
        return float(sum(np.linalg.norm(x - p) for p in points))

    pull = sum((p - median) / np.linalg.norm(p - median) for p in points)
    assert np.linalg.norm(pull) < 1e-4
    assert distances(median) < distances(np.mean(points, axis=0))
    assert all(distances(median) < distances(p) for p in points)


# -- model stock -----------------------------------------------------------------------------------------------------


def stock(base: Array, experts: list[Array], axis: int | None) -> Array:
    """``t mean + (1 - t) base`` with the angle over everything, or along an axis."""
    deltas = [e - base for e in experts]

    def cosine(a: Array, b: Array) -> Array:
        dot = (a * b).sum(axis=axis, keepdims=True)
        return np.asarray(dot / np.sqrt((a * a).sum(axis=axis, keepdims=True) * (b * b).sum(axis=axis, keepdims=True)))

    mean = np.mean([cosine(a, b) for a, b in combinations(deltas, 2)], axis=0)
    n = len(experts)
    t = n * mean / (1 + (n - 1) * mean)
    return np.asarray(t * np.mean(experts, axis=0) + (1 - t) * base)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("filter_wise", [False, True])
@pytest.mark.parametrize("count", [2, 3, 5])
def test_model_stock_goes_as_far_as_the_angle_says(count: int, filter_wise: bool, backend: str) -> None:
    base, experts = models(7, SHAPE, count)
    experts = [e + numbers(20, SHAPE) * 0.1 for e in experts]  # a direction in common
    expected = stock(doubles(base)[0], doubles(*experts), -1 if filter_wise else None)
    found = merged("model_stock", base, experts, filter_wise=filter_wise, backend=backend, tile_size=260)
    close(found, expected, 1e-5)


@pytest.mark.parametrize("filter_wise", [False, True])
def test_model_stock_of_identical_experts_goes_all_the_way(filter_wise: bool) -> None:
    base, experts = models(8, SHAPE, 1)
    close(merged("model_stock", base, experts * 3, filter_wise=filter_wise), doubles(*experts)[0])


def test_model_stock_of_experts_at_right_angles_stays_at_the_base() -> None:
    base = torch.zeros(4)
    experts = [torch.tensor([1.0, 0, 0, 0]), torch.tensor([0, 1.0, 0, 0])]
    assert torch.equal(merged("model_stock", base, experts), base)


@pytest.mark.parametrize("filter_wise", [False, True])
def test_model_stock_of_opposite_deltas_stays_at_the_base(filter_wise: bool) -> None:
    base = torch.zeros(3, 8)
    step = numbers(9, (3, 8))
    assert torch.equal(merged("model_stock", base, [step, -step], filter_wise=filter_wise), base)
