"""DARE and DELLA: the masks are as random as they should be, and nothing about them is left to chance."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.umm.memory import BACKENDS, Tensor, arguments, field_of, merged, models, numbers
from umm.methods import METHODS

SIGMAS = 5.0  # a bound that a sound generator misses once in two million times; the draws are fixed anyway
SHAPE = (64, 1024)
N = 64 * 1024


def mask_of(
    experts: Sequence[Tensor], odds: Sequence[tuple[float, float]], *, backend: str = "numba", **options: object
) -> NDArray[np.bool_]:
    """Which elements of each expert (of a base of zeros) are kept, (K, n)."""
    field = field_of(torch.zeros_like(experts[0]), experts, backend=backend, **options)  # type: ignore[arg-type]
    mask, _ = field.draw(odds)
    return np.unpackbits(mask.bits, axis=1, bitorder="little")[:, : field.size].astype(bool)


def within(share: float, expected: float, count: int) -> bool:
    """Whether a share of so many independent draws is where it should be."""
    return bool(abs(share - expected) <= SIGMAS * (expected * (1 - expected) / count) ** 0.5)


@pytest.mark.parametrize("density", [0.02, 0.1, 0.5, 0.9, 0.999])
def test_the_kept_share_is_the_density(density: float) -> None:
    masks = mask_of([numbers(1, SHAPE)] * 2, [(density, density)] * 2)
    assert within(float(masks[0].mean()), density, N)
    assert within(float(masks[1].mean()), density, N)


def test_density_zero_keeps_nothing_and_density_one_everything() -> None:
    nothing, everything = mask_of([numbers(1, SHAPE)] * 2, [(0.0, 0.0), (1.0, 1.0)])
    assert not nothing.any()
    assert everything.all()


def test_masks_of_experts_tensors_and_seeds_are_independent() -> None:
    one = [numbers(1, SHAPE)]
    halves = [(0.5, 0.5)]
    masks = [
        *mask_of(one * 3, halves * 3),
        *mask_of(one, halves, name="layers.1.weight"),
        *mask_of(one, halves, seed=1),
        *mask_of(one, halves, seed=1 << 63),
    ]
    for i, a in enumerate(masks):
        for b in masks[:i]:
            assert within(float((a == b).mean()), 0.5, N)


def test_neighbours_in_a_mask_are_independent() -> None:
    (mask,) = mask_of([numbers(1, SHAPE)], [(0.5, 0.5)])
    for lag in (1, 2, 32, 256, 1024):
        assert within(float((mask[lag:] == mask[:-lag]).mean()), 0.5, N - lag)


def test_the_same_key_gives_the_same_mask_whatever_the_values_and_types() -> None:
    values = [numbers(1, SHAPE), numbers(2, SHAPE).bfloat16(), numbers(3, SHAPE).half()]
    masks = [mask_of([v], [(0.3, 0.3)], backend=b) for v in values for b in BACKENDS]
    assert all(np.array_equal(m, masks[0]) for m in masks)


def test_a_tensor_of_another_shape_draws_the_same_words() -> None:
    flat, square = mask_of([numbers(1, (N,))], [(0.3, 0.3)]), mask_of([numbers(1, SHAPE)], [(0.3, 0.3)])
    assert np.array_equal(flat, square)


@pytest.mark.parametrize("method", ["dare_linear", "dare_ties"])
def test_the_expected_thinned_and_rescaled_delta_is_the_delta(method: str) -> None:
    base, experts = models(5, (8, 256), 1)
    delta = (experts[0] - base).double()
    seeds, density = 300, 0.4
    total = torch.zeros_like(delta)
    for seed in range(seeds):
        total += merged(method, base, experts, weight=1.0, density=density, seed=seed, backend="numba") - base
    ratio = total / seeds / delta  # of each element: a mean of draws that are 0 or about 1 / density
    spread = ((1 - density) / density / seeds) ** 0.5
    assert abs(float(ratio.mean()) - 1) < SIGMAS * spread / delta.numel() ** 0.5
    assert float((ratio - 1).abs().max()) < (SIGMAS + 1) * spread


def test_rescaling_restores_the_l1_norm_exactly_where_one_over_density_only_does_on_average() -> None:
    base, experts = models(6, (3, 50), 1)
    found = merged("dare_linear", base, experts, weight=1.0, density=0.3)
    before, after = (experts[0] - base).abs().sum(), (found - base).abs().sum()
    torch.testing.assert_close(after, before, rtol=1e-4, atol=0.0)
    plain = merged("dare_linear", base, experts, weight=1.0, density=0.3, rescale=False)
    assert (plain - base).abs().sum() < 0.8 * before


# -- DELLA -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("density", "epsilon"), [(0.5, 0.4), (0.3, 0.15)])
def test_keep_odds_grow_linearly_with_the_rank_in_the_row(density: float, epsilon: float, backend: str) -> None:
    rows, width = 400, 500
    expert = numbers(7, (rows, width)).double()
    expert = (expert.sign() * expert.abs() ** 3).float()  # spread over many octaves, so that ranks are told apart
    (mask,) = mask_of([expert], [(density - epsilon, density + epsilon)], backend=backend)
    order = np.argsort(expert.abs().numpy(), axis=1)
    by_rank = np.take_along_axis(mask.reshape(rows, width), order, axis=1)
    for decile in range(10):
        share = float(by_rank[:, decile * 50 : (decile + 1) * 50].mean())
        middle = (decile * 50 + 24.5) / (width - 1)
        assert within(share, density - epsilon + 2 * epsilon * middle, rows * 50)
    assert within(float(mask.mean()), density, rows * width)


def test_rows_are_ranked_apart() -> None:
    expert = numbers(8, SHAPE).abs() * torch.logspace(-6, 6, 64)[:, None]
    (mask,) = mask_of([expert], [(0.1, 0.9)])
    shares = mask.reshape(SHAPE).mean(1)
    assert all(within(float(s), 0.5, 1024) for s in shares)


def test_magnitudes_that_share_their_leading_bits_share_their_odds() -> None:
    expert = torch.ones(400, 100)
    expert[:, 50:] = 1 + 2.0**-7  # one class: equal in the first six bits behind the point
    (mask,) = mask_of([expert], [(0.1, 0.9)])
    assert within(float(mask.mean()), 0.5, 40000)
    assert within(float(mask.reshape(400, 100)[:, 50:].mean()), 0.5, 20000)
    expert[:, 50:] = 1 + 2.0**-6  # two classes
    (mask,) = mask_of([expert], [(0.1, 0.9)])
    assert within(float(mask.reshape(400, 100)[:, :50].mean()), 0.1 + 0.8 * 24.5 / 99, 20000)
    assert within(float(mask.reshape(400, 100)[:, 50:].mean()), 0.1 + 0.8 * 74.5 / 99, 20000)


@pytest.mark.parametrize("backend", BACKENDS)
def test_odds_next_to_certainty_are_nearly_certain(backend: str) -> None:
    expert = torch.tensor([[1.0, 4.0]]).repeat(500, 1)
    (mask,) = mask_of([expert], [(2.0**-39, 1 - 2.0**-40)], backend=backend)
    assert mask.reshape(500, 2).all(0).tolist() == [False, True]
    assert mask.sum() == 500


def test_a_row_of_one_is_kept_with_the_density() -> None:
    (mask,) = mask_of([numbers(9, (N, 1))], [(0.1, 0.5)])
    assert within(float(mask.mean()), 0.3, N)


@pytest.mark.parametrize("density", [0.0, 1.0])
def test_epsilon_does_not_matter_at_the_ends(density: float) -> None:
    base, experts = models(10, (5, 70), 1)
    found = merged("della", base, experts, weight=1.0, density=density, epsilon=0.5)
    torch.testing.assert_close(found, experts[0] if density else base, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("method", ["della", "della_linear"])
def test_odds_outside_zero_to_one_are_refused_before_anything_is_drawn(method: str) -> None:
    check = METHODS[method].check
    assert check is not None
    given = {"weight": 1.0, "density": 0.9, "epsilon": 0.05}
    good = arguments(METHODS[method], 2, given)
    assert check(good) is None
    bad = type(good)(good.merge, ({**good.experts[0], "epsilon": 0.2}, good.experts[1]))
    problem = check(bad)
    assert problem is not None
    assert "density 0.9 with epsilon 0.2" in problem


def test_della_linear_is_della_without_election_and_division() -> None:
    base, experts = models(11, (5, 70), 1)
    linear = merged("della_linear", base, experts, weight=1.0, density=0.5)
    elected = merged("della", base, experts, weight=1.0, density=0.5)
    assert torch.equal(linear, elected)
