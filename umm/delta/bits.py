"""What an expert changed of a value, as a whole number that is small when the change is small; exact both ways.

The bits of a value are read as an unsigned integer of its width. Of two floats with the same sign the difference of
these integers counts the representable values between them, so a fine-tune makes small differences of either sign. They
are taken modulo 2^width and folded so that small ones of both signs become small numbers: 0, -1, 1, -2 to 0, 1, 2, 3.
The lowest byte of every number makes the first plane, the next byte the next: high planes are then nearly all zero.

How large a difference is depends on how large the value is: what moves a small value by many steps moves a large one by
none. So the differences of a block are put in order of the base's exponents, which whoever unpacks them knows, before
they are cut into planes. Alike ones then lie together, and each stretch gets a code of its own.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from umm.checkpoint.source import Bytes

Bits = NDArray[np.unsignedinteger[Any]]
"""Values as little-endian unsigned integers of their width."""

UNSIGNED = {1: "u1", 2: "<u2", 4: "<u4", 8: "<u8"}

LEAST_STRETCH = 1 << 12
"""Changes that are worth a code of their own."""

EXPONENTS = {"BF16": (7, 0xFF), "F16": (10, 0x1F), "F32": (23, 0xFF)}
"""Where the exponent lies in the bits of a float: how far to shift, what then to keep."""


def as_bits(raw: Bytes, width: int) -> Bits:
    """The values in ``raw``, without copying."""
    return raw.view(UNSIGNED[width])


def change(base: Bits, expert: Bits, dtype: str) -> Bits:
    """``(d << 1) ^ -(d >> (width - 1))`` for ``d = expert - base``, all modulo 2^width, in the order of the block."""
    difference: Bits = expert - base
    negative = np.negative(difference >> (8 * base.itemsize - 1))  # all bits set, or none
    folded: Bits = np.bitwise_xor(difference << 1, negative)
    order = _order(base, dtype)
    return folded if order is None else folded[order]


def applied(base: Bits, changes: Bits, dtype: str) -> Bits:
    """The expert's values: what ``change`` came from."""
    difference = (changes >> 1) ^ -(changes & 1)
    order = _order(base, dtype)
    if order is None:
        return base + difference
    expert = np.empty_like(base)
    expert[order] = difference
    expert += base
    return expert


def stretches(base: Bits, dtype: str) -> list[int]:
    """How many changes of a block lie together because the base's exponents are alike; small groups are joined."""
    keys = _keys(base, dtype)
    found = [0]
    for count in np.bincount(keys).tolist() if keys is not None else [len(base)]:
        found[-1] += count
        if found[-1] >= LEAST_STRETCH:
            found.append(0)
    rest = found.pop()
    found[-1:] = [found[-1] + rest] if found else [rest]
    return found


def _order(base: Bits, dtype: str) -> NDArray[np.intp] | None:
    """Places in order of the base's exponent, equal ones in their order; None where there is no exponent."""
    keys = _keys(base, dtype)
    return None if keys is None else np.argsort(keys, kind="stable")


def _keys(base: Bits, dtype: str) -> NDArray[np.uint8] | None:
    if dtype not in EXPONENTS:
        return None
    shift, mask = EXPONENTS[dtype]
    return ((base >> shift) & mask).astype(np.uint8)


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
