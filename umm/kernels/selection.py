"""Exact order statistics by narrowing brackets of score bits; pure, the counting is the backends'."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from umm.kernels.tile import Search

POPULAR = 0.004  # share of a sample from which a bit pattern is counted apart from the histogram
CHUNK = 512  # bins summed up at a time
SLACK = 3.5  # standard deviations of a sample's rank by which the first bracket is wider


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
    for index, (row, line) in enumerate(zip(keys, ranks, strict=True)):
        n = len(row)
        if n == size:
            for rank in line:
                bits = int(np.partition(row, n - 1 - rank)[n - 1 - rank])
                before = rank - int((row > bits).sum())
                hunts.append(Hunt(rank, bracket(index, bits, bits, bins), True, (bits, before)))
            continue
        places = [_bracketing(rank, size, n) for rank in line]
        ordered = np.partition(row, sorted({n - 1 - p for pair in places for p in pair})) if places else row
        for rank, (first, last) in zip(line, places, strict=True):
            high = int(ordered[n - 1 - first]) if first > 0 else 0xFFFFFFFF
            low = int(ordered[n - 1 - last]) if last < n - 1 else 0
            search = bracket(index, low, high, bins)
            search.popular = _popular(row[::4], low, high)
            hunts.append(Hunt(rank, search))
    return hunts


def _bracketing(rank: int, size: int, n: int) -> tuple[int, int]:
    """Places in a sample of n between which the score of that rank very likely lies."""
    share = rank / size
    spread = SLACK * (share * (1 - share) * n) ** 0.5 + 2
    return max(0, int(share * n - spread)), min(n - 1, int(share * n + spread))


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
    chunks = np.add.reduceat(s.bins, np.arange(0, len(s.bins), CHUNK))
    chunk, before = _from_top(chunks, hunt.rank, s.above)
    if chunk < 0:
        hunt.search = bracket(s.row, 0, s.low - 1, bins)
        return
    place, before = _from_top(s.bins[chunk * CHUNK : (chunk + 1) * CHUNK], hunt.rank, before)
    place += chunk * CHUNK
    low = s.low + (place << s.shift)
    if not s.mixed[place]:
        hunt.done, hunt.cut = True, (low, hunt.rank - before)
    else:
        hunt.search = bracket(s.row, low, low + (1 << s.shift) - 1, bins)


def _from_top(counts: NDArray[np.int64], rank: int, above: int) -> tuple[int, int]:
    """The place that holds the score of that rank, -1 if none does, and how many scores lie above the place."""
    from_top = above + np.cumsum(counts[::-1])
    place = int(np.searchsorted(from_top, rank, side="right"))
    return len(counts) - 1 - place, int(from_top[place - 1]) if place else above
