"""How far an expert is from the base, and whether all of its numbers are finite: tensor by tensor, in tiles.

For a delta, ``umm.delta`` tells the same number from what is packed. This is for whole checkpoints, and for adapters,
whose sums are float32 whatever the base is.
"""

import math
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Lock

import numpy as np

from umm.arithmetic import accumulate
from umm.checkpoint.dtype import Dtype
from umm.checkpoint.floats import Floats, read_widened
from umm.checkpoint.source import Source
from umm.delta.norm import block_sums, norm

TILE = 1 << 18  # elements looked at at once, whole blocks of a sum; each takes about 32 bytes in every thread

Pair = tuple[Source, Source]
"""A tensor of the base and the same one of the expert."""

Progress = Callable[[int], None]
"""Hears how many elements were looked at since the last call; one thread calls at a time."""


@dataclass(frozen=True)
class Distance:
    """``norm`` of all differences, and the first tensors by name in which base or expert hold NaN or infinity."""

    norm: float
    bad_base: str | None = None
    bad_expert: str | None = None


def distance(pairs: Mapping[str, Pair], *, threads: int, progress: Progress = lambda _: None) -> Distance:
    """The distance over all tensors, by name. The norm means nothing when something is not finite."""
    names, lock = sorted(pairs), Lock()

    def advance(count: int) -> None:
        with lock:
            progress(count)

    with ThreadPoolExecutor(threads) as pool:
        found = list(pool.map(lambda name: _one(*pairs[name], advance), names))
    bad_base = next((n for n, part in zip(names, found, strict=True) if not part.base_finite), None)
    bad_expert = next((n for n, part in zip(names, found, strict=True) if not part.expert_finite), None)
    return Distance(norm({n: part.squares for n, part in zip(names, found, strict=True)}), bad_base, bad_expert)


@dataclass(frozen=True)
class _Part:
    squares: float
    base_finite: bool
    expert_finite: bool


def _one(base: Source, expert: Source, progress: Progress) -> _Part:
    size, squares = math.prod(base.shape), 0.0
    for start in range(0, size, TILE):
        count = min(TILE, size - start)
        ours, theirs = read_widened(base, start, count), read_widened(expert, start, count)
        base_finite, expert_finite = bool(np.isfinite(ours).all()), _fits(theirs, base.dtype)
        if not (base_finite and expert_finite):
            return _Part(0.0, base_finite, expert_finite)
        difference = theirs.astype(np.float64)
        difference -= ours
        (squares,) = accumulate([squares], block_sums(difference * difference)[None])
        progress(count)
    return _Part(squares, True, True)


def _fits(values: Floats, dtype: Dtype) -> bool:
    """Whether all are finite, also in the base's type: an adapter's sums are float32, merges store the base's type."""
    if dtype is Dtype.F16:
        with np.errstate(over="ignore"):
            return bool(np.isfinite(values.astype(np.float16)).all())
    return bool(np.isfinite(values).all())
