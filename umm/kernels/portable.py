"""The reference backend: every loop as elementwise torch operations on one tile, in the canonical order.

Shapes: S inputs, K experts, n elements in the tile.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from umm.arithmetic import block_sums, ordered_bits, philox_range, rank_step, rank_threshold, row_sums
from umm.checkpoint.dtype import Dtype
from umm.forms import Blend, Elementwise, Mix, Window
from umm.kernels.tile import Function, Score, Scores, Search, Ties, Tile

name = "torch"

OUTPUT_BIT = 1 << 31
RANK_BITS = 17  # magnitudes that agree in all but their last 17 bits share a rank (64 ranks an octave)

_TORCH = {Dtype.BF16: torch.bfloat16, Dtype.F16: torch.float16, Dtype.F32: torch.float32}


def widen(tile: Tile) -> tuple[torch.Tensor, int]:
    """All inputs as float32 of shape (S, n), and the set of inputs that hold NaN or infinity."""
    rows, bad = [], 0
    for i, dtype in enumerate(tile.dtypes):
        raw = tile.input(i)
        integers = torch.from_numpy(raw.view(np.int32 if dtype.width == 4 else np.int16))
        values = integers.view(_TORCH[dtype]).float()
        bad |= int(not bool(torch.isfinite(values).all())) << i
        rows.append(values)
    return torch.stack(rows), bad


def narrow(values: torch.Tensor, dtype: Dtype, out: NDArray[np.uint8]) -> int:
    """Round once, to nearest even, into ``out``; returns the output bit if anything is not finite."""
    rounded = values.to(_TORCH[dtype])
    target = torch.from_numpy(out[: len(values) * dtype.width].view(np.int32 if dtype.width == 4 else np.int16))
    target.copy_(rounded.view(target.dtype))
    return 0 if bool(torch.isfinite(rounded).all()) else OUTPUT_BIT


def split(tile: Tile) -> tuple[torch.Tensor | None, torch.Tensor, int]:
    """Base (n,) or None, experts (K, n), and the set of bad inputs."""
    values, bad = widen(tile)
    return (values[0], values[1:], bad) if tile.has_base else (None, values, bad)


def deltas_of(tile: Tile) -> torch.Tensor:
    """Experts minus base, (K, n)."""
    base, experts, _ = split(tile)
    return experts - base if base is not None else experts


def variance(deltas: torch.Tensor) -> torch.Tensor:
    """Population variance across experts, (n,), of differences from the first: equal deltas have none, exactly.

    Mean first, then squares of differences from it, both summed in order.
    """
    shifted = deltas - deltas[0]
    total = torch.zeros_like(deltas[0])
    for delta in shifted:
        total = total + delta
    mean = total / len(deltas)
    squares = torch.zeros_like(mean)
    for delta in shifted:
        squares = squares + (delta - mean) * (delta - mean)
    return torch.nan_to_num(squares / len(deltas), nan=torch.inf, posinf=torch.inf)


def keys(tile: Tile, score: Score) -> NDArray[np.uint32]:
    """Scores as integers that order like them, (m, n)."""
    if score == "delta":
        return ordered_bits(deltas_of(tile).abs())
    if score == "variance":
        return ordered_bits(variance(deltas_of(tile))[None])
    assert isinstance(score, Scores)  # noqa: S101 - the other spellings are handled above
    values = score.function(*by_rows(tile) if score.rows else split(tile)[:2])
    return ordered_bits(values.reshape(len(values), -1))


def by_rows(tile: Tile) -> tuple[torch.Tensor | None, torch.Tensor]:
    """Base (r, width) or None and experts (K, r, width)."""
    base, experts, _ = split(tile)
    return None if base is None else base.reshape(-1, tile.row), experts.reshape(len(experts), -1, tile.row)


def function_sums(tile: Tile, function: Function) -> NDArray[np.float64]:
    """Block sums of a method's own per-element values, (m, blocks)."""
    return block_sums(function(*split(tile)[:2]).double(), tile.row).numpy()


def function_counts(tile: Tile, function: Function) -> list[int]:
    """How many elements satisfy each of a method's own conditions."""
    return [int(c) for c in function(*split(tile)[:2]).sum(1)]


def _products(tile: Tile, deltas: bool) -> torch.Tensor:
    """Products of input pairs (i <= j) in float64, (pairs, n)."""
    values = (deltas_of(tile) if deltas else widen(tile)[0]).double()
    return torch.stack([values[i] * values[j] for i in range(len(values)) for j in range(i, len(values))])


