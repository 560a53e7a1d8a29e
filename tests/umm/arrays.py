"""Sources over arrays in memory, for tests of what is computed from sources."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from umm.checkpoint.dtype import Dtype
from umm.checkpoint.floats import Floats
from umm.checkpoint.source import Bytes, Source


@dataclass(frozen=True)
class ArraySource:
    """The values of ``stored`` (float32, float16, or uint16 holding bfloat16) as a source."""

    stored: NDArray[np.generic]

    @property
    def dtype(self) -> Dtype:
        return {4: Dtype.F32, 2: Dtype.F16}[self.stored.itemsize] if self.stored.dtype.kind == "f" else Dtype.BF16

    @property
    def shape(self) -> tuple[int, ...]:
        return self.stored.shape

    def read(self, start: int, count: int, out: Bytes) -> None:
        part = np.ascontiguousarray(self.stored.reshape(-1)[start : start + count])
        assert len(part) == count, "read beyond the end"
        out[: count * self.dtype.width] = part.view(np.uint8)


def bfloat16(values: Floats) -> NDArray[np.uint16]:
    """Float32 values cut (not rounded) to bfloat16."""
    return (values.view(np.uint32) >> 16).astype(np.uint16)


def everything(source: Source) -> Floats:
    """All elements of ``source``, read at once, in its shape."""
    return in_tiles(source, int(np.prod(source.shape)))


def in_tiles(source: Source, tile: int) -> Floats:
    """All elements of ``source``, read ``tile`` elements at a time and widened, in its shape."""
    from umm.checkpoint.floats import widened

    total, width = int(np.prod(source.shape)), source.dtype.width
    raw = np.zeros(total * width, dtype=np.uint8)
    for start in range(0, total, tile):
        count = min(tile, total - start)
        source.read(start, count, raw[start * width : (start + count) * width])
    return widened(raw, source.dtype).reshape(source.shape)
