"""Task arithmetic, TIES, breadcrumbs, SCE and RSAF against closed forms and plain float64 restatements."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.umm.memory import BACKENDS, Tensor, doubles, merged, models, numbers
from umm.methods import METHODS

Array = NDArray[np.float64]

SHAPE = (13, 170)


def close(found: Tensor, expected: Array) -> None:
    np.testing.assert_allclose(found.double().numpy(), expected, rtol=1e-5, atol=1e-6)


def deltas(base: Tensor, experts: Sequence[Tensor]) -> Array:
    return np.stack(doubles(*(e - base for e in experts)))


def kept(delta: Array, first: int, last: int) -> Array:
    """What lies at places ``first .. last`` in descending order of magnitude, lower index first among equals."""
    order = np.lexsort((np.arange(delta.size), -np.abs(delta).reshape(-1)))[first:last]
    chosen = np.zeros(delta.size, bool)
    chosen[order] = True
    return np.where(chosen.reshape(delta.shape), delta, 0.0)


def rescaled(delta: Array, thinned: Array) -> Array:
    before, after = np.abs(delta).sum(), np.abs(thinned).sum()
    return thinned * (before / after) if min(before, after) >= 1e-7 else thinned


def summed(thinned: Array, weights: Sequence[float], *, elect: bool, normalize: bool) -> Array:
    """The weighted sum, over those who agree with the elected sign if there is an election."""
    w = np.array(weights).reshape(-1, *[1] * (thinned.ndim - 1))
    weighted = thinned * w
    agree = np.ones(weighted.shape, bool)
    if elect:
        winner = np.where(weighted.sum(0) >= 0, 1.0, -1.0)
        agree = np.sign(weighted) == winner
    total = (weighted * agree).sum(0)
    divisor = (w * agree).sum(0)
    return np.asarray(total / np.where(np.abs(divisor) < 1e-8, 1.0, divisor) if normalize else total)


# -- closed forms ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, 5])
def test_task_arithmetic_with_lambda_one_over_n_is_the_mean(count: int) -> None:
    base, experts = models(1, SHAPE, count)
    found = merged("task_arithmetic", base, experts, weight=1.0, lambda_=1 / count)
    close(found, np.mean(doubles(*experts), axis=0))
    close(merged("task_arithmetic", base, experts, weight=1.0, normalize=True), np.mean(doubles(*experts), axis=0))


def test_ties_at_full_density_with_equal_signs_is_the_mean() -> None:
    base, _ = models(2, SHAPE, 1)
    experts = [base + numbers(3 + k, SHAPE).abs() * base.sign() for k in range(4)]
    close(merged("ties", base, experts, weight=0.7), np.mean(doubles(*experts), axis=0))


def test_sce_with_all_selected_equal_energies_and_equal_signs_is_the_mean() -> None:
    base = numbers(4, SHAPE)
    step = numbers(5, SHAPE).abs() + 0.1
    experts = [base + torch.where(torch.arange(170) % 2 == k, step, step.flip(1)) for k in range(2)]
    experts[1] = base + (experts[0] - base).flip(1)  # the same numbers elsewhere: the same energy
    close(merged("sce", base, experts), np.mean(doubles(*experts), axis=0))


def test_one_expert_taken_whole_is_that_expert() -> None:
    base, experts = models(6, SHAPE, 1)
    for method in ("task_arithmetic", "ties", "breadcrumbs", "breadcrumbs_ties", "dare_linear", "dare_ties"):
        close(merged(method, base, experts, weight=1.0, density=1.0), doubles(*experts)[0])
    close(merged("sce", base, experts), doubles(*experts)[0])


def test_a_weight_is_undone_where_a_vote_is_normalized_and_counts_where_it_is_not() -> None:
    base, experts = models(7, SHAPE, 1)
    close(merged("ties", base, experts, weight=0.3), doubles(*experts)[0])
    halved = base + (experts[0] - base) * 0.5
    close(merged("ties", base, experts, weight=0.5, normalize=False), doubles(halved)[0])


# -- restated in float64 ---------------------------------------------------------------------------------------------

WAYS: list[dict[str, Any]] = [
    {"weight": [1.0, 1.0, 1.0], "density": [0.5, 0.5, 0.5]},
    {"weight": [0.5, 1.5, -0.4], "density": [0.1, 0.9, 1.0], "rescale": True, "normalize": True},
    {"weight": [1.0, 0.0, 0.5], "density": [1e-9, 0.5, 0.0], "normalize": False, "lambda": -0.7},
]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("way", WAYS)
def test_ties_trims_elects_and_averages(way: dict[str, Any], backend: str) -> None:
    base, experts = models(8, SHAPE, 3)
    size = base.numel()
    thinned = []
    for d, density in zip(deltas(base, experts), way["density"], strict=True):
        thin = kept(d, 0, max(1, int(density * size)) if density > 0 else 0)
        thinned.append(rescaled(d, thin) if way.get("rescale") else thin)
    total = summed(np.stack(thinned), way["weight"], elect=True, normalize=way.get("normalize", True))
    found = merged("ties", base, experts, backend=backend, sample_size=64, **way)
    close(found, doubles(base)[0] + way.get("lambda", 1.0) * total)


@pytest.mark.parametrize("method", ["breadcrumbs", "breadcrumbs_ties"])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("gamma", [0.0, 1e-6, 0.01, 0.3, 1.0])
def test_breadcrumbs_drops_outliers_first_and_keeps_the_density(method: str, way: dict[str, Any], gamma: float) -> None:
    base, experts = models(9, SHAPE, 3)
    size = base.numel()
    thinned = []
    for d, density in zip(deltas(base, experts), way["density"], strict=True):
        keep = int(density * size)
        outliers = min(int(gamma * size), size - keep)
        thin = d if density == 1 else kept(d, outliers, outliers + keep)
        thinned.append(rescaled(d, thin) if way.get("rescale") else thin)
    elect = method.endswith("ties")
    total = summed(np.stack(thinned), way["weight"], elect=elect, normalize=way.get("normalize", False))
    found = merged(method, base, experts, backend="numba", gamma=gamma, sample_size=64, **way)
    close(found, doubles(base)[0] + way.get("lambda", 1.0) * total)


def test_outliers_are_spared_where_they_are_less_than_one_element() -> None:
    base, expert = torch.zeros(50), torch.arange(50.0)
    found = merged("breadcrumbs", base, [expert], weight=1.0, density=0.5)  # 0.01 * 50 elements
    assert torch.equal(found, torch.where(expert >= 25, expert, base))
    found = merged("breadcrumbs", base, [expert], weight=1.0, density=0.5, gamma=0.02)
    assert torch.equal(found, torch.where((expert >= 24) & (expert < 49), expert, base))


def test_a_tie_between_signs_goes_to_plus() -> None:
    base = torch.zeros(4)
    experts = [torch.tensor([1.0, -2.0, 0.0, 3.0]), torch.tensor([-1.0, 2.0, 0.0, -1.0])]
    found = merged("ties", base, experts, weight=1.0)
    assert found.tolist() == [1.0, 2.0, 0.0, 3.0]


def test_the_vote_is_weighted() -> None:
    base, experts = torch.zeros(1), [torch.tensor([1.0]), torch.tensor([-0.5])]
    assert merged("ties", base, experts, weight=[1.0, 3.0]).item() == -0.5
    assert merged("ties", base, experts, weight=[1.0, 1.0]).item() == 1.0


def test_weights_that_cancel_out_are_not_divided_by() -> None:
    base, experts = torch.zeros(1), [torch.tensor([3.0]), torch.tensor([1.0])]
    assert merged("task_arithmetic", base, experts, weight=[1.0, -1.0], normalize=True).item() == 2.0


@pytest.mark.parametrize("method", ["ties", "breadcrumbs", "dare_ties", "della_linear"])
def test_experts_in_another_order_give_nearly_the_same(method: str) -> None:
    base, experts = models(10, SHAPE, 2)
    given: dict[str, Any] = {"weight": 0.5, "density": 1.0}
    there, back = merged(method, base, experts, **given), merged(method, base, experts[::-1], **given)
    torch.testing.assert_close(there, back, rtol=1e-6, atol=1e-7)


def test_the_mask_width_of_mergekit_changes_nothing() -> None:
    base, experts = models(11, SHAPE, 3)
    for method in (m for m in METHODS if METHODS[m].parameter("int8_mask")):
        given: dict[str, Any] = {"weight": 1.0} if METHODS[method].parameter("weight") else {}
        on, off = (merged(method, base, experts, int8_mask=flag, **given) for flag in (True, False))
        assert torch.equal(on, off)


# -- SCE and RSAF ----------------------------------------------------------------------------------------------------


def sce_reference(base: Array, steps: Array, keep: int) -> Array:
    """Select by variance, weigh by energy, erase minority signs."""
    chosen = np.zeros(base.size, bool)
    chosen[np.argsort(-steps.var(0).reshape(-1), kind="stable")[:keep]] = True
    selected = steps * chosen.reshape(base.shape)
    energy = (selected**2).reshape(len(steps), -1).mean(1)
    weights = energy / energy.sum() if energy.sum() >= 1e-6 else np.full(len(steps), 1 / len(steps))
    agree = np.sign(selected) == np.where(selected.sum(0) >= 0, 1.0, -1.0)
    w = weights.reshape(-1, *[1] * base.ndim) * agree
    return np.asarray(base + (selected * w).sum(0) / np.maximum(w.sum(0), 1e-6))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("share", [0.0, 0.1, 0.6, 1.0])
def test_sce_selects_calculates_and_erases(share: float, backend: str) -> None:
    base, experts = models(12, SHAPE, 3)
    steps = deltas(base, experts)
    expected = sce_reference(doubles(base)[0], steps, int(base.numel() * share))
    close(merged("sce", base, experts, select_topk=share, backend=backend, sample_size=64), expected)


def test_sce_with_one_expert_finds_no_variance_to_select_by() -> None:
    base, experts = models(13, SHAPE, 1)
    assert torch.equal(merged("sce", base, experts, select_topk=0.9), base)


def test_sce_weighs_experts_equally_when_their_energies_are_negligible() -> None:
    base = torch.zeros(64)
    experts = [torch.full((64,), 1e-4), torch.full((64,), 3e-4)]
    close(merged("sce", base, experts), np.full(64, 2e-4))


def rsaf_share(base: Tensor, experts: Sequence[Tensor], **given: Any) -> float:
    """The share of elements that RSAF selected: those that moved."""
    return float((merged("rsaf", base, experts, **given) != base).double().mean())


def test_rsaf_is_sce_with_the_share_of_its_formula() -> None:
    base, experts = models(14, (40, 200), 3)
    steps = deltas(base, experts)
    rate = np.mean([np.linalg.norm(d) for d in steps]) / np.linalg.norm(doubles(base)[0])
    v = steps.var(0)
    skew = ((v - v.mean()) ** 3).mean() / v.std() ** 3
    power = 0.5 * np.log(rate / 0.05) - 0.5 * (np.log1p(max(skew, 0)) - 2.0)
    share = float(np.clip(0.2 * np.exp(power), 0.02, 1.0))
    assert 0.05 < share < 0.9
    close(merged("rsaf", base, experts), sce_reference(doubles(base)[0], steps, int(base.numel() * share)))


def test_rsaf_keeps_more_where_updates_are_larger() -> None:
    base, experts = models(15, (40, 200), 3, delta=0.5)
    shares = [rsaf_share(base, [base + (e - base) * s for e in experts]) for s in (0.02, 0.1, 0.5, 1.0)]
    assert shares == sorted(shares)
    assert shares[0] < shares[-1] / 3


def test_rsaf_keeps_less_where_the_variance_is_concentrated() -> None:
    base = numbers(16, (40, 200))
    steps = [numbers(17 + k, (40, 200)).double() for k in range(3)]
    shares = []
    for power in (1.0, 3.0, 5.0):  # heavier and heavier tails, the same norms
        peaked = [s.sign() * s.abs() ** power for s in steps]
        shares.append(rsaf_share(base, [base + (p / p.norm() * 10).float() for p in peaked]))
    assert shares == sorted(shares, reverse=True)
    assert shares[2] < shares[0] / 2


def test_rsaf_stays_between_its_bounds() -> None:
    base, experts = models(20, (40, 200), 3)
    assert rsaf_share(base, experts, least=0.4, most=0.5, ratio=0.0) == 0.4
    assert rsaf_share(base, experts, least=0.1, most=0.25, ratio=1.0, rate_power=900.0, rate_reference=1e-9) == 0.25
