"""Bytes of a tensor as float32 values: widening is exact, so it rounds nothing."""

import numpy as np
from numpy.typing import NDArray

from umm.checkpoint.dtype import Dtype
from umm.checkpoint.source import Bytes, Source

Floats = NDArray[np.float32]


def widened(raw: Bytes, dtype: Dtype) -> Floats:
    """The values in ``raw`` as float32; a view of ``raw`` when they are float32 already."""
    if dtype is Dtype.F32:
        return raw.view("<f4")
    if dtype is Dtype.F16:
        return raw.view("<f2").astype(np.float32)
    # bfloat16 is the upper half of a float32.
    return (raw.view("<u2").astype(np.uint32) << np.uint32(16)).view(np.float32)


def read_widened(source: Source, start: int, count: int) -> Floats:
    """Elements ``start .. start + count`` of ``source`` as float32."""
    raw = np.empty(count * source.dtype.width, dtype=np.uint8)
    source.read(start, count, raw)
    return widened(raw, source.dtype)
