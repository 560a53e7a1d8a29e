"""What is added up about the deltas of one stretch of positions, for all experts at once.

Sums add: a tensor is the sum of its tiles, a kind or a layer the sum of its tensors, so every share and
angle of a report is exact for whatever it covers. Deltas are float32 (expert − base, both widened), sums
are float64.
"""

from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Counts = NDArray[np.int64]

BLOCK = 1024  # elements folded at once by a dot product; a fixed tree, whatever the size of a tile


@dataclass(frozen=True)
class Sums:
    """Sums over positions. ``gram[i, j]`` is Σ δᵢδⱼ; ``active[k]`` counts positions that exactly k experts
    changed.

    ``swallowed`` counts non-zero deltas that a plain mean stored as bfloat16 would lose: base + δ/N rounds
    to what base alone rounds to. ``conflicts`` counts positions that at least two experts changed, in
    different directions.
    """

    count: int
    base_energy: float
    gram: Doubles
    peak: Doubles
    zeros: Counts
    swallowed: Counts
    active: Counts
    conflicts: int

    def __add__(self, other: "Sums") -> "Sums":
        return Sums(
            self.count + other.count,
            self.base_energy + other.base_energy,
            self.gram + other.gram,
            np.maximum(self.peak, other.peak),
            self.zeros + other.zeros,
            self.swallowed + other.swallowed,
            self.active + other.active,
            self.conflicts + other.conflicts,
        )

    @property
    def finite(self) -> bool:
        """Whether base and deltas held neither NaN nor infinity."""
        return bool(np.isfinite(self.base_energy) and np.isfinite(self.gram).all())


def nothing(experts: int) -> Sums:
    """The sums over no positions at all."""
    none = np.zeros(experts, np.int64)
    grid = np.zeros((experts, experts))
    return Sums(0, 0.0, grid, np.zeros(experts), none, none, np.zeros(experts + 1, np.int64), 0)


def total(parts: list[Sums], experts: int) -> Sums:
    """All parts as one, folded in their order."""
    return reduce(Sums.__add__, parts, nothing(experts))


def measure(base: Floats, deltas: Floats) -> Sums:
    """The sums of one tile: ``base`` has n values, ``deltas`` one row of n per expert."""
    experts, count = deltas.shape
    changed = deltas != 0
    active = changed.sum(axis=0, dtype=np.uint16)
    up, down = deltas.max(axis=0), deltas.min(axis=0)
    return Sums(
        count,
        float(_gram(base[None])[0, 0]),
        _gram(deltas),
        np.maximum(deltas.max(axis=1), -deltas.min(axis=1)).astype(np.float64),
        count - np.count_nonzero(changed, axis=1).astype(np.int64),
        _swallowed(base, deltas, changed),
        np.bincount(active, minlength=experts + 1).astype(np.int64),
        int(np.count_nonzero((up > 0) & (down < 0))),
    )


def _gram(rows: Floats) -> Doubles:
    """Σ rowᵢ·rowⱼ in float64, block by block, blocks in order."""
    experts, count = rows.shape
    whole = count - count % BLOCK
    wide = rows.astype(np.float64)
    blocks = wide[:, :whole].reshape(experts, -1, BLOCK).transpose(1, 0, 2)
    rest = wide[:, whole:]
    folded: Doubles = (blocks @ blocks.transpose(0, 2, 1)).sum(axis=0) + rest @ rest.T
    return folded


def _swallowed(base: Floats, deltas: Floats, changed: NDArray[np.bool_]) -> Counts:
    alone = bfloat16(base)
    share = np.float32(1 / len(deltas))
    return np.array(
        [
            np.count_nonzero((bfloat16(base + delta * share) == alone) & moved)
            for delta, moved in zip(deltas, changed, strict=True)
        ],
        np.int64,
    )


def bfloat16(values: Floats) -> NDArray[np.uint16]:
    """Finite float32 values rounded to bfloat16, to nearest even, as their 16 bits."""
    bits = np.ascontiguousarray(values).view(np.uint32)
    return ((bits + (((bits >> 16) & 1) + np.uint32(0x7FFF))) >> 16).astype(np.uint16)
