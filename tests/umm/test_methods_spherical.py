"""Means and interpolations of whole models: linear, slerp and its relatives, the Karcher mean."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.umm.memory import BACKENDS, Tensor, bits, doubles, merged, models, numbers
from umm.errors import RecipeError
from umm.methods import METHODS, Arguments

Array = NDArray[np.float64]

SHAPE = (11, 130)


def close(found: Tensor, expected: Array, rtol: float = 2e-6) -> None:
    np.testing.assert_allclose(found.double().numpy(), expected, rtol=rtol, atol=2e-6)


def unit(x: Array) -> Array:
    return x / np.linalg.norm(x)


def arc(t: float, a: Array, b: Array) -> Array:
    """SLERP of two arrays seen as vectors."""
    angle = math.acos(float((unit(a) * unit(b)).sum()))
    return np.asarray((math.sin((1 - t) * angle) * a + math.sin(t * angle) * b) / math.sin(angle))


def pair(key: int, scale: float = 1.0) -> tuple[Tensor, Tensor]:
    """Two unrelated tensors of norm ``scale``."""
    made = [numbers(key + k, SHAPE) for k in range(2)]
    return made[0] / made[0].norm() * scale, made[1] / made[1].norm() * scale


# -- linear and passthrough ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("weights", [[1.0, 1.0, 1.0], [0.5, -0.2, 3.0], [0.0, 0.0, 1.0]])
def test_linear_is_the_weighted_mean(weights: list[float], backend: str) -> None:
    _, experts = models(1, SHAPE, 3)
    expected = np.average(doubles(*experts), axis=0, weights=weights)
    close(merged("linear", None, experts, weight=weights, backend=backend), expected)
    total = sum(w * x for w, x in zip(weights, doubles(*experts), strict=True))
    close(merged("linear", None, experts, weight=weights, normalize=False, backend=backend), np.asarray(total))


@pytest.mark.parametrize(("method", "switch"), [("linear", "normalize"), ("multislerp", "normalize_weights")])
def test_weights_that_sum_to_zero_cannot_be_normalized(method: str, switch: str) -> None:
    check = METHODS[method].check
    assert check is not None
    weights = ({"weight": 1.0}, {"weight": -1.0})
    assert "sum to zero" in str(check(Arguments({switch: True}, weights)))
    assert check(Arguments({switch: False}, weights)) is None


def test_passthrough_copies_every_bit_and_scales_on_request() -> None:
    values = numbers(3, SHAPE)
    values[0, :4] = torch.tensor([0.0, -0.0, 1e-45, -1e-40])
    for kind in (torch.float32, torch.bfloat16, torch.float16):
        assert torch.equal(merged("passthrough", None, [values.to(kind)]), values.to(kind).float())
    assert bits(merged("passthrough", None, [values])) == bits(values)
    assert torch.equal(merged("passthrough", None, [values], scale=-0.5), values * -0.5)


# -- slerp -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("t", [-0.3, 0.1, 0.5, 0.9, 1.4])
def test_slerp_goes_along_the_arc(t: float, backend: str) -> None:
    base, experts = models(4, SHAPE, 1, delta=2.0)
    close(merged("slerp", base, experts, t=t, backend=backend), arc(t, *doubles(base, experts[0])))


def test_slerp_ends_at_its_inputs_exactly() -> None:
    base, experts = models(5, SHAPE, 1, delta=2.0)
    assert torch.equal(merged("slerp", base, experts, t=0.0), base)
    assert torch.equal(merged("slerp", base, experts, t=1.0), experts[0])


def test_slerp_keeps_the_norm_on_the_way() -> None:
    base, other = pair(6, 7.0)
    for t in (0.25, 0.5, 0.75):
        assert abs(float(merged("slerp", base, [other], t=t).double().norm()) - 7.0) < 1e-5


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_nearly_parallel_and_opposite_tensors_are_interpolated_straight(sign: float) -> None:
    base = numbers(7, SHAPE)
    other = base * sign * 3.0
    close(merged("slerp", base, [other], t=0.3), doubles(base * 0.7 + other * 0.3)[0])


def test_slerp_with_a_tensor_of_zeros_has_a_right_angle() -> None:
    base = numbers(8, SHAPE)
    half = math.sin(math.pi / 4)
    close(merged("slerp", base, [torch.zeros_like(base)], t=0.5), doubles(base)[0] * half)


# -- nuslerp ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", BACKENDS)
def test_nuslerp_without_a_base_is_slerp_with_t_from_the_weights(backend: str) -> None:
    base, experts = models(9, SHAPE, 1, delta=2.0)
    found = merged("nuslerp", None, [base, *experts], weight=[1.0, 3.0], backend=backend)
    assert torch.equal(found, merged("slerp", base, experts, t=0.75, backend=backend))


def test_nuslerp_with_a_base_goes_along_the_arc_between_deltas() -> None:
    base, experts = models(10, SHAPE, 2)
    a, b = doubles(*(e - base for e in experts))
    close(merged("nuslerp", base, experts, weight=[2.0, 1.0]), doubles(base)[0] + arc(1 / 3, a, b), 1e-5)


@pytest.mark.parametrize("shape", [(6, 30), (5, 3, 20), (40,)])
@pytest.mark.parametrize("row_wise", [False, True])
@pytest.mark.parametrize("backend", BACKENDS)
def test_nuslerp_without_flatten_gives_every_vector_an_angle_of_its_own(
    shape: tuple[int, ...], row_wise: bool, backend: str
) -> None:
    first, second = numbers(11, shape), numbers(12, shape)
    way: dict[str, Any] = {"weight": [1.0, 2.0], "nuslerp_flatten": False, "nuslerp_row_wise": row_wise}
    found = merged("nuslerp", None, [first, second], backend=backend, tile_size=60, **way)
    axis = 0 if row_wise else -1
    a, b = (np.moveaxis(x, axis, -1).reshape(-1, shape[axis]) for x in doubles(first, second))
    expected = np.stack([arc(2 / 3, x, y) for x, y in zip(a, b, strict=True)])
    close(torch.from_numpy(np.moveaxis(found.numpy(), axis, -1).reshape(-1, shape[axis]).copy()), expected, 1e-5)


def test_nuslerp_of_weights_that_cancel_out_stands_in_the_middle() -> None:
    first, second = pair(13)
    close(merged("nuslerp", None, [first, second], weight=[1.0, -1.0]), arc(0.5, *doubles(first, second)))


# -- multislerp ------------------------------------------------------------------------------------------------------


def multislerp_reference(vectors: list[Array], weights: list[float]) -> Array:
    """The tangent-space average, on whole vectors."""
    units = [unit(v) for v in vectors]
    mean = unit(np.asarray(sum(w * u for w, u in zip(weights, units, strict=True))))
    tangent = np.asarray(sum(w * (u - (u * mean).sum() * mean) for w, u in zip(weights, units, strict=True)))
    angle = np.linalg.norm(tangent)
    turned = mean if angle < 1e-12 else math.cos(angle) * mean + math.sin(angle) * tangent / angle
    return np.asarray(sum(w * np.linalg.norm(v) for w, v in zip(weights, vectors, strict=True)) * turned)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("weights", [[0.2, 0.3, 0.5], [1.0, 2.0, -0.5]])
def test_multislerp_averages_directions_in_the_tangent_space(weights: list[float], backend: str) -> None:
    base, experts = models(14, SHAPE, 3)
    shares = [w / sum(weights) for w in weights]
    expected = multislerp_reference(doubles(*experts), shares)
    close(merged("multislerp", None, experts, weight=weights, backend=backend), expected, 1e-5)
    expected = doubles(base)[0] + multislerp_reference(doubles(*(e - base for e in experts)), shares)
    close(merged("multislerp", base, experts, weight=weights, backend=backend), expected, 1e-5)


def test_multislerp_of_two_equals_is_the_middle_of_the_arc() -> None:
    first, second = pair(15, 3.0)
    found = merged("multislerp", None, [first, second], weight=0.5)
    close(found, arc(0.5, *doubles(first, second)))


def test_multislerp_of_one_model_is_that_model() -> None:
    base, experts = models(16, SHAPE, 1)
    assert torch.equal(merged("multislerp", None, experts, weight=0.3), experts[0])
    close(merged("multislerp", base, experts, weight=0.3), doubles(*experts)[0])


def test_directions_that_cancel_out_have_no_mean() -> None:
    _, experts = models(17, SHAPE, 1)
    opposite = [experts[0], -experts[0]]
    assert torch.equal(merged("multislerp", None, opposite, weight=1.0), torch.zeros(SHAPE))
    with pytest.raises(RecipeError, match=r"directions of layers\.0\.weight cancel out"):
        merged("multislerp", None, [*opposite, torch.zeros(SHAPE)], weight=1.0)


def test_a_tensor_that_no_expert_changed_stays_as_it_is() -> None:
    base = numbers(18, SHAPE)
    assert torch.equal(merged("multislerp", base, [base] * 3, weight=1.0), base)
    for method in ("model_stock", "geometric_median"):
        assert torch.equal(merged(method, base, [base] * 3), base)
    assert torch.equal(merged("nuslerp", base, [base] * 2, weight=1.0), base)


# -- karcher ---------------------------------------------------------------------------------------------------------


def test_the_karcher_mean_of_identical_tensors_is_that_tensor() -> None:
    values = numbers(19, SHAPE)
    for count in (1, 2, 5):
        close(merged("karcher", None, [values] * count), doubles(values)[0])


def test_the_karcher_mean_of_two_is_the_middle_of_the_arc() -> None:
    first, second = pair(20, 5.0)
    close(merged("karcher", None, [first, second]), arc(0.5, *doubles(first, second)), 1e-5)


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_karcher_mean_has_no_pull_towards_any_input(backend: str) -> None:
    _, experts = models(21, SHAPE, 4, delta=1.0)
    found = merged("karcher", None, experts, max_iter=50, tol=1e-9, backend=backend)
    assert abs(float(found.double().norm()) - np.mean([float(e.double().norm()) for e in experts])) < 1e-4
    point = unit(doubles(found)[0])
    pull = np.zeros(SHAPE)
    for u in (unit(x) for x in doubles(*experts)):
        angle = math.acos(float((u * point).sum()))
        pull += angle / math.sin(angle) * (u - math.cos(angle) * point)
    assert np.linalg.norm(pull) < 1e-5


def test_tensors_without_a_direction_only_lower_the_mean_norm() -> None:
    values = numbers(22, SHAPE)
    zeros = torch.zeros(SHAPE)
    close(merged("karcher", None, [values, zeros]), doubles(values)[0] / 2)
    assert torch.equal(merged("karcher", None, [zeros, zeros]), zeros)
