"""Golden packed tensors, computed from docs/protocol/deltas.md alone: nothing of ``umm`` and no zstd is used here.

Frames of zstd are put together by hand from blocks that are stored or that repeat one byte (RFC 8878, 3.1.1), so these
files do not depend on any version of a compressor. A packed tensor is given with the base's values and the expert's.
"""

import math
import struct
from collections.abc import Sequence

from blake3 import blake3

from tests.vectors.make_digest import pattern

BLOCK = 1 << 16
ZSTD_BLOCK = 1 << 16  # a block is no longer than the window
STORED, REPEATED = 0, 1

CODES = {
    "BF16": (1, 2), "F16": (2, 2), "F32": (3, 4),
    "BOOL": (4, 1), "U8": (5, 1), "I8": (6, 1), "U16": (7, 2), "I16": (8, 2),
    "U32": (9, 4), "I32": (10, 4), "U64": (11, 8), "I64": (12, 8),
}  # fmt: skip
"""Number and width of every dtype."""

EXPONENTS = {"BF16": (7, 8), "F16": (10, 5), "F32": (23, 8)}
"""Lowest bit and number of bits of a float's exponent."""

SMALL = [
    ("exponents_fall", "BF16", "8040 0040 803f 003f 0000", "8140 0240 833f 043f 0500"),
    ("signs_do_not_count", "F16", "00c4 0044 00bc 003c", "01c4 0244 03bc 043c"),
    ("equal_exponents_stay", "F32", "00000040 0000803f 01000040 0100803f", "01000040 0200803f 04000040 0500803f"),
    ("one_step_up", "BF16", "803f 803f 803f", "813f 803f 803f"),
    ("one_step_down", "BF16", "803f 803f", "7f3f 803f"),
    ("across_a_byte", "BF16", "ff3f 0040", "0040 ff3f"),
    ("a_sign", "BF16", "803f", "80bf"),
    ("zero_becomes_minus_zero", "F16", "0000 0000", "0080 0000"),
    ("nan_in_the_base", "BF16", "c17f 0100", "803f 0100"),
    ("single", "F32", "0000803f", "0100803f"),
    ("switched", "BOOL", "00 01 01", "01 00 01"),
    ("bytes", "U8", "00 ff 80 7f", "ff 00 7f 80"),
    ("signed_bytes", "I8", "00 ff 80 7f", "ff 00 7f 80"),
    ("shorts", "U16", "0000 ffff", "ffff 0000"),
    ("signed_shorts", "I16", "0000 ffff", "ffff 0000"),
    ("words", "U32", "00000000", "00000080"),
    ("signed_words", "I32", "ffffffff", "ffffff7f"),
    ("long", "U64", "ffffffffffffffff", "0000000000000000"),
    ("signed_long", "I64", "0000000000000080", "ffffffffffffff7f"),
]
"""Name, dtype, and the values of base and expert. None of their planes shrinks, so there is one way to pack them."""

NORMS = [("F32", 1), ("F32", 1023), ("F32", 1024), ("F32", 1025), ("F32", 2500), ("BF16", 1500), ("F16", 2049)]
"""Dtype and number of elements."""


def vectors() -> dict[str, object]:
    """The content of ``delta.json``."""
    return {
        "small": [_small(*case) for case in SMALL],
        "frames": _frames(),
        "blocks": _blocks(),
        "norms": [_norm(*case) for case in NORMS],
    }


def packed(dtype: str, elements: int, frames: Sequence[Sequence[bytes]]) -> bytes:
    """``field("umm/delta") codec dtype planes elements``, sizes, frames."""
    code, width = CODES[dtype]
    head = len(b"umm/delta").to_bytes(4, "little") + b"umm/delta" + bytes([1, code, width])
    sizes = b"".join(len(frame).to_bytes(4, "little") for block in frames for frame in block)
    return head + elements.to_bytes(8, "little") + sizes + b"".join(frame for block in frames for frame in block)


def folded(base: bytes, expert: bytes, width: int) -> list[int]:
    """``(d << 1) ^ -(d >> (width - 1))`` of every value, ``d`` the difference of the two as integers."""
    mask = (1 << 8 * width) - 1
    found = []
    for at in range(0, len(base), width):
        before, after = (int.from_bytes(raw[at : at + width], "little") for raw in (base, expert))
        difference = (after - before) & mask
        negative = difference >> (8 * width - 1)
        found.append(((difference << 1) & mask) ^ (mask if negative else 0))
    return found


def changes(dtype: str, base: bytes, expert: bytes) -> list[int]:
    """The folded differences of a block in order of the base's exponents, equal ones as they lie."""
    width = CODES[dtype][1]
    shift, bits = EXPONENTS.get(dtype, (0, 0))
    keys = [
        int.from_bytes(base[at : at + width], "little") >> shift & ((1 << bits) - 1)
        for at in range(0, len(base), width)
    ]
    numbers = folded(base, expert, width)
    return [numbers[place] for place in sorted(range(len(numbers)), key=lambda place: keys[place])]


def plane(numbers: Sequence[int], place: int) -> bytes:
    """One byte of every number."""
    return bytes(number >> (8 * place) & 0xFF for number in numbers)


