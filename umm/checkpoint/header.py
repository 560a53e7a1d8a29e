"""The safetensors header: 8 bytes of length, JSON, then the values with no gap. Strict and pure.

Rules, beyond those of JSON (``strict``):

1. The length is at most ``MAX_HEADER_BYTES`` and the header lies inside the file, beginning with ``{``.
2. Every entry has exactly ``dtype``, ``shape`` and ``data_offsets``, of the right types; the dtype is one we
   know.
3. The bytes an entry claims are exactly those its shape and dtype need.
4. Put in order, the entries tile the rest of the file: no overlap, no hole, nothing after the last one.

The reference implementation refuses a hole or a tail as well: a place to hide other data is not a checkpoint.
"""

import re
from dataclasses import dataclass

from umm.checkpoint.strict import JsonObject, parse_object, shown
from umm.errors import CheckpointError

PREFIX_BYTES = 8
"""The length of the header, little-endian, unsigned."""

MAX_HEADER_BYTES = 100_000_000
"""As the reference implementation."""

MAX_TENSORS = 262_144
"""Tensors in one file or folder; the largest public models have about 140 000."""

MAX_NAME_BYTES = 1024
"""UTF-8 length of a tensor's name."""

MAX_DIMENSIONS = 16
"""Length of a shape."""

MAX_ELEMENTS = 2**63
"""Elements of one tensor; the product of a shape is checked against it before it is used."""

METADATA = "__metadata__"

CONTROL_CHARACTER = re.compile(r"[\x00-\x1f\x7f-\x9f]")
"""Names are printed; nothing in them may steer a terminal."""

DTYPE_BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "I16": 16, "U16": 16, "I32": 32, "U32": 32, "I64": 64, "U64": 64,
    "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "F8_E4M3FNUZ": 8,
    "F8_E5M2FNUZ": 8, "F16": 16, "BF16": 16, "F32": 32, "F64": 64, "C64": 64,
}  # fmt: skip
"""Every dtype the format has, with its width in bits."""


