"""Where the values of one input tensor come from."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from umm.checkpoint.dtype import Dtype

Bytes = NDArray[np.uint8]


class Source(Protocol):
    """One input tensor, read in flat ranges of elements; thread-safe, holds no values itself.

    A plain tensor reads from its file; an adapter computes ``W + s·BA``; aligned embeddings gather rows.
    """

    @property
    def dtype(self) -> Dtype:
        """How the bytes that ``read`` yields are to be understood."""
        ...

    @property
    def shape(self) -> tuple[int, ...]:
        """The tensor's shape, rows first."""
        ...

    def read(self, start: int, count: int, out: Bytes) -> None:
        """Fill ``out[: count * dtype.width]`` with elements ``start .. start + count`` in row-major order."""
        ...