def frame(parts: Sequence[tuple[int, bytes, int]], *, window: int | None = None) -> bytes:
    """A frame of blocks, each (stored, its bytes, 0) or (repeated, one byte, how often).

    It states how much it holds, or with ``window`` the size of a window, as an exponent, instead.
    """
    size = sum(len(data) if kind == STORED else times for kind, data, times in parts)
    head = bytes([0xA0]) + size.to_bytes(4, "little") if window is None else bytes([0x00, (window - 10) << 3])
    text = bytes.fromhex("28b52ffd") + head
    for i, (kind, data, times) in enumerate(parts):
        length = len(data) if kind == STORED else times
        text += (length << 3 | kind << 1 | (i == len(parts) - 1)).to_bytes(3, "little") + data
    return text


def repeated(byte: int, times: int, **options: int) -> bytes:
    """A frame that holds one byte so many times."""
    pieces = [min(ZSTD_BLOCK, times - at) for at in range(0, times, ZSTD_BLOCK)]
    return frame([(REPEATED, bytes([byte]), piece) for piece in pieces], **options)


def _small(name: str, dtype: str, base: str, expert: str) -> dict[str, object]:
    before, after = bytes.fromhex(base), bytes.fromhex(expert)
    width = CODES[dtype][1]
    numbers = changes(dtype, before, after)
    rows = [plane(numbers, place) for place in range(width)]
    made = packed(dtype, len(numbers), [[row if any(row) else b"" for row in rows]])
    return {"name": name, "dtype": dtype, "base": before.hex(), "expert": after.hex(), "packed": made.hex()}


def _frames() -> list[dict[str, object]]:
    """Tensors of 600 bytes that all become three larger, in frames of every kind that is allowed."""
    whole = bytes([6]) * 600  # 3, folded
    kinds = {
        "stored_as_it_is": whole,
        "one_repeated_block": frame([(REPEATED, b"\6", 600)]),
        "two_blocks": frame([(REPEATED, b"\6", 500), (STORED, whole[:100], 0)]),
        "an_empty_block_at_the_end": frame([(REPEATED, b"\6", 600), (STORED, b"", 0)]),
        "no_stated_size": frame([(REPEATED, b"\6", 600)], window=10),
        "the_largest_window": frame([(REPEATED, b"\6", 600)], window=16),
    }
    base, expert = pattern(7, 600), bytes((byte + 3) % 256 for byte in pattern(7, 600))
    return [
        {"name": name, "base": base.hex(), "expert": expert.hex(), "packed": packed("U8", 600, [[data]]).hex()}
        for name, data in kinds.items()
    ]


def _blocks() -> list[dict[str, object]]:
    """Tensors that are longer than a block: the base is a pattern, the expert is given by its digest."""
    found = []
    for name, elements, changes in (
        ("two_full_blocks", 2 * BLOCK, [5, 0]),
        ("one_more_element", BLOCK + 1, [0, 9]),
        ("three_blocks", 2 * BLOCK + 3, [255, 0, 128]),
    ):
        base = pattern(11, elements)
        parts = [base[at : at + BLOCK] for at in range(0, elements, BLOCK)]
        expert = b"".join(_shifted(part, by) for part, by in zip(parts, changes, strict=True))
        frames = [[_frame_of(part, by)] for part, by in zip(parts, changes, strict=True)]
        found.append({
            "name": name,
            "step": 11,
            "size": elements,
            "expert": blake3(expert).hexdigest(),
            "packed": packed("I8", elements, frames).hex(),
        })  # fmt: skip
    return found


def _shifted(data: bytes, by: int) -> bytes:
    return data.translate(bytes((value + by) % 256 for value in range(256)))


def _frame_of(part: bytes, by: int) -> bytes:
    number = folded(b"\0", bytes([by]), 1)[0]
    return b"" if by == 0 else repeated(number, len(part)) if len(part) > 16 else bytes([number]) * len(part)


def _norm(dtype: str, elements: int) -> dict[str, object]:
    """A tensor's norm: values from a hash, squares added as the chapter says."""
    raw = struct.unpack(f"<{2 * elements}h", blake3(f"{dtype} {elements}".encode()).digest(4 * elements))
    before = [_stored(value / 2**15, dtype) for value in raw[:elements]]
    after = [_stored(value / 2**15, dtype) for value in raw[elements:]]
    squares = [(_value(b, dtype) - _value(a, dtype)) ** 2 for a, b in zip(before, after, strict=True)]
    total = 0.0
    for at in range(0, elements, 1024):
        total += _block_sum(squares[at : at + 1024])
    return {
        "dtype": dtype,
        "base": b"".join(before).hex(),
        "expert": b"".join(after).hex(),
        "norm": math.sqrt(total).hex(),
    }


def _block_sum(squares: list[float]) -> float:
    padded = squares + [0.0] * (1024 - len(squares))
    lanes = [0.0] * 32
    for i, square in enumerate(padded):
        lanes[i % 32] += square
    while len(lanes) > 1:
        half = len(lanes) // 2
        lanes = [a + b for a, b in zip(lanes[:half], lanes[half:], strict=True)]
    return lanes[0]


def _stored(value: float, dtype: str) -> bytes:
    """A value in a dtype; bfloat16 by cutting off."""
    return struct.pack("<e", value) if dtype == "F16" else struct.pack("<f", value)[2 if dtype == "BF16" else 0 :]


def _value(data: bytes, dtype: str) -> float:
    if dtype == "F16":
        return float(struct.unpack("<e", data)[0])
    return float(struct.unpack("<f", data if dtype == "F32" else b"\0\0" + data)[0])
