"""Exact order statistics by narrowing brackets of score bits; pure, the counting is the backends'."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from umm.kernels.tile import Search

POPULAR = 0.004  # share of a sample from which a bit pattern is counted apart from the histogram
SLACK = 5.0  # standard deviations of a sample's rank by which the first bracket is wider


@dataclass
class Hunt:
    """The search for the score of one descending rank."""

    rank: int
    search: Search
    done: bool = False
    cut: tuple[int, int] = (0, 0)  # (bits, how many elements with these bits lie before place ``rank``)

    def reset(self) -> None:
        """Forget the counts of the last pass."""
        self.search.above = 0
        self.search.bins[:] = 0
        self.search.mixed[:] = 0


def bracket(row: int, low: int, high: int, bins: int) -> Search:
    """A search over the bit patterns ``low .. high`` (inclusive) with at most ``bins`` bins."""
    span, shift = high - low + 1, 0
    while (span + (1 << shift) - 1) >> shift > bins:
        shift += 1
    count = (span + (1 << shift) - 1) >> shift
    return Search(row, low, shift, 0, np.zeros(count, np.int64), np.zeros(count, np.uint8))


def opened(keys: NDArray[np.uint32], ranks: Sequence[Sequence[int]], size: int, bins: int) -> list[Hunt]:
    """First brackets from a sample of scores (m, n); already done where the sample is everything."""
    hunts = []
    for row, line in enumerate(ranks):
        n = keys.shape[1]
        for rank in line:
            if n == size:
                bits = int(np.partition(keys[row], n - 1 - rank)[n - 1 - rank])
                before = rank - int((keys[row] > bits).sum())
                hunts.append(Hunt(rank, bracket(row, bits, bits, bins), True, (bits, before)))
                continue
            place, spread = rank / size * n, SLACK * (rank / size * (1 - rank / size) * n) ** 0.5 + 2
            first, last = max(0, int(place - spread)), min(n - 1, int(place + spread))
            ends = np.partition(keys[row], [n - 1 - last, n - 1 - first])
            high = int(ends[n - 1 - first]) if first > 0 else 0xFFFFFFFF
            low = int(ends[n - 1 - last]) if last < n - 1 else 0
            search = bracket(row, low, high, bins)
            search.popular = _popular(keys[row, ::4], low, high)
            hunts.append(Hunt(rank, search))
    return hunts


def _popular(keys: NDArray[np.uint32], low: int, high: int) -> tuple[int, ...]:
    """The bit patterns within the bracket that many of a sample's scores share: two at most."""
    found, times = np.unique(keys[(keys >= low) & (keys <= high)], return_counts=True)
    order = np.argsort(-times, kind="stable")[:2]
    return tuple(int(found[i]) for i in order if times[i] > POPULAR * len(keys))


def narrowed(hunt: Hunt, bins: int) -> None:
    """Use the counts of one pass: finish, or go on within a bin, above the bracket or below it."""
    s = hunt.search
    top = s.low + s.width - 1
    if hunt.rank < s.above:
        hunt.search = bracket(s.row, top + 1, 0xFFFFFFFF, bins)
        return
    from_top = np.cumsum(s.bins[::-1])
    if hunt.rank >= s.above + int(from_top[-1]):
        hunt.search = bracket(s.row, 0, s.low - 1, bins)
        return
    place = int(np.searchsorted(from_top, hunt.rank - s.above, side="right"))
    before = s.above + (int(from_top[place - 1]) if place else 0)
    low = s.low + ((len(s.bins) - 1 - place) << s.shift)
    if not s.mixed[len(s.bins) - 1 - place]:
        hunt.done, hunt.cut = True, (low, hunt.rank - before)
    else:
        hunt.search = bracket(s.row, low, low + (1 << s.shift) - 1, bins)
