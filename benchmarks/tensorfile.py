"""A plain reader and writer of safetensors files, independent of the engine that is being measured.

Values travel as float32; files hold bfloat16, float16 or float32.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Bits = NDArray[np.uint16]

WIDTH = {"BF16": 2, "F16": 2, "F32": 4}  # bytes per value
CODE = {"bfloat16": "BF16", "float16": "F16", "float32": "F32"}
ALIGNMENT = 8  # bytes; where the values of a file begin


@dataclass(frozen=True)
class Slot:
    """Where one tensor lies: its file, the position of its first byte, its type and shape."""

    file: Path
    start: int
    code: str
    shape: tuple[int, ...]

    @property
    def count(self) -> int:
        """How many values the tensor has."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def size(self) -> int:
        """How many bytes the tensor has."""
        return self.count * WIDTH[self.code]


def to_bf16(values: Floats) -> Bits:
    """Round to bfloat16, to nearest even. The values must be finite."""
    bits = values.view(np.uint32)
    odd = (bits >> np.uint32(16)) & np.uint32(1)
    return ((bits + np.uint32(0x7FFF) + odd) >> np.uint32(16)).astype(np.uint16)


def encode(values: Floats, code: str) -> bytes:
    """The little-endian bytes of the values in a file of that type."""
    if code == "BF16":
        return to_bf16(np.ascontiguousarray(values)).tobytes()
    return values.astype("<f2" if code == "F16" else "<f4").tobytes()


def decode(raw: bytes, code: str) -> Floats:
    """The values behind the bytes, widened to float32 (exact)."""
    if code == "BF16":
        return (np.frombuffer(raw, "<u2").astype(np.uint32) << np.uint32(16)).view(np.float32)
    return np.frombuffer(raw, "<f2" if code == "F16" else "<f4").astype(np.float32)


def create(file: Path, shapes: Mapping[str, tuple[int, ...]], code: str) -> dict[str, Slot]:
    """Write the header of a new file, make the file as long as it will be, and say where each tensor goes."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, shape in shapes.items():
        begin, end = end, end + int(np.prod(shape, dtype=np.int64)) * WIDTH[code]
        header[name] = {"dtype": code, "shape": list(shape), "data_offsets": [begin, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % ALIGNMENT)
    with file.open("wb") as stream:
        stream.write(len(text).to_bytes(8, "little") + text)
        stream.truncate(8 + len(text) + end)
    return slots(file)


def slots(file: Path) -> dict[str, Slot]:
    """Where each tensor of a file lies."""
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        header = json.loads(stream.read(length))
    header.pop("__metadata__", None)
    return {
        name: Slot(file, 8 + length + value["data_offsets"][0], value["dtype"], tuple(value["shape"]))
        for name, value in header.items()
    }


def tensors_of(folder: Path) -> dict[str, Slot]:
    """Where each tensor of a checkpoint lies, over all its files."""
    found: dict[str, Slot] = {}
    for file in sorted(folder.glob("*.safetensors")):
        found |= slots(file)
    return found


def read(slot: Slot, first: int = 0, count: int | None = None) -> Floats:
    """Some consecutive values of a tensor, or all of them (then in its shape)."""
    width = WIDTH[slot.code]
    number = slot.count - first if count is None else count
    with slot.file.open("rb", buffering=0) as stream:
        raw = os.pread(stream.fileno(), number * width, slot.start + first * width)
    values = decode(raw, slot.code)
    return values.reshape(slot.shape) if count is None and not first else values


def bits(slot: Slot) -> Bits:
    """The stored bits of a 16-bit tensor, flat."""
    with slot.file.open("rb", buffering=0) as stream:
        return np.frombuffer(os.pread(stream.fileno(), slot.size, slot.start), "<u2")


def save(file: Path, tensors: Mapping[str, Floats], code: str) -> None:
    """Write small tensors as one file."""
    places = create(file, {name: values.shape for name, values in tensors.items()}, code)
    with file.open("r+b") as stream:
        for name, values in tensors.items():
            stream.seek(places[name].start)
            stream.write(encode(values, code))
