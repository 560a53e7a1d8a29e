"""The shares, lengths and angles that sums stand for; None where a question has no answer."""

from math import sqrt

import numpy as np

from umm.inspection.sums import Sums

Each = tuple[float | None, ...]


def norms(sums: Sums) -> tuple[float, ...]:
    """‖δᵢ‖, in the order of the experts."""
    return tuple(sqrt(energy) for energy in np.diagonal(sums.gram).tolist())


def relative(sums: Sums) -> Each:
    """‖δᵢ‖ / ‖base‖; None for a base of zeros."""
    return tuple(_over(norm, sqrt(sums.base_energy)) for norm in norms(sums))


def zeros(sums: Sums) -> Each:
    """The share of positions that expert i left exactly as they were."""
    return tuple(_over(count, sums.count) for count in sums.zeros.tolist())


def swallowed(sums: Sums) -> Each:
    """The share of expert i's changes that a plain mean stored as bfloat16 would lose."""
    changes = (sums.count - sums.zeros).tolist()
    return tuple(_over(lost, all_) for lost, all_ in zip(sums.swallowed.tolist(), changes, strict=True))


def cosine(sums: Sums, first: int, second: int) -> float | None:
    """cos(δᵢ, δⱼ); None if either expert changed nothing."""
    energies = float(sums.gram[first, first]) * float(sums.gram[second, second])
    value = _over(float(sums.gram[first, second]), sqrt(energies))
    return None if value is None else max(-1.0, min(1.0, value))


def cosines(sums: Sums) -> tuple[Each, ...]:
    """The matrix of all cosines."""
    every = range(len(sums.gram))
    return tuple(tuple(cosine(sums, i, j) for j in every) for i in every)


def contested(sums: Sums) -> int:
    """How many positions at least two experts changed."""
    return int(sums.active[2:].sum())


def conflict(sums: Sums) -> float | None:
    """Among contested positions, the share where some experts go up and others down."""
    return _over(sums.conflicts, contested(sums))


def chance(sums: Sums) -> float | None:
    """What ``conflict`` would be if signs were tossed: 1 − 2^(1−k) where k experts changed a position."""
    expected = sum(int(n) * (1 - 0.5 ** (k - 1)) for k, n in enumerate(sums.active.tolist()) if k >= 2)
    return _over(expected, contested(sums))


def reach(sums: Sums) -> tuple[float | None, float | None]:
    """How far the mean and the plain sum of all deltas lie from the base, relative to its norm."""
    together = sqrt(max(0.0, float(sums.gram.sum())))
    whole = _over(together, sqrt(sums.base_energy))
    return (None if whole is None else whole / len(sums.gram)), whole


def _over(part: float, whole: float) -> float | None:
    return part / whole if whole > 0 else None
