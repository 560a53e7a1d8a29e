"""What a reference method is given, and what it answers."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Number = float | None


@dataclass(frozen=True)
class Problem:
    """One tensor of a merge: its inputs, and the parameters resolved for it.

    ``each`` and ``whole`` read a parameter of an expert or of the merge: name, default.
    """

    base: Array | None
    experts: tuple[Array, ...]
    each: Callable[[str, Number], tuple[float, ...]]
    whole: Callable[[str, Number], float]

    def needed_base(self) -> Array:
        """The base, which must be there."""
        assert self.base is not None  # noqa: S101 - the recipe names one
        return self.base

    def deltas(self) -> Array:
        """Expert minus base, stacked."""
        return np.stack([e - self.needed_base() for e in self.experts])


Answer = tuple[Array, Mask]


def sure(values: Array) -> Answer:
    """An answer that is decided everywhere."""
    return values, np.ones(values.shape, bool)
