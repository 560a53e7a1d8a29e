"""Canonical arithmetic: the order of every sum, the source of every random bit, exp and log without a libm.

Rules that make two machines agree to the bit:

1. Elementwise steps are single IEEE-754 float32 operations in the written order, never fused.
2. A sum over a tensor is float64. Each row (the last axis) is cut into blocks of 1024, the last one padded with zeros.
   Within a block, 32 lanes add every 32nd element; the lanes are folded in halves (16, 8, 4, 2, 1). Blocks are folded
   one after the other in row-major order.
3. Random numbers are the 16-bit halves of Philox4x32-7's words. Element e of a tensor takes half ``e mod 2`` (0 the
   lower) of word ``(e mod 1024) div 256`` of the counter ``(e div 1024) * 128 + (e mod 256) div 2``; the key is
   BLAKE3(seed, tensor name, input id).
4. Scores are compared as integers that order like the floats; equal ones in order of index.
5. exp and log, where a method needs them per element, are float64 polynomials of additions and multiplications.
"""

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from blake3 import blake3
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

BLOCK = 1024  # elements
LANES = 32
LAST_NUMBER = 0xFFFF  # the largest random number
COUNTERS = BLOCK // 8  # of a block: each gives four words of two halves

_PHILOX_M = (0xD2511F53, 0xCD9E8D57)
_PHILOX_W = (0x9E3779B9, 0xBB67AE85)
_PHILOX_ROUNDS = 7  # the fewest that pass BigCrush
_MASK = np.uint64(0xFFFFFFFF)
_LN2_HIGH = 0.693147180369123816490  # the leading bits of ln 2, so that k * _LN2_HIGH is exact
_LN2_LOW = 1.90821492927058770002e-10


def float32(value: float) -> float:
    """The nearest float32, as a Python float."""
    return float(np.float32(value))


def fold(values: Iterable[float]) -> float:
    """The float32 sum of scalars in the given order."""
    total = np.float32(0)
    for value in values:
        total = np.float32(total + np.float32(value))
    return float(total)


def accumulate(totals: Sequence[float], block_sums: NDArray[np.float64]) -> list[float]:
    """Fold block sums, (totals, blocks), into running totals, one after the other."""
    folded: list[float] = np.cumsum(np.column_stack((totals, block_sums)), axis=1)[:, -1].tolist()
    return folded


def philox_key(seed: int, tensor: str, identity: str) -> int:
    """The 64-bit key of one input's random stream for one tensor."""
    digest = blake3(b"umm/philox/v1\0")
    for part in (str(seed), tensor, identity):
        encoded = part.encode()
        digest.update(len(encoded).to_bytes(8, "little") + encoded)
    return int.from_bytes(digest.digest()[:8], "little")


def philox(key: int, first_block: int, blocks: int) -> NDArray[np.uint16]:
    """Random halves of words of ``blocks`` whole blocks of 1024 elements, in element order."""
    counter = np.arange(first_block * COUNTERS, (first_block + blocks) * COUNTERS, dtype=np.uint64)
    c0, c1 = counter & _MASK, counter >> np.uint64(32)
    c2, c3 = np.zeros_like(c0), np.zeros_like(c0)
    k0, k1 = np.uint64(key & 0xFFFFFFFF), np.uint64(key >> 32)
    m0, m1 = (np.uint64(m) for m in _PHILOX_M)
    w0, w1 = (np.uint64(w) for w in _PHILOX_W)
    for _ in range(_PHILOX_ROUNDS):
        p0, p1 = c0 * m0, c2 * m1
        c0, c1, c2, c3 = (
            (p1 >> np.uint64(32)) ^ c1 ^ k0,
            p1 & _MASK,
            (p0 >> np.uint64(32)) ^ c3 ^ k1,
            p0 & _MASK,
        )
        k0, k1 = (k0 + w0) & _MASK, (k1 + w1) & _MASK
    words = np.stack([c.reshape(blocks, COUNTERS) for c in (c0, c1, c2, c3)], axis=1)
    return words.reshape(-1).astype("<u4").view("<u2").astype(np.uint16, copy=False)


