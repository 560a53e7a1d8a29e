"""How far an expert lies from the base, and whether its values are numbers: the same answer on every machine.

The norm is √Σ(expert − base)² over all floating-point tensors. A steward compares it with the limit of a round, so it
is specified to the bit, by the rules of :mod:`umm.arithmetic`:

1. Both values are widened to float64, which is exact, then subtracted and squared, each one IEEE operation. No float32
   is large enough for either to overflow.
2. The squares of a tensor are added as one row (rule 2 there), tensors in order of name, starting from zero.
3. A value that is not finite counts as zero, in the base and in the expert. What the expert has in its place is judged
   separately.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from umm.arithmetic import BLOCK, LANES
from umm.checkpoint.dtype import Dtype
from umm.checkpoint.floats import widened
from umm.delta.bits import Bits
from umm.errors import CheckpointError

Doubles = NDArray[np.float64]

EXPONENTS = {Dtype.BF16: 0x7F80, Dtype.F16: 0x7C00, Dtype.F32: 0x7F800000}
"""Bits that are all set in NaN and infinity, and in nothing else."""

PIECE = 64 * BLOCK
"""Elements added up at once; small enough to stay in cache."""

DECIMAL_PLACES = 17
DECIMAL_LIMIT = 1e18
"""What a record has room for (REC-11)."""


@dataclass(frozen=True)
class Sums:
    """What was added up over one block of a tensor: canonical sums of squares, and whether the expert is finite."""

    squares: Doubles
    finite: bool


NOTHING = Sums(np.zeros(0), finite=True)
"""Where nothing changed, or nothing that changed is a float."""


def sums(base: Bits, expert: Bits, dtype: Dtype | None) -> Sums:
    """The sums over one block; nothing is added up where there are no floats."""
    if dtype is None:
        return NOTHING
    parts = [_piece(base[i : i + PIECE], expert[i : i + PIECE], dtype) for i in range(0, len(base), PIECE)]
    return Sums(np.concatenate([p.squares for p in parts]), all(p.finite for p in parts))


def _piece(base: Bits, expert: Bits, dtype: Dtype) -> Sums:
    with np.errstate(invalid="ignore"):
        squares = _squares(base, expert, dtype)
    if np.isfinite(squares).all():  # anything in base or expert that is not finite would show here
        return Sums(squares, finite=True)
    high = base.dtype.type(EXPONENTS[dtype])
    strange, stranger = (base & high) == high, (expert & high) == high
    finite = not (stranger & (base != expert)).any()
    none = base.dtype.type(0)
    return Sums(_squares(np.where(strange, none, base), np.where(stranger, none, expert), dtype), finite)


def _squares(base: Bits, expert: Bits, dtype: Dtype) -> Doubles:
    difference = _values(expert, dtype)
    difference -= _values(base, dtype)
    difference *= difference
    return block_sums(difference)


def _values(bits: Bits, dtype: Dtype) -> Doubles:
    return widened(bits.view(np.uint8), dtype).astype(np.float64)


def block_sums(values: Doubles) -> Doubles:
    """Sums of blocks of 1024 in the order of ``umm.arithmetic``, of values that are part of one row."""
    if rest := len(values) % BLOCK:
        values = np.concatenate([values, np.zeros(BLOCK - rest)])
    lanes = values.reshape(-1, BLOCK // LANES, LANES)
    total = np.zeros((len(lanes), LANES))
    for i in range(BLOCK // LANES):
        total += lanes[:, i]
    width = LANES
    while width > 1:
        width //= 2
        total = total[:, :width] + total[:, width : 2 * width]
    return total[:, 0]


def norm(squares: Mapping[str, float]) -> float:
    """The norm over all tensors, from their sums of squares by name."""
    total = 0.0
    for _, square in sorted(squares.items()):
        total += square
    return math.sqrt(total)


def decimal(value: float) -> str:
    """A norm as records spell numbers: no exponent, no zero that could be left out."""
    if value >= DECIMAL_LIMIT:
        raise CheckpointError(f"a delta with a norm of {value:g} is not the outcome of any training; train again")
    return f"{value:.{DECIMAL_PLACES}f}".rstrip("0").rstrip(".")
