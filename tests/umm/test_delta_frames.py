"""Planes in their shortest form, and frames from strangers."""

import tracemalloc
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.vectors.make_delta import REPEATED, STORED, frame, repeated
from umm.delta.frames import PACKING, pack, unpack, zstd
from umm.delta.head import BLOCK
from umm.errors import CheckpointError

LEVEL = zstd.CompressionParameter.compression_level
NOISE = np.random.default_rng(7).integers(0, 256, BLOCK, np.uint8)
TEXT = np.frombuffer(b"all work and no play makes a dull plane " * 1000, np.uint8)


def content(data: bytes, size: int) -> bytes:
    plane = unpack(data, size, "here")
    return bytes(size) if plane is None else plane.tobytes()


@pytest.mark.must("DLT-10")
@given(st.binary(min_size=1, max_size=3000), st.integers(1, 50))
def test_every_plane_comes_back(data: bytes, times: int) -> None:
    plane = np.frombuffer(data * times, np.uint8)
    assert content(pack(plane), len(plane)) == plane.tobytes()
    thirds = [len(plane) // 3, len(plane) - len(plane) // 3]
    assert content(pack(plane, thirds), len(plane)) == plane.tobytes()


@pytest.mark.must("DLT-10")
def test_the_length_tells_the_form() -> None:
    assert pack(np.zeros(BLOCK, np.uint8)) == b""
    assert pack(NOISE) == NOISE.tobytes()
    assert 0 < len(pack(np.full(BLOCK, 1, np.uint8))) < 100
    assert 0 < len(pack(TEXT)) < len(TEXT) / 10


@pytest.mark.must("DLT-12")
@pytest.mark.parametrize("level", [-5, 1, 19, 22])
def test_a_frame_of_any_level_is_read(level: int) -> None:
    made = zstd.compress(TEXT.data, options={**PACKING, LEVEL: level})
    assert content(made, len(TEXT)) == TEXT.tobytes()


@pytest.mark.must("DLT-12")
def test_a_frame_with_a_checksum_or_without_a_size_is_read() -> None:
    for parameter, value in (
        (zstd.CompressionParameter.checksum_flag, 1),
        (zstd.CompressionParameter.content_size_flag, 0),
    ):
        made = zstd.compress(TEXT.data, options={**PACKING, parameter: value})
        assert content(made, len(TEXT)) == TEXT.tobytes()


STREAM = zstd.compress(TEXT.data, options=PACKING)

FAULTS = {
    "cut": (STREAM[:-1], "in the middle of a frame"),
    "cut_in_its_head": (STREAM[:5], "in the middle of a frame"),
    "magic_only": (STREAM[:4], "in the middle of a frame"),
    "not_a_frame": (b"\0" + STREAM[1:], "does not begin as a frame"),
    "skippable": (b"\x50\x2a\x4d\x18\4\0\0\0abcd", "does not begin as a frame"),
    "of_an_older_format": (b"\x27\xb5\x2f\xfd" + STREAM[4:], "does not begin as a frame"),
    "bytes_behind": (STREAM + b"x", "1 bytes behind its frame"),
    "two_frames": (STREAM + STREAM, f"{len(STREAM)} bytes behind its frame"),
    "a_skippable_frame_behind": (STREAM + b"\x50\x2a\x4d\x18\0\0\0\0", "8 bytes behind its frame"),
    "shorter_plane": (frame([(REPEATED, b"\1", 39_999)]), "holds 39999 bytes; its block has 40000"),
    "nothing_in_it": (frame([(STORED, b"", 0)]), "holds 0 bytes"),
    "longer_plane": (frame([(REPEATED, b"\1", 40_001)]), "holds more than the 40000 bytes"),
    "longer_without_saying": (repeated(1, 40_001, window=16), "holds more than the 40000 bytes"),
    "window_too_large": (frame([(REPEATED, b"\1", 40_000)], window=17), "cannot be unpacked"),
    "largest_window_there_is": (frame([(REPEATED, b"\1", 40_000)], window=41), "cannot be unpacked"),
    "claims_4_gib": (STREAM[:4] + b"\xa0\xff\xff\xff\xff" + STREAM[9:], "cannot be unpacked"),
    "claims_an_exabyte": (STREAM[:4] + b"\xe0" + b"\xff" * 7 + b"\x0f" + STREAM[9:], "cannot be unpacked"),
    "claims_less_than_it_holds": (
        STREAM[:4] + b"\xa0\1\0\0\0" + frame([(STORED, b"ab", 0)])[9:], "cannot be unpacked"
    ),
    "needs_a_dictionary": (
        STREAM[:4] + b"\xa1" + (40_000).to_bytes(4, "little") + b"\7" + STREAM[9:], "cannot be unpacked"
    ),
    "reserved_bit": (STREAM[:4] + b"\xa8" + STREAM[5:], "cannot be unpacked"),
    "reserved_block": (STREAM[:4] + b"\xa0\1\0\0\0" + b"\x0f\0\0", "cannot be unpacked"),
    "wrong_checksum": (
        zstd.compress(TEXT.data, options={**PACKING, zstd.CompressionParameter.checksum_flag: 1})[:-1] + b"\0",
        "cannot be unpacked",
    ),
    "bomb": (zstd.compress(bytes(1 << 26), options=PACKING), "holds more than"),
    "bomb_without_a_size": (repeated(1, 1 << 26, window=16), "holds more than"),
}  # fmt: skip


@pytest.mark.must("DLT-11")
@pytest.mark.parametrize("fault", FAULTS)
def test_a_frame_that_is_not_the_plane_is_refused(fault: str) -> None:
    data, reason = FAULTS[fault]
    with pytest.raises(CheckpointError, match=f"^here .*{reason}.*fetch it again"):
        content(data, len(TEXT))


@pytest.mark.must("DLT-11")
@pytest.mark.parametrize("fault", ["bomb", "bomb_without_a_size", "claims_an_exabyte", "largest_window_there_is"])
def test_a_bomb_takes_no_memory(fault: str) -> None:
    data, _ = FAULTS[fault]
    tracemalloc.start()
    try:
        with pytest.raises(CheckpointError):
            content(data, BLOCK)
        assert tracemalloc.get_traced_memory()[1] < 4 * BLOCK
    finally:
        tracemalloc.stop()


@given(st.binary(max_size=200), st.integers(1, 300))
def test_bytes_of_any_kind_are_a_plane_or_refused(data: bytes, size: int) -> None:
    for tail in (data, STREAM[:4] + data):
        try:
            assert len(content(tail, size)) == size
        except CheckpointError:
            continue


@given(st.integers(0, len(STREAM) - 1), st.integers(0, 7))
def test_a_frame_with_a_flipped_bit_gives_a_plane_of_that_size_or_is_refused(place: int, bit: int) -> None:
    bad = bytearray(STREAM)
    bad[place] ^= 1 << bit
    with suppress(CheckpointError):
        assert len(content(bytes(bad), len(TEXT))) == len(TEXT)