@dataclass(frozen=True)
class Entry:
    """One tensor in one file; ``start`` is the absolute byte offset, ``size`` is in bytes."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    start: int
    size: int


def header_size(prefix: bytes, file_size: int, where: str) -> int:
    """Bytes of JSON after the prefix, checked against the limit and the file before anyone allocates them."""
    if len(prefix) < PREFIX_BYTES:
        raise _damaged(where, f"is only {file_size} bytes long, too short for a safetensors file")
    size = int.from_bytes(prefix[:PREFIX_BYTES], "little")
    if size > MAX_HEADER_BYTES:
        raise _damaged(where, f"claims a header of {size} bytes; the limit is {MAX_HEADER_BYTES}")
    if PREFIX_BYTES + size > file_size:
        raise _damaged(where, f"claims a header of {size} bytes but is truncated at {file_size}")
    return size


def parse_header(head: bytes, file_size: int, where: str) -> tuple[Entry, ...]:
    """The tensors of a file of ``file_size`` bytes that begins with ``head``, sorted by name.

    ``head`` is the prefix and the header that it announces; ``where`` begins every error message.
    """
    size = header_size(head, file_size, where)
    text = head[PREFIX_BYTES : PREFIX_BYTES + size]
    if len(text) < size:
        raise _damaged(where, f"announces a header of {size} bytes, of which {len(text)} are there")
    if not text.startswith(b"{"):
        raise _damaged(where, "has a header that does not begin with '{'")
    parsed = parse_object(text, f"{where}: its header")
    _check_metadata(parsed.pop(METADATA, {}), where)
    if len(parsed) > MAX_TENSORS:
        raise _damaged(where, f"has {len(parsed)} tensors; the limit is {MAX_TENSORS}")
    entries = [_entry(name, value, PREFIX_BYTES + size, where) for name, value in parsed.items()]
    _check_tiling(entries, PREFIX_BYTES + size, file_size, where)
    return tuple(sorted(entries, key=lambda e: e.name))


def check_name(name: str, where: str) -> None:
    """Refuse a tensor name that is empty, too long, not Unicode text or unfit to print."""
    try:
        length = len(name.encode("utf-8"))
    except UnicodeEncodeError as error:
        raise _damaged(where, f"has a tensor name that is not Unicode text: {name!a}") from error
    if not 0 < length <= MAX_NAME_BYTES:
        raise _damaged(where, f"has a tensor name of {length} bytes (1 to {MAX_NAME_BYTES} are allowed)")
    if CONTROL_CHARACTER.search(name):
        raise _damaged(where, f"has a control character in the tensor name {shown(name)}")


def byte_size(dtype: str, shape: tuple[int, ...]) -> int | None:
    """Bytes of a tensor, or None when they are not a whole number or the shape is beyond all reason."""
    elements = 1
    for side in shape:
        elements *= side
        if elements > MAX_ELEMENTS:
            return None
    bits = elements * DTYPE_BITS[dtype]
    return None if bits % 8 else bits // 8


def _entry(name: str, value: object, data_start: int, where: str) -> Entry:
    check_name(name, where)
    tensor = f"{where}: tensor {shown(name)}"
    if not isinstance(value, dict) or value.keys() != {"dtype", "shape", "data_offsets"}:
        raise _damaged(tensor, "must have exactly dtype, shape and data_offsets")
    fields: JsonObject = value
    dtype = fields["dtype"]
    if not isinstance(dtype, str) or dtype not in DTYPE_BITS:
        raise _damaged(tensor, f"has the unknown dtype {shown(str(dtype))}")
    shape = _naturals(fields["shape"], tensor, "shape")
    offsets = _naturals(fields["data_offsets"], tensor, "data_offsets")
    if len(shape) > MAX_DIMENSIONS:
        raise _damaged(tensor, f"has {len(shape)} dimensions; the limit is {MAX_DIMENSIONS}")
    if len(offsets) != 2 or offsets[0] > offsets[1]:
        raise _damaged(tensor, f"has data_offsets {shown(str(list(offsets)))}, not [begin, end]")
    size = byte_size(dtype, shape)
    if size is None:
        raise _damaged(tensor, f"has the impossible shape {shown(str(list(shape)))} for {dtype}")
    if size != offsets[1] - offsets[0]:
        claimed = shown(str(offsets[1] - offsets[0]))
        raise _damaged(tensor, f"needs {size} bytes for its shape and dtype but claims {claimed}")
    return Entry(name, dtype, shape, data_start + offsets[0], size)


def _naturals(value: object, tensor: str, field: str) -> tuple[int, ...]:
    if not isinstance(value, list) or any(type(n) is not int or n < 0 for n in value):
        raise _damaged(tensor, f"has a {field} that is not a list of non-negative integers")
    return tuple(value)


def _check_metadata(value: object, where: str) -> None:
    if not isinstance(value, dict) or any(not isinstance(v, str) for v in value.values()):
        raise _damaged(where, f"has a {METADATA} that does not map text to text")


def _check_tiling(entries: list[Entry], start: int, file_size: int, where: str) -> None:
    reached = start
    for entry in sorted(entries, key=lambda e: (e.start, e.size)):
        name = shown(entry.name)
        if entry.start < reached:
            raise _damaged(where, f"has tensors that overlap: {name} begins inside the one before it")
        if entry.start > reached:
            raise _damaged(where, f"has a hole of {entry.start - reached} bytes before tensor {name}")
        reached += entry.size
        if reached > file_size:
            raise _damaged(where, f"is truncated: tensor {name} ends at byte {reached} of {file_size}")
    if reached != file_size:
        raise _damaged(where, f"has {file_size - reached} bytes after its last tensor")


def _damaged(where: str, what: str) -> CheckpointError:
    return CheckpointError(f"{where} {what}. The file is damaged or not what it says; fetch it again")
