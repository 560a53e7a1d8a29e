"""Order statistics against sorting, whatever the sample that the search starts from looked like."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.umm.arrays import ArraySource
from tests.umm.memory import BACKENDS, field_of, numbers
from umm.field import EVERYTHING, NOTHING
from umm.kernels.selection import bracket, narrowed, opened
from umm.kernels.tile import Room, Scores, Tile

SIGN = 0x80000000

magnitudes = st.one_of(
    st.floats(0, 2.0**127, width=32),
    st.sampled_from([0.0, 2.0**-149, 2.0**-130, 0.5, 1.0, 2.0**127]),  # many ties
)


def tile_of(values: NDArray[np.float32]) -> Tile:
    return Tile([ArraySource(values)], False, 0, len(values), len(values), Room())


def found(
    values: NDArray[np.float32], sample: NDArray[np.uint32], ranks: list[int], bins: int, backend: str
) -> list[tuple[int, int]]:
    """The cuts at these descending ranks of |values|, searched from any sample."""
    hunts = opened(sample[None], [ranks], len(values), bins)
    while pending := [h for h in hunts if not h.done]:
        for h in pending:
            h.reset()
        BACKENDS[backend].count(tile_of(values), "delta", [h.search for h in pending])
        for h in pending:
            narrowed(h, bins)
    return [h.cut for h in hunts]


def sorted_out(values: NDArray[np.float32], ranks: list[int]) -> list[tuple[int, int]]:
    """The same cuts by sorting: the bits at each rank, and how many equal ones stand before it."""
    keys = np.sort(np.abs(values).view(np.uint32) | np.uint32(SIGN))[::-1]
    return [(int(keys[r]), r - int((keys > keys[r]).sum())) for r in ranks]


@pytest.mark.parametrize("backend", BACKENDS)
@settings(max_examples=150, deadline=None)
@given(
    st.lists(magnitudes, min_size=1, max_size=60),
    st.lists(magnitudes, min_size=1, max_size=60),
    st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=3),
    st.sampled_from([1 << 6, 1 << 12, 1 << 17]),
)
def test_a_search_agrees_with_sorting_whatever_the_sample_was(
    backend: str, numbers: list[float], sampled: list[float], places: list[float], bins: int
) -> None:
    values = np.array(numbers, np.float32)
    if len(sampled) == len(numbers):
        sampled = [*sampled, 0.0]  # a sample of every element would be believed
    keys = np.array(sampled, np.float32).view(np.uint32) | np.uint32(SIGN)
    ranks = [int(p * len(values)) for p in places]
    assert found(values, keys, ranks, bins, backend) == sorted_out(values, ranks)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("sample", [0.0, 0.5, 3e38], ids=["too low", "amid", "too high"])
def test_a_misleading_sample_costs_passes_but_not_exactness(backend: str, sample: float) -> None:
    values = numbers(5, (5000,)).numpy()
    keys = np.full(200, sample, np.float32).view(np.uint32) | np.uint32(SIGN)
    ranks = [0, 1, 2500, 4998, 4999]
    assert found(values, keys, ranks, 1 << 12, backend) == sorted_out(values, ranks)


def test_a_whole_sample_answers_without_a_pass() -> None:
    keys = np.array([[5, 9, 9, 2, 9, 7]], np.uint32)
    hunts = opened(keys, [[0, 2, 3, 5]], 6, 16)
    assert [(h.done, h.cut) for h in hunts] == [(True, (9, 0)), (True, (9, 2)), (True, (7, 0)), (True, (2, 0))]


@given(st.integers(0, 0xFFFFFFFF), st.integers(0, 0xFFFFFFFF), st.integers(1, 1 << 12))
def test_a_bracket_covers_its_ends_with_no_more_bins_than_allowed(a: int, b: int, bins: int) -> None:
    low, high = min(a, b), max(a, b)
    search = bracket(0, low, high, bins)
    assert len(search.bins) <= bins
    assert search.low == low
    assert low + search.width > high
    assert search.shift == 0 or low + (len(search.bins) - 1 << search.shift) <= high


# -- through a field -------------------------------------------------------------------------------------------------


def spiky(size: int, runs: int = 32) -> torch.Tensor:
    """Numbers that are huge exactly where a sample of 32 runs of two looks, and tiny elsewhere."""
    values = numbers(9, (size,), 1e-3)
    for run in range(runs):
        start = run * (size - 2) // (runs - 1)
        values[start : start + 2] = 1e6 + run
    return values


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("keep", [1, 63, 64, 65, 2000, 3999])
def test_a_tensor_that_fools_the_sample_is_still_cut_exactly(backend: str, keep: int) -> None:
    expert = spiky(4000)
    field = field_of(torch.zeros(4000), [expert], backend=backend, tile_size=1024, sample_size=64, bins=256)
    (window,) = field.windows([(0, keep)])
    assert window is not None
    assert window.first == NOTHING
    assert window.last == sorted_out(expert.numpy(), [keep])[0]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("sizes", [{}, {"sample_size": 64, "bins": 64}], ids=["looked at whole", "sampled"])
def test_order_statistics_of_signed_scores_agree_with_sorting(backend: str, sizes: dict[str, Any]) -> None:
    values = numbers(11, (7, 300))
    values[2] = values[3]  # ties
    field = field_of(None, [values], backend=backend, tile_size=1024, **sizes)
    ranks = [0, 1, 1050, 2098, 2099]

    def both(base: torch.Tensor | None, experts: torch.Tensor) -> torch.Tensor:
        return torch.stack([experts[0], -experts[0]])

    ordered = np.sort(values.numpy().reshape(-1))
    found = field.order_statistics(both, [ranks, ranks])
    assert found == [ordered[ranks].tolist(), (-ordered[::-1])[ranks].tolist()]


@pytest.mark.parametrize("backend", BACKENDS)
def test_scores_of_whole_rows_are_searched_row_by_row(backend: str) -> None:
    values = numbers(12, (50, 40))
    field = field_of(None, [values], backend=backend, tile_size=80, sample_size=64, bins=64)

    def of_rows(base: torch.Tensor | None, experts: torch.Tensor) -> torch.Tensor:
        assert experts.shape[2] == 40
        return experts - experts.max(dim=2, keepdim=True).values

    scores = np.sort((values - values.max(dim=1, keepdim=True).values).numpy().reshape(-1))
    assert field.order_statistics(of_rows, [[3, 1000]], rows=True) == [scores[[3, 1000]].tolist()]


@pytest.mark.parametrize("backend", BACKENDS)
def test_windows_that_hold_everything_or_nothing_need_no_search(backend: str) -> None:
    field = field_of(torch.zeros(10), [torch.ones(10)] * 3, backend=backend)
    whole, none, tail = field.windows([(0, 10), (0, 0), (4, 10)])
    assert whole is None
    assert none is not None
    assert (none.first, none.last) == (NOTHING, NOTHING)
    assert tail is not None
    assert (tail.first[1], tail.last) == (4, EVERYTHING)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 0.999, 1.0])
def test_the_variance_window_counts_only_positions_where_experts_differ(backend: str, share: float) -> None:
    experts = [numbers(k, (3000,)) for k in (1, 2)]
    experts[1][:1000] = experts[0][:1000]
    field = field_of(torch.zeros(3000), experts, backend=backend, tile_size=1024, sample_size=64, bins=256)
    window = field.variance_window(share)
    energies = field.energies(window)
    stacked = np.stack([e.numpy() for e in experts])
    keep = int(2000 * share)
    chosen = np.argsort(-stacked.astype(np.float64).var(0), kind="stable")[:keep]
    np.testing.assert_allclose(energies, (stacked[:, chosen].astype(np.float64) ** 2).sum(1), rtol=1e-9)


def test_a_score_of_a_method_is_counted_by_the_reference_loops() -> None:
    values = np.array([3.0, -1.0, 2.0], np.float32)
    search = bracket(0, SIGN, 0xFFFFFFFF, 1 << 12)
    for backend in BACKENDS.values():
        search.bins[:] = 0
        search.above = 0
        backend.count(tile_of(values), Scores(lambda base, experts: experts), [search])
        assert int(search.bins.sum()) == 2
