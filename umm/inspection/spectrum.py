"""How few directions a matrix delta lies in, judged on a sample of its rows.

The sample keeps the cost of a look at a model far below that of a full decomposition, so these numbers are
approximate: a sample of r rows cannot show a rank above r, and its noise floor lies a little higher.
"""

from dataclasses import dataclass

import numpy as np

from umm.inspection.sums import Counts, Doubles, Floats

SAMPLE_ROWS = 256  # rows; more than the rank of the usual adapter
SAMPLE_ELEMENTS = 1 << 21  # values of one sample: 8 MiB as float32
_SEED = 0x756D6D


@dataclass(frozen=True)
class Spectrum:
    """Shares of a delta's energy Σσ² by singular direction: ``top`` of the strongest one.

    ``rank`` is the effective rank exp(−Σ pᵢ ln pᵢ) with pᵢ = σᵢ²/Σσ² (Roy and Vetterli 2007, on energies):
    1 for a rank-1 delta, r for r directions of equal strength. ``rows`` is the size of the sample.
    """

    top: float
    rank: float
    rows: int


def sample_rows(shape: tuple[int, ...]) -> Counts:
    """The rows to look at in a tensor of this shape, ascending; none if it has no directions."""
    if len(shape) != 2 or min(shape) < 2:
        return np.zeros(0, np.int64)
    rows, columns = shape
    size = min(rows, SAMPLE_ROWS, SAMPLE_ELEMENTS // columns)
    if size < 2:
        return np.zeros(0, np.int64)
    if size == rows:
        return np.arange(rows)
    chosen: Counts = np.random.Generator(np.random.Philox(_SEED)).choice(rows, size, replace=False)
    return np.sort(chosen)


def spectrum(delta: Floats) -> Spectrum | None:
    """The spectrum of a sampled matrix, by eigenvalues of its smaller Gram matrix; None for zeros."""
    scale = np.abs(delta).max()
    if scale == 0:
        return None
    scaled = delta / scale
    gram = scaled @ scaled.T if delta.shape[0] <= delta.shape[1] else scaled.T @ scaled
    energies: Doubles = np.clip(np.linalg.eigvalsh(gram.astype(np.float64)), 0, None)
    shares = energies / energies.sum()
    positive = shares[shares > 0]
    rank = float(np.exp(-np.sum(positive * np.log(positive))))
    return Spectrum(float(shares[-1]), rank, delta.shape[0])