def row_products(tile: Tile, deltas: bool) -> NDArray[np.float64]:
    """Dot products of input pairs within each row, (pairs, rows)."""
    products = _products(tile, deltas)
    return row_sums(products.reshape(-1, tile.row)).reshape(len(products), -1).numpy()


def column_products(tile: Tile, deltas: bool, down: NDArray[np.float64]) -> NDArray[np.float64]:
    """Dot products along the first axis, added to ``down`` (pairs, elements of the other axes) row after row."""
    products = _products(tile, deltas).reshape(len(down), -1, tile.row).numpy()
    for r in range(products.shape[1]):
        place = (tile.start + r * tile.row) % down.shape[1]
        down[:, place : place + tile.row] += products[:, r]
    return down


def count(tile: Tile, score: Score, searches: Sequence[Search]) -> None:
    """Count what lies above each bracket and fill its bins."""
    all_keys = keys(tile, score).astype(np.int64)
    for s in searches:
        offset = all_keys[s.row] - s.low
        s.above += int((offset >= s.width).sum())
        inside = offset[(offset >= 0) & (offset < s.width)]
        s.mixed[inside[inside & ((1 << s.shift) - 1) != 0] >> s.shift] = 1
        s.bins += np.bincount(inside >> s.shift, minlength=len(s.bins))


def gram(tile: Tile, deltas: bool) -> NDArray[np.float64]:
    """Block sums of products of input pairs, (pairs, blocks)."""
    return block_sums(_products(tile, deltas), tile.row).numpy()


def _inside(bits: NDArray[np.uint32], window: Window, seen: tuple[int, int]) -> tuple[torch.Tensor, tuple[int, int]]:
    """Which scores lie in the window, given how many boundary ties went by; and how many have gone by now."""

    def before(boundary: tuple[int, int], passed: int) -> tuple[NDArray[np.bool_], int]:
        equal = bits == boundary[0]
        place = passed + np.cumsum(equal) - 1
        return (bits > boundary[0]) | (equal & (place < boundary[1])), passed + int(equal.sum())

    not_yet, first = before(window.first, seen[0])
    still, last = before(window.last, seen[1])
    return torch.from_numpy(still & ~not_yet), (first, last)


def thin(tile: Tile, mix: Mix, ties: Ties, deltas: torch.Tensor) -> torch.Tensor:
    """Deltas with what the form drops set to zero, (K, n); before rescaling."""
    if mix.mask is not None:
        span = mix.mask.bits[:, tile.start >> 3 : (tile.start + tile.count + 7) >> 3]
        bits = np.unpackbits(span, axis=1, bitorder="little")[:, tile.start & 7 :][:, : tile.count]
        return torch.where(torch.from_numpy(bits.astype(bool)), deltas, torch.zeros_like(deltas))
    windows: list[Window | None] = list(mix.windows or [None] * len(deltas))
    if mix.shared is not None:
        bits = ordered_bits(variance(deltas)[None])[0]
        inside, (ties.first[0], ties.last[0]) = _inside(bits, mix.shared, (int(ties.first[0]), int(ties.last[0])))
        return torch.where(inside, deltas, torch.zeros_like(deltas))
    thinned = deltas.clone()
    for k, window in enumerate(windows):
        if window is not None:
            bits = ordered_bits(deltas[k].abs()[None])[0]
            inside, (ties.first[k], ties.last[k]) = _inside(bits, window, (int(ties.first[k]), int(ties.last[k])))
            thinned[k] = torch.where(inside, deltas[k], torch.zeros_like(deltas[k]))
    return thinned


def masses(tile: Tile, mix: Mix, ties: Ties, *, squares: bool) -> NDArray[np.float64]:
    """Block sums of |delta| (or its square), whole and thinned, (2 K, blocks)."""
    deltas = deltas_of(tile)
    both = torch.cat([deltas, thin(tile, mix, ties, deltas)]).double()
    return block_sums(both * both if squares else both.abs(), tile.row).numpy()


def draw(
    tile: Tile, keys: Sequence[int], odds: Sequence[tuple[int, int]], bits: NDArray[np.uint8]
) -> NDArray[np.float64]:
    """Set the bits of kept elements (word below the threshold of the magnitude's rank in its row).

    Returns the block sums of |delta|, whole and thinned, (2 K, blocks).
    """
    deltas = deltas_of(tile)
    thinned = torch.zeros_like(deltas)
    for k, (key, (low, high)) in enumerate(zip(keys, odds, strict=True)):
        words = philox_range(key, tile.start, tile.count).astype(np.int64)
        threshold = rank_thresholds(deltas[k], tile.row, low, high) if low != high else np.int64(low)
        kept = words < threshold
        packed = np.packbits(np.concatenate([np.zeros(tile.start & 7, bool), kept]), bitorder="little")
        bits[k, tile.start >> 3 :][: len(packed)] |= packed
        thinned[k] = torch.where(torch.from_numpy(kept), deltas[k], thinned[k])
    return block_sums(torch.cat([deltas, thinned]).double().abs(), tile.row).numpy()


