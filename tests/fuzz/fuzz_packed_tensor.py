"""A packed tensor of a delta, from somebody whose contribution is checked."""

from umm.delta.frames import unpack
from umm.delta.head import Head, block_elements, head_bytes
from umm.errors import CheckpointError

ELEMENTS = 40
"""Of the base's tensor, in bfloat16: what a stranger cannot choose."""


def one(data: bytes) -> None:
    """What is read are planes of the length that the base says."""
    try:
        head = Head.parse(data[: head_bytes("BF16", ELEMENTS)], len(data), "BF16", ELEMENTS, "fuzzed")
    except CheckpointError:
        return
    at = head.length
    for block, sizes in enumerate(head.sizes.tolist()):
        for size in sizes:
            _plane(data[at : at + size], block_elements(ELEMENTS, block))
            at += size
    assert at == len(data)


def _plane(data: bytes, size: int) -> None:
    try:
        plane = unpack(data, size, "fuzzed")
    except CheckpointError:
        return
    assert plane is None or len(plane) == size
