"""The fused backend: prepares arguments for the numba loops; what has no fused loop goes to the portable backend."""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import groupby, takewhile
from operator import attrgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from umm.arithmetic import rank_step
from umm.checkpoint.dtype import Dtype
from umm.forms import Blend, Mix, Window
from umm.kernels import counting, fused, loops
from umm.kernels.tile import Score, Search, Ties, Tile

name = "numba"

SIGN = 0x80000000  # ordered bits of zero
_ELECT = {None: 0, "sum": 1, "plain": 2, "count": 3}
_ALL, _WINDOWS, _MASK, _SHARED = range(4)
_NO_BITS = np.zeros((1, 1), np.uint8)


def _codes(tile: Tile) -> NDArray[np.int64]:
    return np.array([d.code for d in tile.dtypes], np.int64)


def _blocks(tile: Tile) -> int:
    return tile.count // tile.row * -(-tile.row // loops.BLOCK)


def keys(tile: Tile, score: Score) -> NDArray[np.uint32]:
    """Scores as integers that order like them."""
    return _signed_keys(tile, score).view(np.uint32) ^ np.uint32(SIGN)


def _signed_keys(tile: Tile, score: Score) -> NDArray[np.int32]:
    """The same, shifted to be signed: the bits of a float that is not negative, as they are."""
    if not isinstance(score, str):
        from umm.kernels import portable

        return (portable.keys(tile, score) ^ np.uint32(SIGN)).view(np.int32)
    rows = 1 if score == "variance" else len(tile.dtypes) - tile.has_base
    out = np.empty((rows, tile.count), np.int32)
    loops.magnitudes(tile.raw, _codes(tile), tile.has_base, tile.count, score == "variance", out)
    return out


def count(tile: Tile, score: Score, searches: Sequence[Search]) -> None:
    """Count what lies above each bracket and fill its bins."""
    halves = score == "delta" and tile.has_base and _all_halves(tile)
    found = np.empty((0, 0), np.int32) if halves else _signed_keys(tile, score)
    for row, neighbours in groupby(searches, key=attrgetter("row")):
        base, expert = (tile.input(i).view(np.uint16) for i in (0, row + 1)) if halves else (found[row], found[row])
        group = tuple(neighbours)
        for i in range(0, len(group), counting.MOST_SEARCHES):
            _count(base, expert, group[i : i + counting.MOST_SEARCHES], halves=halves)


def _count(base: NDArray[Any], expert: NDArray[Any], searches: Sequence[Search], *, halves: bool) -> None:
    plain = len(tuple(takewhile(lambda s: not s.popular, searches)))
    brackets = np.array([(s.low - SIGN, s.width, s.shift) for s in searches], np.int64)
    popular = np.array([((s.popular or (s.low,))[0], (s.popular or (s.low,))[-1]) for s in searches], np.int64) - SIGN
    bins, mixed = tuple(s.bins for s in searches), tuple(s.mixed for s in searches)
    above = np.zeros(len(searches), np.int64)
    counting.counter(len(searches), plain, int(halves))(base, expert, brackets, popular, bins, mixed, above)
    for s, larger in zip(searches, above.tolist(), strict=True):
        s.above += larger


def _all_halves(tile: Tile) -> bool:
    """Whether all inputs are bfloat16, as some loops want it."""
    return all(d is Dtype.BF16 for d in tile.dtypes)


