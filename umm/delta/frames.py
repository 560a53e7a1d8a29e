"""A plane of one block as bytes, in the shortest of three forms: nothing, a frame of zstd, or the plane itself.

The length tells which: a plane of zeros takes no bytes, one that does not shrink takes its own length, and everything
between is one frame (RFC 8878). A frame comes from a stranger. It is never asked how much it holds: the block says how
long the plane is, and output, window and everything else that unpacking allocates are bounded by that.
"""

import sys
from collections.abc import Iterator, Sequence

import numpy as np

from umm.checkpoint.source import Bytes
from umm.delta.head import damaged

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

__all__ = ["MAGIC", "PACKING", "pack", "unpack", "zstd"]

WINDOW_LOG = 16
"""Bits of the largest window that a frame may ask for: 64 KiB, as much as the longest plane."""

LEVEL = 1
MIN_MATCH = 7
"""Planes are noise or nearly all zero. Repetitions of fewer bytes are chance: looking for them was measured to make
frames larger, and harder searches to gain 1 % for three to seven times the work."""

MAGIC = bytes.fromhex("28b52ffd")
"""Begins a frame of zstd; skippable frames and those from before its release begin otherwise."""

PACKING: dict[int, int] = {
    zstd.CompressionParameter.compression_level: LEVEL,
    zstd.CompressionParameter.strategy: zstd.Strategy.fast,
    zstd.CompressionParameter.min_match: MIN_MATCH,
    zstd.CompressionParameter.window_log: WINDOW_LOG,
    zstd.CompressionParameter.checksum_flag: 0,
}
UNPACKING: dict[int, int] = {zstd.DecompressionParameter.window_log_max: WINDOW_LOG}


def pack(plane: Bytes, stretches: Sequence[int] = ()) -> bytes:
    """The shortest form of a plane. ``stretches`` that are alike, by their lengths, get a zstd block each.

    A block of zstd has a code of its own, fitted to its bytes; by itself zstd begins one every 128 KiB.
    """
    if not plane.any():
        return b""
    packed = b"".join(_blocks(plane, stretches or [len(plane)]))
    return packed if len(packed) < len(plane) else plane.tobytes()


def _blocks(plane: Bytes, stretches: Sequence[int]) -> Iterator[bytes]:
    frame = zstd.ZstdCompressor(options=PACKING)
    at = 0
    for length in stretches:
        yield frame.compress(plane[at : at + length].data, frame.FLUSH_BLOCK)
        at += length
    yield frame.flush(frame.FLUSH_FRAME)


def unpack(data: bytes | bytearray, size: int, where: str) -> Bytes | None:
    """The plane of ``size`` bytes that ``pack`` made ``data`` from; None for zeros. ``where`` begins every error."""
    if not data:
        return None
    return np.frombuffer(data if len(data) == size else _unpacked(data, size, where), np.uint8)


def _unpacked(data: bytes | bytearray, size: int, where: str) -> bytes:
    if not data.startswith(MAGIC):
        raise damaged(where, "does not begin as a frame of zstd")
    frame = zstd.ZstdDecompressor(options=UNPACKING)
    try:
        plane = frame.decompress(data, size + 1)
    except zstd.ZstdError as error:
        raise damaged(where, f"cannot be unpacked ({error})") from error
    if len(plane) > size:
        raise damaged(where, f"holds more than the {size} bytes of its block")
    if not frame.eof:
        raise damaged(where, "ends in the middle of a frame")
    if len(plane) < size:
        raise damaged(where, f"holds {len(plane)} bytes; its block has {size}")
    if frame.unused_data:
        raise damaged(where, f"has {len(frame.unused_data)} bytes behind its frame")
    return plane
