"""Methods that decide element by element: RAM, consensus, PCB, NearSwap, Arcee Fusion."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.umm.memory import BACKENDS, Tensor, doubles, merged, models, numbers

Array = NDArray[np.float64]

SHAPE = (11, 130)


def close(found: Tensor, expected: Array, rtol: float = 2e-6) -> None:
    np.testing.assert_allclose(found.double().numpy(), expected, rtol=rtol, atol=2e-6)


def steps_of(base: Tensor, experts: list[Tensor]) -> Array:
    return np.stack(doubles(*(e - base for e in experts)))


# -- RAM -------------------------------------------------------------------------------------------------------------


def sparse(key: int, count: int) -> tuple[Tensor, list[Tensor]]:
    """A base, and experts that each changed about a third of it."""
    base, _ = models(key, SHAPE, 0)
    experts = []
    for k in range(count):
        changed = numbers(key + 10 + k, SHAPE) > 0.25
        experts.append(torch.where(changed, base + numbers(key + 20 + k, SHAPE), base))
    return base, experts


def ram(base: Array, steps: Array, epsilon: float, strengths: list[float]) -> Array:
    """One at a time: alone an entry counts in full, among several it is averaged."""
    total = np.zeros(base.shape)
    for place in np.ndindex(*base.shape):
        changed = [(k, s[place]) for k, s in enumerate(steps) if abs(s[place]) > epsilon]
        if len(changed) == 1:
            total[place] = changed[0][1] * strengths[changed[0][0]]
        elif changed:
            total[place] = sum(s for _, s in changed) / len(changed)
    return base + total


@pytest.mark.parametrize("epsilon", [0.0, 1e-5, 0.2])
def test_ram_takes_what_one_expert_changed_and_averages_what_several_did(epsilon: float) -> None:
    base, experts = sparse(1, 4)
    expected = ram(doubles(base)[0], steps_of(base, experts), epsilon, [1.0] * 4)
    close(merged("ram", base, experts, epsilon=epsilon), expected)


@pytest.mark.parametrize(("r", "alpha"), [(0.1, 0.2), (0.5, 100.0), (0.0, 1.0)])
def test_ramplus_amplifies_what_one_expert_changed_by_how_much_it_shares(r: float, alpha: float) -> None:
    base, experts = sparse(2, 3)
    steps = steps_of(base, experts)
    changed = np.abs(steps) > 1e-5
    several = changed.sum(0) > 1
    strengths = [1 + r * min((c & several).sum() / (c & ~several).sum(), alpha) for c in changed]
    assert all(s > 1 for s in strengths) or r == 0
    expected = ram(doubles(base)[0], steps, 1e-5, [float(s) for s in strengths])
    close(merged("ramplus_tl", base, experts, r=r, alpha=alpha), expected)


def test_ramplus_of_experts_that_changed_the_same_entries_is_their_mean() -> None:
    base, experts = models(3, SHAPE, 3)
    for epsilon in (1e-5, 0.0):
        close(merged("ramplus_tl", base, experts, epsilon=epsilon), np.mean(doubles(*experts), axis=0), 1e-5)


# -- consensus -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("agree", [1, 2, 3])
@pytest.mark.parametrize("mask_lambda", [0.0, 0.4, 1.5])
def test_consensus_keeps_the_sum_where_enough_experts_select_it(agree: int, mask_lambda: float) -> None:
    base, experts = models(4, SHAPE, 4)
    steps = steps_of(base, experts)
    total = steps.sum(0)
    votes = np.sum([np.abs(s) > mask_lambda * np.abs(total - s) for s in steps], axis=0)
    expected = doubles(base)[0] + 0.7 * np.where(votes >= agree, total, 0.0)
    close(merged("consensus", base, experts, agree=agree, mask_lambda=mask_lambda, lambda_=0.7), expected)


def test_consensus_drops_what_a_single_expert_changed() -> None:
    base = torch.zeros(4)
    experts = [torch.tensor([1.0, 0, 2.0, 0]), torch.tensor([0, 1.0, 2.0, 0]), torch.tensor([0.0, 0, 2.0, 1.0])]
    assert merged("consensus", base, experts).tolist() == [0.0, 0.0, 6.0, 0.0]


# -- PCB -------------------------------------------------------------------------------------------------------------


def pcb(base: Array, steps: Array, ratio: float) -> Array:
    """Competition within an expert by size and between experts by agreement, from the formula."""
    n, size = len(steps), base.size
    clamped, scores = [], []
    for s in steps:
        ends = np.sort(np.abs(s), axis=None)[[int(1e-4 * (size - 1)), size - 1 - int(1e-4 * (size - 1))]]
        magnitude = np.clip(np.abs(s), *ends)
        scaled = (magnitude - ends[0]) / (ends[1] - ends[0])
        clamped.append(np.sign(s) * magnitude)
        scores.append(np.exp(n * scaled**2) * np.tanh(s * steps.sum(0)))
    shares = []
    for score in scores:
        least = np.sort(score, axis=None)[min(int((1 - ratio) * size), size - 1)]
        shares.append((np.clip(score, least, score.max()) - least) / (score.max() - least))
    total = np.sum([a * b for a, b in zip(shares, clamped, strict=True)], axis=0)
    return np.asarray(total / np.maximum(np.sum(shares, axis=0), 1e-12))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("ratio", [0.05, 0.5, 1.0])
@pytest.mark.parametrize("count", [1, 3])
def test_pcb_lets_entries_compete(count: int, ratio: float, backend: str) -> None:
    base, experts = models(5, SHAPE, count, delta=0.5)
    expected = doubles(base)[0] + 1.2 * pcb(doubles(base)[0], steps_of(base, experts), ratio)
    found = merged("pcb", base, experts, ratio=ratio, lambda_=1.2, backend=backend, tile_size=1024, sample_size=64)
    close(found, expected, 2e-3)


def test_pcb_leaves_alone_what_no_expert_wins() -> None:
    base, experts = models(6, SHAPE, 3)
    unchanged = float((merged("pcb", base, experts, ratio=0.1) == base).double().mean())
    assert 0.7 < unchanged < 0.9  # three experts' tenths


# -- NearSwap --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("t", [0.0, 0.01, 1.0])
def test_nearswap_takes_what_is_near_and_less_of_what_is_far(t: float) -> None:
    base, experts = models(7, SHAPE, 1)
    a, b = doubles(base, *experts)
    weight = np.clip(t / np.maximum(np.abs(a - b), 1e-6), 0, 1)
    close(merged("nearswap", base, experts, t=t), weight * b + (1 - weight) * a)


# -- Arcee Fusion ----------------------------------------------------------------------------------------------------


def importance(base: Array, other: Array) -> Array:
    """|delta| times the divergence of the rows' softmaxes."""

    def soft(x: Array) -> Array:
        e = np.exp(x - x.max(1, keepdims=True))
        return np.asarray(e / e.sum(1, keepdims=True) + 1e-8)

    p, q = soft(other), soft(base)
    return np.asarray(np.abs(other - base) * (p * np.log(p / q)).sum(1, keepdims=True))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("sample_size", [64, 1 << 16])
def test_arcee_fusion_takes_what_stands_out(backend: str, sample_size: int) -> None:
    base, experts = models(8, (40, 130), 1, delta=0.4)
    a, b = doubles(base, *experts)
    scores = importance(a, b)
    q1, median, q3 = (np.sort(scores, axis=None)[int(q * (scores.size - 1))] for q in (0.25, 0.5, 0.75))
    threshold = median + 1.5 * (q3 - q1)
    found = merged("arcee_fusion", base, experts, backend=backend, sample_size=sample_size, tile_size=1024)
    clear = np.abs(scores - threshold) > 1e-5 * threshold
    assert clear.mean() > 0.999
    expected = np.where(scores >= threshold, b, a)
    assert 0.01 < (scores >= threshold).mean() < 0.3
    np.testing.assert_allclose(found.numpy()[clear], expected[clear], rtol=1e-6, atol=1e-6)


def test_arcee_fusion_of_equal_models_is_that_model() -> None:
    base, _ = models(9, SHAPE, 0)
    assert torch.equal(merged("arcee_fusion", base, [base]), base)