def rank_thresholds(delta: torch.Tensor, row: int, low: int, high: int) -> NDArray[np.int64]:
    """``low + (high - low) * rank / (row - 1)`` with the mean rank of the magnitudes that share their leading bits.

    In a row of one there is no rank: the mean of the two.
    """
    classes = (delta.abs().numpy().view(np.uint32) >> RANK_BITS).astype(np.int64).reshape(-1, row)
    if row == 1:
        return np.full(classes.size, (low + high) // 2)
    thresholds = np.empty_like(classes)
    for r, line in enumerate(classes):
        bins = np.bincount(line)
        twice_rank = 2 * (np.cumsum(bins) - bins) + bins - 1
        thresholds[r] = rank_threshold(low, rank_step(low, high, row), twice_rank)[line]
    return thresholds.reshape(-1)


def blend(tile: Tile, form: Blend, dtype: Dtype, out: NDArray[np.uint8], shape: tuple[int, int]) -> int:
    """Weighted sum of inputs in order."""
    base, experts, bad = split(tile)
    if form.deltas:
        terms = experts - base if base is not None else experts
    else:
        terms = experts if base is None else torch.cat([base[None], experts])
    total = None
    for i, term in enumerate(terms):
        value = term * coefficient(form, i, tile, shape)
        total = value if total is None else total + value
    assert total is not None  # noqa: S101 - a form has at least one input
    if form.divisor is not None:
        total = total / form.divisor
    return bad | narrow(base + total if form.deltas and base is not None else total, dtype, out)


def coefficient(form: Blend, i: int, tile: Tile, shape: tuple[int, int]) -> torch.Tensor:
    """The i-th input's coefficient, for the whole tile or per element."""
    if form.rows is None:
        return torch.tensor(form.coefficients[i], dtype=torch.float32)
    index = torch.arange(tile.start, tile.start + tile.count)
    place = index % shape[1] if form.by_column else index // shape[1]
    return torch.from_numpy(form.rows[i])[place]


def mix(tile: Tile, form: Mix, ties: Ties, dtype: Dtype, out: NDArray[np.uint8]) -> int:
    """Thin out, rescale, weigh, elect, sum, divide, scale, add."""
    base, experts, bad = split(tile)
    assert base is not None  # noqa: S101 - the family is defined on deltas
    thinned = thin(tile, form, ties, experts - base)
    weights = torch.tensor(form.weights, dtype=torch.float32)
    if form.rescale is not None:
        thinned = thinned * torch.tensor(form.rescale, dtype=torch.float32)[:, None]
    weighted = thinned * weights[:, None]
    total, divisor = elect(form, thinned, weighted, weights)
    if form.divide:
        total = total / divisor
    if form.scale != 1.0:
        total = total * form.scale
    return bad | narrow(base + total, dtype, out)


def elect(
    form: Mix, thinned: torch.Tensor, weighted: torch.Tensor, weights: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The sum of those who take part, (n,), and the sum of their weights."""
    zero = torch.zeros_like(weighted[0])
    total, divisor = zero, torch.zeros(())
    if form.elect is None:
        for value, weight in zip(weighted, weights, strict=True):
            total, divisor = total + value, divisor + weight
        return total, torch.where(divisor.abs() < 1e-8, torch.ones(()), divisor)
    vote = zero
    ballots = {"sum": weighted, "plain": thinned, "count": weighted.sign()}[form.elect]
    for ballot in ballots:
        vote = vote + ballot
    positive, divisor = vote >= 0, zero
    for value, weight in zip(weighted, weights, strict=True):
        agrees = torch.where(positive, value > 0, value < 0)
        total = total + torch.where(agrees, value, zero)
        divisor = divisor + torch.where(agrees, weight, zero)
    if form.floor:
        return total, divisor.clamp_min(form.floor)
    return total, torch.where(divisor == 0, torch.ones_like(divisor), divisor)


def elementwise(tile: Tile, form: Elementwise, dtype: Dtype, out: NDArray[np.uint8]) -> int:
    """Apply a method's own function."""
    base, experts, bad = split(tile)
    values = form.function(*by_rows(tile) if form.rows else (base, experts)).reshape(-1)
    if form.delta:
        values = values * form.scale if form.scale != 1.0 else values
        values = base + values if base is not None else values
    return bad | narrow(values, dtype, out)
