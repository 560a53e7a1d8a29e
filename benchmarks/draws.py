"""Random methods: are masks drawn as they should be?

A mask is read off the output of a merge with one expert of weight 1.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.settings import Draw
from benchmarks.tensorfile import read, tensors_of

SIGMAS = 4.0  # a share may be this many standard deviations away from what is expected
DECILES = 10
LEAST = 1000  # values; smaller tensors say too little about a norm
NORM_BAR = 1e-3  # relative error allowed to the L1 norm of a rescaled delta
MOVED_BAR = 0.02  # relative difference allowed between what two programs add to the base in all
DECILE_BAR = 0.02  # absolute error allowed to a keep probability


@dataclass(frozen=True)
class Sample:
    """What one program's masks look like."""

    kept: float  # share of all values
    sigmas: float  # distance from the density, in standard deviations
    norm: float  # worst L1 norm of a tensor's delta after over before; 1 when the rule rescales
    deciles: tuple[float, ...]  # keep share by rank of magnitude in the row, smallest tenth first
    wanted: tuple[float, ...]  # what they should be

    @property
    def decile_error(self) -> float:
        """The worst distance of a decile."""
        return max(abs(a - b) for a, b in zip(self.deciles, self.wanted, strict=True))

    def ok(self, rescale: bool) -> bool:
        """Density, rescaling and probabilities are right."""
        scaled = abs(self.norm - 1) <= NORM_BAR if rescale else True
        return abs(self.sigmas) <= SIGMAS and scaled and self.decile_error <= DECILE_BAR


def sample(draw: Draw, base: Path, expert: Path, output: Path) -> Sample:
    """Look at every tensor of an output in float32."""
    parts = {key: tensors_of(folder) for key, folder in (("base", base), ("expert", expert), ("out", output))}
    kept = np.zeros(DECILES)
    seen = np.zeros(DECILES)
    wanted = np.zeros(DECILES)
    norm = 1.0
    for name in parts["base"]:
        origin, end, out = (read(parts[key][name]).astype(np.float64) for key in ("base", "expert", "out"))
        before, after = (np.atleast_2d(x - origin) for x in (end, out))
        chance, decile = _chances(draw, before)
        here = np.abs(after) > np.abs(before) / 4  # a dropped entry leaves rounding noise at most
        for total, values in ((kept, here), (seen, np.ones_like(before)), (wanted, chance)):
            total += np.bincount(decile.reshape(-1), values.reshape(-1), DECILES)
        ratio = float(np.abs(after).sum() / np.abs(before).sum())
        if before.size >= LEAST and abs(ratio - 1) > abs(norm - 1):
            norm = ratio
    spread = float(np.sqrt((wanted * (1 - wanted / seen)).sum())) / seen.sum()
    share = float(kept.sum() / seen.sum())
    return Sample(
        share,
        (share - float(wanted.sum() / seen.sum())) / spread,
        norm,
        tuple((kept / seen).tolist()),
        tuple((wanted / seen).tolist()),
    )


def moved(base: Path, output: Path) -> tuple[float, float]:
    """L1 and L2 norm of all that a merge added to the base."""
    origin, after = tensors_of(base), tensors_of(output)
    deltas = [(read(after[n]).astype(np.float64) - read(s)).reshape(-1) for n, s in origin.items()]
    flat = np.concatenate(deltas)
    return float(np.abs(flat).sum()), float(np.sqrt((flat**2).sum()))


def _chances(draw: Draw, delta: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The keep probability of each entry, and the tenth of its row to which its magnitude belongs."""
    ranks = np.abs(delta).argsort(1, kind="stable").argsort(1, kind="stable")
    width = delta.shape[1]
    place = ranks / max(1, width - 1)
    return draw.density - draw.epsilon + 2 * draw.epsilon * place, ranks * DECILES // width
