"""What a field answers about its tensor, and what it refuses."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.umm.memory import BACKENDS, WHOLE, Tensor, doubles, field_of, merged, models, numbers
from tests.umm.settings import EVERY, SETTINGS, Setting
from umm.checkpoint.dtype import Dtype
from umm.errors import CheckpointError
from umm.methods import METHODS
from umm.methods.parameters import LINES

NAN, INF = float("nan"), float("inf")

# -- tiles -----------------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(
    st.lists(st.integers(0, 40), max_size=3),
    st.integers(1, 3000),
    st.booleans(),
    st.sampled_from([1, 100]),
)
def test_tiles_cover_every_element_once_and_in_order(
    shape: list[int], tile_size: int, whole_rows: bool, widening: int
) -> None:
    if shape:
        shape[-1] *= widening
    expert = torch.arange(torch.Size(shape).numel(), dtype=torch.float32).reshape(shape)
    field = field_of(None, [expert], tile_size=tile_size)
    place = 0
    for tile in field.tiles(whole_rows=whole_rows):
        assert tile.start == place
        assert tile.count > 0
        assert tile.count % tile.row == 0
        pieces = tile.row < field.row
        assert not (pieces and whole_rows)
        assert tile.start % field.row % 1024 == 0 or not pieces
        assert tile.row == (tile.count if pieces else field.row)
        values = tile.raw[0, : 4 * tile.count].view(np.float32)
        assert np.array_equal(values, np.arange(place, place + tile.count, dtype=np.float32))
        place += tile.count
    assert place == field.size


def test_a_tile_is_never_larger_than_asked_for_unless_rows_must_stay_whole() -> None:
    field = field_of(None, [torch.zeros(3, 5000)], tile_size=2100)
    assert [t.count for t in field.tiles()] == [2048, 2048, 904] * 3
    assert [t.count for t in field.tiles(whole_rows=True)] == [5000] * 3


# -- sums ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("deltas", [False, True])
def test_the_gram_matrix_holds_all_dot_products(backend: str, deltas: bool) -> None:
    base, experts = models(1, (7, 1100), 3, (Dtype.BF16, Dtype.F32))
    gram = field_of(base, experts, backend=backend, tile_size=1024).gram(deltas=deltas)
    rows = np.stack(doubles(*[e.float() - base.float() for e in experts] if deltas else [base, *experts]))
    rows = rows.reshape(len(rows), -1)
    np.testing.assert_allclose(gram, rows @ rows.T, rtol=1e-12, atol=1e-10)
    assert np.array_equal(gram, gram.T)


@pytest.mark.parametrize("shape", [(6, 50), (4, 3, 20)])
@pytest.mark.parametrize("tile_size", [20, WHOLE])
def test_vectors_along_either_end_axis_have_gram_matrices_of_their_own(shape: tuple[int, ...], tile_size: int) -> None:
    base, experts = models(2, shape, 2)
    field = field_of(base, experts, tile_size=tile_size)
    a, b = doubles(*(e - base for e in experts))
    for by_column, axis in ((False, -1), (True, 0)):
        grams = field.vector_grams(deltas=True, by_column=by_column)
        assert len(grams) == field.size // shape[axis]
        expected = np.stack([(a * a).sum(axis), (a * b).sum(axis), (b * b).sum(axis)]).reshape(3, -1)
        found = np.array([[g[0, 0], g[0, 1], g[1, 1]] for g in grams]).T
        np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_a_method_can_sum_and_count_what_it_likes() -> None:
    base, experts = models(3, (5, 1500), 2)
    field = field_of(base, experts, tile_size=1024)

    def products(b: Tensor | None, e: Tensor) -> Tensor:
        assert b is not None
        return torch.stack([e[0].double() * b, e[1].double() * b])

    b, first, second = doubles(base, *experts)
    np.testing.assert_allclose(field.sums(products), [(first * b).sum(), (second * b).sum()], rtol=1e-10)
    assert field.tally(lambda _, e: e > 0) == [int((first > 0).sum()), int((second > 0).sum())]


@pytest.mark.parametrize("backend", BACKENDS)
def test_scales_restore_the_l1_norm_of_a_thinned_delta(backend: str) -> None:
    base, experts = models(4, (4, 1500), 2)
    field = field_of(base, experts, backend=backend, tile_size=1024)
    windows = field.windows([(0, 600), (100, 5000)])
    deltas = [np.sort(np.abs(d).reshape(-1))[::-1] for d in doubles(*(e - base for e in experts))]
    expected = [d.sum() / d[a:b].sum() for d, (a, b) in zip(deltas, [(0, 600), (100, 5000)], strict=True)]
    np.testing.assert_allclose(field.l1_scales(windows), expected, rtol=1e-6)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_delta_without_mass_is_not_rescaled(backend: str) -> None:
    base = torch.zeros(2000)
    field = field_of(base, [base, base + 1e-12], backend=backend)
    _, scales = field.draw([(0.5, 0.5), (0.5, 0.5)])
    assert scales == (1.0, 1.0)


@pytest.mark.parametrize("backend", BACKENDS)
def test_energies_are_sums_of_squares(backend: str) -> None:
    base, experts = models(5, (3, 1500), 3)
    field = field_of(base, experts, backend=backend, tile_size=1024)
    expected = [(d * d).sum() for d in doubles(*(e - base for e in experts))]
    np.testing.assert_allclose(field.energies(None), expected, rtol=1e-12)


# -- LiNeS -----------------------------------------------------------------------------------------------------------

SCALED = [m for m in METHODS if METHODS[m].parameter(LINES[0].name)]


def first_with_base(method: str) -> Setting:
    plain = (s for s in SETTINGS[method] if s.base and not any(k.startswith("lines") for k in s.given))
    return next(plain)


@pytest.mark.parametrize("method", SCALED)
def test_the_merged_delta_grows_with_depth_from_alpha_to_alpha_plus_beta(method: str) -> None:
    setting = first_with_base(method)
    base, experts = models(6, (5, 70), setting.experts)

    def at(depth: float, **lines: Any) -> Tensor:
        return merged(method, base, experts, depth=depth, **setting.given, **lines)

    assert torch.equal(at(1.0, lines_alpha=0.25, lines_beta=0.75), at(0.0))
    assert torch.equal(at(0.0, lines_alpha=0.0, lines_beta=3.0), base)
    half, whole = at(0.5, lines_alpha=0.25, lines_beta=0.5) - base, at(0.3) - base
    torch.testing.assert_close(half, whole / 2, rtol=1e-4, atol=2e-7)


# -- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("method", "setting"), EVERY, ids=lambda v: str(v))
def test_nan_or_infinity_in_any_input_is_refused_and_the_model_named(
    method: str, setting: Setting, backend: str
) -> None:
    sound = models(7, (3, 70), setting.experts)
    labels = [*(["base"] if setting.base else []), *(f"expert {k}" for k in range(setting.experts))]
    for k, label in enumerate(labels):
        inputs = [t.clone() for t in ([sound[0], *sound[1]] if setting.base else sound[1])]
        inputs[k].view(-1)[100 + k] = (NAN, INF, -INF)[k % 3]
        base, experts = (inputs[0], inputs[1:]) if setting.base else (None, inputs)
        sizes: dict[str, Any] = {"tile_size": 70, "sample_size": 64, "bins": 64} if k % 2 else {}
        with pytest.raises(CheckpointError, match=rf"layers\.0\.weight holds NaN or infinity in {label}:"):
            merged(method, base, experts, Dtype.BF16, backend=backend, **sizes, **setting.given)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("method", ["linear", "ties", "median"])
def test_every_model_with_nan_or_infinity_in_the_tile_is_named(method: str, backend: str) -> None:
    base, experts = models(8, (4, 10), 3)
    experts[0][1, 1], experts[2][3, 3] = NAN, INF
    given: dict[str, Any] = {} if method == "median" else {"weight": 1.0}
    with pytest.raises(CheckpointError, match=r"in expert 0, expert 2: .*get a sound copy"):
        merged(method, None if method == "linear" else base, experts, backend=backend, **given)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("method", ["linear", "task_arithmetic", "median"])
def test_a_result_too_large_for_the_output_type_is_refused(method: str, backend: str) -> None:
    base = torch.zeros(5) if method != "linear" else None
    experts = [torch.tensor([1.0, 2.0, 65519.0, 3.0, 4.0])]
    given: dict[str, Any] = {} if method == "median" else {"weight": 1.0}
    assert merged(method, base, experts, Dtype.F16, backend=backend, **given).max() == 65504
    experts[0][2] = 65520.0
    with pytest.raises(CheckpointError, match=r"overflows float16: .* out_dtype: float32 or bfloat16"):
        merged(method, base, experts, Dtype.F16, backend=backend, **given)
    merged(method, base, experts, Dtype.BF16, backend=backend, **given)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("method", "setting"), EVERY, ids=lambda v: str(v))
def test_numbers_so_large_that_differences_overflow_are_refused_or_survive(
    method: str, setting: Setting, backend: str
) -> None:
    base, experts = models(9, (3, 70), setting.experts)
    base[1, 1] = -3e38
    experts[-1][1, 1] = 3e38
    try:
        found = merged(method, base if setting.base else None, experts, backend=backend, **setting.given)
    except CheckpointError as refused:
        assert "overflows float32" in str(refused)  # noqa: PT017 - refusing is one of two right answers
    else:
        assert found.isfinite().all()


# -- the two ways to start a search ----------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["ties", "breadcrumbs", "sce", "pcb", "arcee_fusion"])
def test_the_default_sample_changes_nothing(method: str) -> None:
    """Both default sizes at work: a tensor larger than the sample, and than a tile."""
    setting = SETTINGS[method][-1] if method != "sce" else SETTINGS[method][1]
    base, experts = models(10, (150, 1000), setting.experts)
    common: dict[str, Any] = {"backend": "numba", **setting.given}
    whole = merged(method, base, experts, tile_size=WHOLE, sample_size=1 << 20, **common)
    assert torch.equal(merged(method, base, experts, tile_size=1 << 16, **common), whole)


def test_numbers_are_the_same_in_every_run() -> None:
    values = numbers(1, (3,), 2.0)
    assert values.tolist() == numbers(1, (9,), 2.0)[:3].tolist()