def gram(tile: Tile, deltas: bool) -> NDArray[np.float64]:
    """Block sums of products of input pairs, (pairs, blocks)."""
    inputs = len(tile.dtypes) - (deltas and tile.has_base)
    out = np.empty((inputs * (inputs + 1) // 2, _blocks(tile)))
    loops.gram(tile.raw, _codes(tile), tile.has_base and deltas, tile.count, tile.row, out)
    return out


def _boundary(cut: tuple[int, int]) -> tuple[float, int]:
    """A window's boundary as (magnitude, ties); nothing lies above infinity, everything above -1."""
    bits, ties = cut
    if bits >= 1 << 32:
        return np.inf, 0
    if bits < SIGN:
        return -1.0, 0
    return float(np.array([bits - SIGN], np.uint32).view(np.float32)[0]), ties


class _Thinning:
    """A form's way of thinning out, as arrays for the loops."""

    def __init__(self, form: Mix, ties: Ties) -> None:
        windows: Sequence[Window | None] = form.windows or (form.shared,) * len(form.weights)
        cuts = [w or Window((1 << 32, 0), (0, 0)) for w in windows]
        first, last = [_boundary(c.first) for c in cuts], [_boundary(c.last) for c in cuts]
        self.mode = _MASK if form.mask else _SHARED if form.shared else _WINDOWS if form.windows else _ALL
        edges = np.array([[e[0] for e in first], [e[0] for e in last]], np.float32)
        self.edges = np.stack([edges, np.nextafter(edges, np.float32(np.inf))], axis=1)
        self.limits = np.array([[e[1] for e in first], [e[1] for e in last]], np.int64)
        self.bits = form.mask.bits if form.mask else _NO_BITS
        self.ties = ties

    def arguments(self) -> tuple[object, ...]:
        """In the order that the loops take them."""
        return self.mode, self.edges, self.limits, self.ties.first, self.ties.last, self.bits


def masses(tile: Tile, mix: Mix, ties: Ties, *, squares: bool) -> NDArray[np.float64]:
    """Block sums of |delta| (or its square), whole and thinned, (2 K, blocks)."""
    experts = len(tile.dtypes) - 1
    out = np.zeros((2 * experts, _blocks(tile)))
    thinning = _Thinning(mix, ties).arguments()
    if squares and thinning[0] == _ALL and _all_halves(tile):
        base = tile.input(0).view(np.uint16)
        for k in range(experts):
            fused.squares(base, tile.input(k + 1).view(np.uint16), tile.count, tile.row, out[experts + k])
        return out
    place = (tile.raw, _codes(tile), tile.start, tile.count, tile.row)
    loops.masses(*place, not squares, squares, *thinning, out)  # only the L1 norm is wanted of whole deltas too
    return out


def draw(
    tile: Tile, keys: Sequence[int], odds: Sequence[tuple[int, int]], bits: NDArray[np.uint8]
) -> NDArray[np.float64]:
    """Set the bits of kept elements; returns the block sums of |delta|, whole and thinned."""
    experts = len(tile.dtypes) - 1
    out = np.empty((2 * experts, _blocks(tile)))
    codes = _codes(tile)
    for k, (key, (low, high)) in enumerate(zip(keys, odds, strict=True)):
        place = (tile.input(0), tile.input(k + 1), codes[0], codes[k + 1], tile.start, tile.count, tile.row)
        step = rank_step(low, high, tile.row)
        start = (low + high) // 2 if tile.row == 1 else low
        loops.draw(*place, key & 0xFFFFFFFF, key >> 32, start, step, bits[k], out[k], out[experts + k])
    return out


def blend(tile: Tile, form: Blend, dtype: Dtype, out: NDArray[np.uint8], shape: tuple[int, int]) -> int:
    """Weighted sum of inputs in order."""
    if form.rows is not None:
        from umm.kernels import portable

        return portable.blend(tile, form, dtype, out, shape)
    coefficients = np.array(form.coefficients, np.float32)
    deltas, divisor = form.deltas and tile.has_base, np.float32(form.divisor or 1.0)
    plain = (tile.raw, _codes(tile), deltas, tile.count, coefficients)
    return int(loops.blend(*plain, form.divisor is not None, divisor, dtype.code, out))


class _Rule:
    """A form, as arguments for the loops."""

    def __init__(self, form: Mix, ties: Ties) -> None:
        self.weights = np.array(form.weights, np.float32)
        self.rescale = np.array(form.rescale or (1.0,) * len(self.weights), np.float32)
        self.rescaled, self.elect = form.rescale is not None, _ELECT[form.elect]
        total = np.float32(0)
        for w in self.weights:
            total = np.float32(total + w)
        divisor = np.float32(1) if abs(total) < np.float32(1e-8) else total
        self.rule = (form.divide, np.float32(form.floor), divisor, np.float32(form.scale))
        thinning = _Thinning(form, ties)
        self.mode, *self.thinning = thinning.arguments()
        self.upper = bool((thinning.edges[0, 0] < np.inf).any())
        self.fused = self._loop() if form.elect != "count" and len(self.weights) <= fused.MOST_EXPERTS else None

    def _loop(self) -> Callable[..., tuple[int, int]] | None:
        """The fused loop, if there is one; one without election always divides."""
        if self.mode == _SHARED:
            return None
        loop = fused.mixer(len(self.weights), self.mode, self.upper, self.elect, self.rescaled)
        divide, floor, _, scale = self.rule
        rule = self.rule if divide or self.elect else (False, floor, np.float32(1), scale)
        return partial(loop, *self.thinning, self.weights, self.rescale, rule)


def mix(tile: Tile, form: Mix, ties: Ties, dtype: Dtype, out: NDArray[np.uint8]) -> int:
    """Thin out, rescale, weigh, elect, sum, divide, scale, add."""
    if ties.prepared is None:
        ties.prepared = _Rule(form, ties)
    rule: _Rule = ties.prepared
    loop = rule.fused if dtype is Dtype.BF16 and _all_halves(tile) else None
    halves = tuple(tile.input(i).view(np.uint16) for i in range(len(tile.dtypes))) if loop else ()
    begin, bad, step = 0, 0, loops.BLOCK if loop else tile.count
    while begin < tile.count:
        if loop:
            begin, found = loop(halves, tile.start, begin, tile.count, out.view(np.uint16))
            bad |= int(found)
        if begin < tile.count:
            length = min(step, tile.count - begin)
            general = (tile.raw, _codes(tile), tile.start, begin, length, rule.mode, *rule.thinning)
            options = (rule.weights, rule.rescaled, rule.rescale, rule.elect, *rule.rule)
            bad |= int(loops.mix(*general, *options, dtype.code, out))
            begin += length
    return bad