def philox_range(key: int, start: int, count: int) -> NDArray[np.uint16]:
    """Random numbers of elements ``start .. start + count``."""
    first = start // BLOCK
    numbers = philox(key, first, -(-(start + count) // BLOCK) - first)
    return numbers[start - first * BLOCK :][:count]


def odds_threshold(probability: float) -> int:
    """The 16-bit number below which an element of that probability is kept: only certainty is 0 or 2^16."""
    if probability <= 0:
        return 0
    return min(LAST_NUMBER, max(1, round(probability * 2**16))) if probability < 1 else 1 << 16


def rank_step(low: int, high: int, row: int) -> int:
    """By how much a keep threshold grows per half rank in a row of this width, in 2^-32; 0 in a row of one."""
    return ((high - low) << 32) // (2 * (row - 1)) if row > 1 else 0


def rank_threshold(low: int, step: int, twice_rank: NDArray[np.int64]) -> NDArray[np.int64]:
    """The keep threshold at ranks given as half ranks, to the nearest: rounded down, too little would be kept."""
    nearest: NDArray[np.int64] = (twice_rank * step + ((low << 32) + (1 << 31))) >> 32
    return nearest


def ordered_bits(scores: "torch.Tensor") -> NDArray[np.uint32]:
    """Integers that order like the float32 scores (minus zero counted as zero)."""
    bits = (scores + 0.0).contiguous().numpy().view(np.uint32)
    flip = np.where(bits >> 31 == 1, np.uint32(0xFFFFFFFF), np.uint32(0x80000000))
    return np.asarray(bits ^ flip, dtype=np.uint32)


def from_ordered_bits(bits: int) -> float:
    """The float32 score that ``ordered_bits`` turned into these bits."""
    plain = bits ^ (0x80000000 if bits >> 31 else 0xFFFFFFFF)
    return float(np.array([plain], np.uint32).view(np.float32)[0])


def block_sums(values: "torch.Tensor", row: int) -> "torch.Tensor":
    """Sums of the blocks of float64 ``values`` of shape (m, n), n a multiple of ``row``; shape (m, blocks)."""
    import torch

    m, n = values.shape
    per_row = -(-row // BLOCK)
    padded = torch.nn.functional.pad(values.reshape(m, n // row, row), (0, per_row * BLOCK - row))
    lanes = padded.reshape(m, -1, BLOCK // LANES, LANES)
    total = torch.zeros_like(lanes[:, :, 0])
    for i in range(BLOCK // LANES):
        total = total + lanes[:, :, i]
    width = LANES
    while width > 1:
        width //= 2
        total = total[..., :width] + total[..., width : 2 * width]
    return total[..., 0]


def row_sums(values: "torch.Tensor") -> "torch.Tensor":
    """Canonical sums of the rows of float64 ``values`` of shape (r, width)."""
    import torch

    r, width = values.shape
    blocks = block_sums(values.reshape(1, -1), width).reshape(r, -1)
    total = torch.zeros_like(blocks[:, 0])
    for i in range(blocks.shape[1]):
        total = total + blocks[:, i]
    return total


def exponential(x: "torch.Tensor") -> "torch.Tensor":
    """``exp(x)`` of float64 within [-700, 700], about 1 ulp, the same bits everywhere."""
    import torch

    x = x.clamp(-700.0, 700.0)
    k = torch.floor(x * (1.0 / math.log(2.0)) + 0.5)
    r = (x - k * _LN2_HIGH) - k * _LN2_LOW
    total = torch.zeros_like(r)
    for i in range(13, 0, -1):
        total = (total + 1.0) * r / float(i)
    power = ((k.to(torch.int64) + 1023) << 52).view(torch.float64)
    return (total + 1.0) * power


def logarithm(x: "torch.Tensor") -> "torch.Tensor":
    """``ln(x)`` of positive normal float64, about 1 ulp, the same bits everywhere."""
    import torch

    bits = x.contiguous().view(torch.int64)
    exponent = (bits >> 52) - 1023
    mantissa = ((bits & 0x000FFFFFFFFFFFFF) | 0x3FF0000000000000).view(torch.float64)
    large = mantissa > 1.4142135623730951
    mantissa = torch.where(large, mantissa * 0.5, mantissa)
    k = (exponent + large.to(torch.int64)).double()
    f = (mantissa - 1.0) / (mantissa + 1.0)
    square = f * f
    total = torch.zeros_like(f)
    for i in range(23, 0, -2):
        total = total * square + 1.0 / i
    return k * _LN2_HIGH + (2.0 * f * total + k * _LN2_LOW)


def row_divergence(p_rows: "torch.Tensor", q_rows: "torch.Tensor", floor: float = 1e-8) -> "torch.Tensor":
    """``sum_j p_j ln(p_j / q_j)`` per row with ``p, q = softmax(row) + floor``; float64."""

    def softmax(rows: "torch.Tensor") -> "torch.Tensor":
        e = exponential(rows.double() - rows.double().max(dim=-1, keepdim=True).values)
        return e / row_sums(e)[:, None] + floor

    p, q = softmax(p_rows), softmax(q_rows)
    return row_sums(p * (logarithm(p) - logarithm(q)))
