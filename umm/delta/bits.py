"""What an expert changed of a value, as a whole number that is small when the change is small; exact both ways.

The bits of a value are read as an unsigned integer of its width. Of two floats with the same sign the difference of
these integers counts the representable values between them, so a fine-tune makes small differences of either sign. They
are taken modulo 2^width and folded so that small ones of both signs become small numbers: 0, -1, 1, -2 to 0, 1, 2, 3.
The lowest byte of every number makes the first plane, the next byte the next: high planes are then nearly all zero.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from umm.checkpoint.source import Bytes

Bits = NDArray[np.unsignedinteger[Any]]
"""Values as little-endian unsigned integers of their width."""

UNSIGNED = {1: "u1", 2: "<u2", 4: "<u4", 8: "<u8"}


def as_bits(raw: Bytes, width: int) -> Bits:
    """The values in ``raw``, without copying."""
    return raw.view(UNSIGNED[width])


def change(base: Bits, expert: Bits) -> Bits:
    """``(d << 1) ^ -(d >> (width - 1))`` for ``d = expert - base``, all modulo 2^width."""
    difference: Bits = expert - base
    negative = np.negative(difference >> (8 * base.itemsize - 1))  # all bits set, or none
    folded: Bits = np.bitwise_xor(difference << 1, negative)
    return folded


def applied(base: Bits, changes: Bits) -> Bits:
    """The expert's values: what ``change`` came from."""
    return base + ((changes >> 1) ^ -(changes & 1))


def planes(changes: Bits) -> Bytes:
    """The bytes of every number, the lowest of all first; one row for each plane."""
    return np.ascontiguousarray(changes.view(np.uint8).reshape(-1, changes.itemsize).T)


def joined(rows: list[Bytes | None], count: int) -> Bits:
    """What ``planes`` took apart; None stands for a plane of zeros."""
    whole = np.zeros((count, len(rows)), np.uint8)
    for place, row in enumerate(rows):
        if row is not None:
            whole[:, place] = row
    return as_bits(whole.reshape(-1), len(rows))
