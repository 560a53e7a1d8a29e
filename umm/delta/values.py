"""A stored tensor's values as the codec wants them: bits, a block at a time."""

from math import prod

import numpy as np

from umm.checkpoint.reader import StoredTensor, Weights
from umm.delta.bits import Bits, as_bits
from umm.delta.head import BLOCK, block_elements, width


def elements(tensor: StoredTensor) -> int:
    """How many values a tensor has."""
    return prod(tensor.shape)


def block_bits(weights: Weights, tensor: StoredTensor, block: int) -> Bits:
    """The bits of a block's values."""
    each = width(tensor.dtype)
    raw = np.empty(block_elements(elements(tensor), block) * each, np.uint8)
    weights.read(tensor.name, block * BLOCK * each, raw.data)
    return as_bits(raw, each)
