"""One output tensor's inputs as a method sees them: surveyed in passes over tiles, never held whole.

A ``Field`` answers a method's questions about the whole tensor (dot products, order statistics, random masks, sums)
and applies the form that the method answers with. Memory is one tile per input, whatever the tensor's size; methods
with random masks hold one bit per element and expert.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from umm.arithmetic import BLOCK, LAST_NUMBER, accumulate, from_ordered_bits, odds_threshold
from umm.checkpoint.dtype import Dtype
from umm.checkpoint.source import Bytes, Source
from umm.errors import CheckpointError
from umm.forms import Blend, Elementwise, Form, Mask, Mix, Window
from umm.kernels.tile import Backend, Function, Room, Score, Scores, Search, Ties, Tile
from umm.methods.registry import Arguments

TILE = 1 << 18  # elements of one tile
SAMPLE = 1 << 16  # elements looked at to bracket an order statistic; smaller tensors are looked at whole
CHUNKS = 32  # runs of consecutive elements that a sample is made of
BINS = 1 << 18  # score patterns told apart by one pass
SIGN = 0x80000000  # ordered bits of zero
EVERYTHING = (0, 1 << 62)
NOTHING = (1 << 32, 0)
TINY_MASS = 1e-7  # an L1 norm below this is not rescaled


@dataclass
class Field:
    """The inputs of one output tensor (the base first if ``has_base``), and where in the model it stands."""

    name: str
    sources: Sequence[Source]
    labels: Sequence[str]
    has_base: bool
    backend: Backend
    keys: Sequence[int] = ()
    depth: float = 0.0  # 0 in the first layer and outside layers, 1 in the last
    tile_size: int = TILE
    sample_size: int = SAMPLE  # a multiple of CHUNKS
    bins: int = BINS
    room: Room = field(default_factory=Room)

    @property
    def shape(self) -> tuple[int, ...]:
        """The output's shape."""
        return self.sources[0].shape

    @property
    def size(self) -> int:
        """How many elements."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def row(self) -> int:
        """The width of the last axis."""
        return self.shape[-1] if self.shape else 1

    @property
    def experts(self) -> int:
        """How many inputs beside the base."""
        return len(self.sources) - self.has_base

    def depth_scale(self, arguments: Arguments) -> float:
        """LiNeS: the scale of the merged delta at this depth."""
        return arguments.number("lines_alpha") + arguments.number("lines_beta") * self.depth

    # -- tiles -------------------------------------------------------------------------------------------------------

    def tiles(self, *, whole_rows: bool = False) -> Iterator[Tile]:
        """All elements in order: runs of whole rows, or pieces of rows longer than a tile."""
        row, size = self.row, self.size
        if size == 0:
            return
        if row <= self.tile_size or whole_rows:
            step = max(1, self.tile_size // row) * row
            for start in range(0, size, step):
                yield self._tile(start, min(step, size - start), row)
            return
        step = max(BLOCK, self.tile_size // BLOCK * BLOCK)
        for line in range(0, size, row):
            for start in range(line, line + row, step):
                count = min(step, line + row - start)
                yield self._tile(start, count, count)

    def _tile(self, start: int, count: int, row: int) -> Tile:
        return Tile(self.sources, self.has_base, start, count, row, self.room)

    def _sample(self) -> Tile:
        """The whole tensor if it is small, else chunks spread evenly over it."""
        if self.size <= self.sample_size:
            return self._tile(0, self.size, self.row)
        sampled = [_Sampled(s, self.size, self.sample_size // CHUNKS) for s in self.sources]
        return Tile(sampled, self.has_base, 0, self.sample_size, self.sample_size, self.room)

    # -- sums --------------------------------------------------------------------------------------------------------

    def gram(self, *, deltas: bool) -> NDArray[np.float64]:
        """Dot products of all pairs of inputs, or of the experts' deltas."""
        n = self.experts if deltas else len(self.sources)
        totals = [0.0] * (n * (n + 1) // 2)
        for tile in self.tiles():
            sums = self.backend.gram(tile, deltas)
            totals = accumulate(totals, sums)
        self._refuse_infinite(totals)
        return _symmetric(n, totals)

    def vector_grams(self, *, deltas: bool, by_column: bool) -> list[NDArray[np.float64]]:
        """One Gram matrix per row, or per vector along the first axis (summed along it in order)."""
        from umm.kernels import portable

        n = self.experts if deltas else len(self.sources)
        pairs = n * (n + 1) // 2
        if by_column:
            down = np.zeros((pairs, self.size // self.shape[0]))
            for tile in self.tiles(whole_rows=True):
                down = portable.column_products(tile, deltas, down)
            self._refuse_infinite(down.reshape(-1))
            return [_symmetric(n, list(column)) for column in down.T]
        grams = []
        for tile in self.tiles(whole_rows=True):
            rows = portable.row_products(tile, deltas)
            self._refuse_infinite(rows.reshape(-1))
            grams += [_symmetric(n, list(r)) for r in rows.T]
        return grams

    def sums(self, function: Function) -> list[float]:
        """Canonical sums over all elements of what ``function`` returns per element, (m, n) in float64."""
        from umm.kernels import portable

        totals: list[float] = []
        for tile in self.tiles():
            sums = portable.function_sums(tile, function)
            totals = accumulate(totals or [0.0] * len(sums), sums)
        self._refuse_infinite(totals)
        return totals

    def tally(self, function: Function) -> list[int]:
        """How many elements satisfy each of the conditions that ``function`` returns, (m, n)."""
        from umm.kernels import portable

        totals: list[int] = []
        for tile in self.tiles():
            counts = portable.function_counts(tile, function)
            totals = [t + c for t, c in zip(totals or [0] * len(counts), counts, strict=True)]
        return totals

    def energies(self, shared: Window | None) -> list[float]:
        """Each expert's sum of squared deltas over the positions in the window."""
        form = Mix((1.0,) * self.experts, shared=shared)
        return self._masses(form, squares=True)[self.experts :]

    def l1_scales(self, windows: tuple[Window | None, ...]) -> tuple[float, ...]:
        """What to multiply each windowed delta by to restore its L1 norm."""
        sums = self._masses(Mix((1.0,) * self.experts, windows=windows), squares=False)
        return _scales(sums)

    def _masses(self, form: Mix, *, squares: bool) -> list[float]:
        totals, ties = [0.0] * (2 * self.experts), self._ties()
        for tile in self.tiles():
            sums = self.backend.masses(tile, form, ties, squares=squares)
            totals = accumulate(totals, sums)
        self._refuse_infinite(totals)
        return totals

    def _ties(self) -> Ties:
        return Ties(np.zeros(self.experts, np.int64), np.zeros(self.experts, np.int64))

    # -- random masks ------------------------------------------------------------------------------------------------

    def draw(self, odds: Sequence[tuple[float, float]]) -> tuple[Mask, tuple[float, ...]]:
        """Draw a mask per expert, odds running from the least to the largest magnitude of a row.

        Also returns what to multiply each thinned delta by to restore its L1 norm.
        """
        limits = [(odds_threshold(low), odds_threshold(high)) for low, high in odds]
        limits = [(low, high if low == high else min(high, LAST_NUMBER)) for low, high in limits]
        bits = np.zeros((self.experts, -(-self.size // 8)), np.uint8)
        totals = [0.0] * (2 * self.experts)
        ranked = any(low != high for low, high in limits)
        for tile in self.tiles(whole_rows=ranked):
            sums = self.backend.draw(tile, self.keys, limits, bits)
            totals = accumulate(totals, sums)
        self._refuse_infinite(totals)
        return Mask(bits), _scales(totals)

    # -- order statistics --------------------------------------------------------------------------------------------

    def windows(self, bounds: Sequence[tuple[int, int]]) -> tuple[Window | None, ...]:
        """Per expert, the places ``[first, last)`` in descending order of |delta|; None where that is everything."""
        wanted = [[r for r in pair if 0 < r < self.size] for pair in bounds]
        found = self._select("delta", wanted)
        windows: list[Window | None] = []
        for (first, last), ranks, cuts in zip(bounds, wanted, found, strict=True):
            at = dict(zip(ranks, cuts, strict=True)) | {0: NOTHING, self.size: EVERYTHING}
            whole = first <= 0 and last >= self.size
            windows.append(None if whole else Window(at[max(first, 0)], at[min(last, self.size)]))
        return tuple(windows)

    def variance_window(self, share: float) -> Window:
        """The ``share`` of positions with the largest variance across experts, among those where it is not zero."""
        search = Search(0, SIGN, 0, 0, np.zeros(1, np.int64), np.zeros(1, np.uint8))
        for tile in self.tiles():
            self.backend.count(tile, "variance", [search])
        keep = int(search.above * share)
        if keep == 0:
            return Window(NOTHING, NOTHING)
        if keep == self.size:
            return Window(NOTHING, EVERYTHING)
        return Window(NOTHING, self._select("variance", [[keep]])[0][0])

    def order_statistics(
        self, function: Function, ranks: Sequence[Sequence[int]], *, rows: bool = False
    ) -> list[list[float]]:
        """Per row of scores that ``function`` returns, (m, n), the scores at these places in ascending order."""
        descending = [[self.size - 1 - r for r in line] for line in ranks]
        found = self._select(Scores(function, rows), descending, whole_rows=rows)
        return [[from_ordered_bits(bits) for bits, _ in line] for line in found]

    def _select(
        self, score: Score, ranks: Sequence[Sequence[int]], *, whole_rows: bool = False
    ) -> list[list[tuple[int, int]]]:
        """For each rank r: the score with at most r larger ones, as (bits, how many equal ones are before place r).

        Each search starts from a bracket taken from a sample and is narrowed by counting passes until one bit
        pattern is left. A sample only decides how many passes there are, never the answer.
        """
        if not any(ranks):
            return [[] for _ in ranks]
        from umm.kernels.selection import narrowed, opened

        sample = next(self.tiles(whole_rows=True)) if whole_rows and self.size > self.sample_size else self._sample()
        keys = self.backend.keys(sample, score)
        searches = opened(keys, ranks, self.size, self.bins)
        while pending := [s for s in searches if not s.done]:
            for s in pending:
                s.reset()
            for tile in self.tiles(whole_rows=whole_rows):
                self.backend.count(tile, score, [s.search for s in pending])
            for s in pending:
                narrowed(s, self.bins)
        by_rank = iter(searches)
        return [[next(by_rank).cut for _ in line] for line in ranks]

    # -- the last pass -----------------------------------------------------------------------------------------------

    def apply(self, form: Form, dtype: Dtype, write: Callable[[Bytes], None]) -> None:
        """Compute the output tile by tile and hand each one's bytes to ``write``, in order."""
        out = np.empty(0, np.uint8)
        ties = self._ties()
        for tile in self.tiles(whole_rows=isinstance(form, Elementwise) and form.rows):
            if len(out) < tile.count * dtype.width:
                out = np.empty(tile.count * dtype.width, np.uint8)
            bad = self._apply_tile(tile, form, ties, dtype, out)
            if bad:
                raise self._not_finite(dtype)
            write(out[: tile.count * dtype.width])

    def _apply_tile(self, tile: Tile, form: Form, ties: Ties, dtype: Dtype, out: Bytes) -> int:
        if isinstance(form, Blend):
            width = self.size // self.shape[0] if form.by_column else self.row
            return self.backend.blend(tile, form, dtype, out, (self.size // width, width))
        if isinstance(form, Mix):
            return self.backend.mix(tile, form, ties, dtype, out)
        from umm.kernels import portable

        return portable.elementwise(tile, form, dtype, out)

    def _refuse_infinite(self, totals: Sequence[float] | NDArray[np.float64]) -> None:
        """Stop at a sum that is not finite, so that no method has to reckon with one."""
        if np.isfinite(totals).all():
            return
        raise self._not_finite(Dtype.F32)

    def _not_finite(self, dtype: Dtype) -> CheckpointError:
        """Whose fault it is: of models with NaN or infinity anywhere in the tensor, else of too large numbers."""
        from umm.kernels import portable

        bad = 0
        for tile in self.tiles():
            bad |= portable.widen(tile)[1]
        culprits = [label for i, label in enumerate(self.labels) if bad >> i & 1]
        if culprits:
            return CheckpointError(
                f"{self.name} holds NaN or infinity in {', '.join(culprits)}: the checkpoint is damaged or its "
                "training diverged. Leave it out or get a sound copy."
            )
        return CheckpointError(
            f"merging {self.name} overflows {dtype.recipe}: a result is infinite or undefined. Use out_dtype: "
            "float32 or bfloat16, or smaller weights; leave out a model whose values are that large."
        )


def _symmetric(n: int, upper: Sequence[float]) -> NDArray[np.float64]:
    matrix = np.zeros((n, n))
    matrix[np.triu_indices(n)] = upper
    lower = matrix.T.copy()
    np.fill_diagonal(lower, 0.0)
    return matrix + lower


class _Sampled:
    """Chunks spread evenly over a source, read as if they were all of it."""

    def __init__(self, source: Source, size: int, chunk: int) -> None:
        self.dtype, self.shape = source.dtype, (CHUNKS * chunk,)
        self._source, self._size, self._chunk = source, size, chunk

    def read(self, start: int, count: int, out: Bytes) -> None:
        """Fill ``out`` with whole chunks."""
        width = self._chunk * self.dtype.width
        for i, c in enumerate(range(start // self._chunk, (start + count) // self._chunk)):
            place = c * (self._size - self._chunk) // (CHUNKS - 1)
            self._source.read(place, self._chunk, out[i * width : (i + 1) * width])


def _scales(sums: Sequence[float]) -> tuple[float, ...]:
    """Whole over thinned mass, in float32; 1 where either is too small to tell."""
    half = len(sums) // 2
    pairs = zip(sums[:half], sums[half:], strict=True)
    return tuple(1.0 if min(w, t) < TINY_MASS else float(np.float32(w / t)) for w, t in pairs)
