"""The head of one tensor's delta: what it is of, and how long each of its frames is.

::

    field("umm/delta")  codec  dtype  planes  elements       4 + 9, 1, 1, 1 and 8 bytes
    size of every frame                                      4 bytes each
    the frames, nothing between and nothing behind

Elements are cut into blocks of 2^16, the last one shorter; a block has a frame for each plane. Frames, and their sizes,
lie block by block, in a block the plane of the lowest bytes first. So a range of elements is a range of frames, and the
sizes tell where it lies. Integers are little-endian.

What the base has is known before a delta is read, so nothing here is believed that the base does not say: dtype and
elements are compared first, they give the length of the head, and only then are sizes read.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from umm.checkpoint.header import DTYPE_BITS
from umm.errors import CheckpointError

DOMAIN = b"umm/delta"
PREFIX = len(DOMAIN).to_bytes(4, "little") + DOMAIN

CODEC = 1
"""The only one so far; a manifest has it too."""

CODES = {
    "BF16": 1, "F16": 2, "F32": 3,
    "BOOL": 4, "U8": 5, "I8": 6, "U16": 7, "I16": 8, "U32": 9, "I32": 10, "U64": 11, "I64": 12,
}  # fmt: skip
"""The number of every dtype that a checkpoint can have; never reused."""

BLOCK = 1 << 16
"""Elements of a block; a plane has one byte for each."""

FIXED_BYTES = len(PREFIX) + 11
SIZE_BYTES = 4

Sizes = NDArray[np.int64]


def width(dtype: str) -> int:
    """Bytes of one element, which is also the number of planes."""
    return DTYPE_BITS[dtype] // 8


def blocks(elements: int) -> int:
    """How many blocks there are."""
    return -(-elements // BLOCK)


def block_elements(elements: int, block: int) -> int:
    """Elements of one block: all are full but the last."""
    return min(BLOCK, elements - block * BLOCK)


def head_bytes(dtype: str, elements: int) -> int:
    """Length of the head."""
    return FIXED_BYTES + SIZE_BYTES * blocks(elements) * width(dtype)


@dataclass(frozen=True)
class Head:
    """``sizes`` has a row for each block and a column for each plane."""

    dtype: str
    elements: int
    sizes: Sizes

    @property
    def length(self) -> int:
        """Length of the head."""
        return head_bytes(self.dtype, self.elements)

    def encode(self) -> bytes:
        """What ``parse`` reads."""
        fixed = PREFIX + bytes([CODEC, CODES[self.dtype], width(self.dtype)]) + self.elements.to_bytes(8, "little")
        return fixed + self.sizes.astype("<u4").tobytes()

    @classmethod
    def parse(cls, data: bytes | bytearray, size: int, dtype: str, elements: int, where: str) -> "Head":
        """The head of a delta of ``size`` bytes for a tensor of the base.

        ``data`` is as much of it as ``head_bytes`` says, or all of it if that is less. ``where`` begins every error.
        """
        _check_fixed(bytes(data[:FIXED_BYTES]), dtype, elements, where)
        wanted = head_bytes(dtype, elements)
        if len(data) < wanted:
            raise damaged(where, f"ends after {size} bytes, within a head of {wanted}")
        table = np.frombuffer(data, "<u4", offset=FIXED_BYTES, count=blocks(elements) * width(dtype))
        sizes = table.astype(np.int64).reshape(-1, width(dtype))
        _check_sizes(sizes, size - wanted, elements, where)
        return cls(dtype, elements, sizes)


def _check_fixed(data: bytes, dtype: str, elements: int, where: str) -> None:
    if not data.startswith(PREFIX):
        raise damaged(where, "does not begin with umm/delta")
    if len(data) < FIXED_BYTES:
        raise damaged(where, f"ends after {len(data)} bytes, within its head")
    codec, code, planes = data[len(PREFIX) : len(PREFIX) + 3]
    if codec > CODEC:
        raise CheckpointError(f"{where} is in codec {codec}; this program knows {CODEC}. Update it")
    if codec < CODEC:
        raise damaged(where, f"is in codec {codec}, which never was")
    if code != CODES[dtype]:
        found = next((name for name, number in CODES.items() if number == code), f"the unknown dtype {code}")
        raise damaged(where, f"is of {found}; the base's tensor is {dtype}")
    if planes != width(dtype):
        raise damaged(where, f"claims {planes} planes; {dtype} has {width(dtype)}")
    claimed = int.from_bytes(data[-8:], "little")
    if claimed != elements:
        raise damaged(where, f"claims {claimed} elements; the base's tensor has {elements}")


def _check_sizes(sizes: Sizes, rest: int, elements: int, where: str) -> None:
    longest = np.full((len(sizes), 1), BLOCK)
    longest[-1:] = elements - BLOCK * (len(sizes) - 1)
    if (beyond := np.argwhere(sizes > longest)).size:
        block, plane = (int(n) for n in beyond[0])
        raise damaged(
            where,
            f"claims {sizes[block, plane]} bytes for plane {plane} of block {block}, which has {longest[block, 0]}",
        )
    if not sizes.any():
        raise damaged(where, "changes nothing; an unchanged tensor is left out")
    if (total := int(sizes.sum())) != rest:
        raise damaged(where, f"has {rest} bytes behind its head; its frames claim {total}")


def damaged(where: str, what: str) -> CheckpointError:
    """The error for a delta that is not what it should be."""
    return CheckpointError(f"{where} {what}. The delta is damaged or not what it says; fetch it again")
