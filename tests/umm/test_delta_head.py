"""Heads of packed tensors: the way there and back, and every lie that one may tell."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from umm.delta.head import BLOCK, CODES, FIXED_BYTES, Head, block_elements, blocks, head_bytes, width
from umm.errors import CheckpointError

HEAD = Head("BF16", BLOCK + 5, np.array([[7, 0], [5, 2]], np.int64))
DATA = HEAD.encode() + bytes(14)


def parse(data: bytes, dtype: str = "BF16", elements: int = BLOCK + 5) -> Head:
    return Head.parse(data[: head_bytes(dtype, elements)], len(data), dtype, elements, "here")


def changed(start: int, *put: int, data: bytes = DATA) -> bytes:
    return data[:start] + bytes(put) + data[start + len(put) :]


@pytest.mark.must("DLT-5")
@given(st.data())
def test_a_head_comes_back(data: st.DataObject) -> None:
    dtype = data.draw(st.sampled_from(sorted(CODES)))
    elements = data.draw(st.integers(1, 3 * BLOCK))
    rows = [
        [data.draw(st.integers(0, block_elements(elements, block))) for _ in range(width(dtype))]
        for block in range(blocks(elements))
    ]
    rows[0][0] = 1
    head = Head(dtype, elements, np.array(rows, np.int64))
    encoded = head.encode()
    assert len(encoded) == head.length
    found = Head.parse(encoded, len(encoded) + sum(map(sum, rows)), dtype, elements, "here")
    assert (found.dtype, found.elements, found.sizes.tolist()) == (dtype, elements, rows)


FAULTS = {
    "empty": (b"", "does not begin with umm/delta"),
    "cut_in_the_domain": (DATA[:7], "does not begin with umm/delta"),
    "another_domain": (changed(4, 0x55), "does not begin with umm/delta"),
    "cut_in_the_fixed_part": (DATA[: FIXED_BYTES - 1], "ends after 23 bytes, within its head"),
    "cut_in_the_sizes": (DATA[: FIXED_BYTES + 15], "ends after 39 bytes, within a head of 40"),
    "codec_of_the_future": (changed(13, 2), "is in codec 2; this program knows 1. Update it"),
    "codec_0": (changed(13, 0), "is in codec 0, which never was"),
    "another_dtype": (changed(14, 2), "is of F16; the base's tensor is BF16"),
    "dtype_unknown": (changed(14, 99), "is of the unknown dtype 99"),
    "dtype_0": (changed(14, 0), "is of the unknown dtype 0"),
    "too_many_planes": (changed(15, 255), "claims 255 planes; BF16 has 2"),
    "no_planes": (changed(15, 0), "claims 0 planes"),
    "one_element_more": (changed(16, 6), "claims 65542 elements; the base's tensor has 65541"),
    "elements_beyond_reason": (changed(16, *b"\xff" * 8), "claims 18446744073709551615 elements"),
    "no_elements": (changed(16, *bytes(8)), "claims 0 elements"),
    "frame_longer_than_its_plane": (changed(32, 6), "claims 6 bytes for plane 0 of block 1, which has 5"),
    "frame_of_4_gib": (changed(28, *b"\xff" * 4), "claims 4294967295 bytes for plane 1 of block 0"),
    "frames_shorter_than_the_rest": (changed(24, 6), "has 14 bytes behind its head; its frames claim 13"),
    "frames_longer_than_the_rest": (changed(24, 8), "has 14 bytes behind its head; its frames claim 15"),
    "bytes_behind": (DATA + b"x", "has 15 bytes behind its head; its frames claim 14"),
    "cut_in_the_frames": (DATA[:-1], "has 13 bytes behind its head; its frames claim 14"),
    "no_frames": (DATA[:-14], "has 0 bytes behind its head; its frames claim 14"),
    "no_change": (changed(24, *bytes(16))[:-14], "changes nothing; an unchanged tensor is left out"),
}


@pytest.mark.must("DLT-5", "DLT-6", "DLT-7")
@pytest.mark.parametrize("fault", FAULTS)
def test_a_head_that_lies_is_refused(fault: str) -> None:
    data, reason = FAULTS[fault]
    with pytest.raises(CheckpointError, match=f"^here {reason}"):
        parse(data)


@pytest.mark.must("DLT-7")
def test_nothing_is_a_delta_of_a_tensor_without_elements() -> None:
    head = Head("F32", 0, np.zeros((0, 4), np.int64)).encode()
    with pytest.raises(CheckpointError, match="changes nothing"):
        parse(head, "F32", 0)


@given(st.binary(max_size=60))
def test_bytes_of_any_kind_are_a_head_or_refused(data: bytes) -> None:
    for tail in (data, DATA[:FIXED_BYTES] + data, DATA[:13] + data):
        try:
            parse(tail)
        except CheckpointError:
            continue
