"""The header of a safetensors file: 8 bytes of length, JSON, then the values with no gap. Strict and pure.

Rules, beyond those of ``weights_json``:

1. The length is at most ``MAX_JSON_BYTES`` and the header lies inside the file.
2. Every entry has exactly ``dtype``, ``shape`` and ``data_offsets``, of the right types; the dtype is one we know.
   ``__metadata__`` may be there and maps text to text.
3. The bytes that an entry claims are exactly those that its shape and dtype need.
4. Put in order, the entries tile the rest of the file: no overlap, no hole, nothing after the last one.

A hole or a tail would be a place to hide other data; the reference implementation refuses them as well.
"""

from dataclasses import dataclass

from protocol.blobs import weights_json
from protocol.blobs.tensor import MAX_TENSORS, METADATA, byte_size, check_name
from protocol.blobs.weights_json import MAX_JSON_BYTES
from protocol.errors import MalformedError, TooLargeError
from protocol.strict import shown

PREFIX_BYTES = 8
"""The length of the header, little-endian, unsigned."""


@dataclass(frozen=True)
class Entry:
    """One tensor in one file; ``start`` is its byte offset in that file, ``size`` is in bytes."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    start: int
    size: int


def header_length(prefix: bytes, file_size: int, where: str) -> int:
    """Bytes of JSON after the prefix, checked against the limit and the file before anyone allocates them."""
    if len(prefix) < PREFIX_BYTES:
        raise MalformedError(f"{where} is only {file_size} bytes long, too short for a safetensors file")
    length = int.from_bytes(prefix[:PREFIX_BYTES], "little")
    if length > MAX_JSON_BYTES:
        raise TooLargeError(f"{where} claims a header of {length} bytes; the limit is {MAX_JSON_BYTES}")
    if PREFIX_BYTES + length > file_size:
        raise MalformedError(f"{where} claims a header of {length} bytes but ends at byte {file_size}")
    return length


def parse_header(head: bytes, file_size: int, where: str) -> tuple[Entry, ...]:
    """The tensors of a file of ``file_size`` bytes that begins with ``head``, in order of name.

    ``head`` is the prefix and all of the header that it announces; ``where`` begins every error message.
    """
    end = PREFIX_BYTES + header_length(head, file_size, where)
    if len(head) < end:
        raise MalformedError(f"{where} announces a header up to byte {end}, of which {len(head)} are there")
    parsed = weights_json.parse(head[PREFIX_BYTES:end], f"{where}: its header")
    _check_metadata(parsed.pop(METADATA, {}), where)
    if len(parsed) > MAX_TENSORS:
        raise TooLargeError(f"{where} has {len(parsed)} tensors; the limit is {MAX_TENSORS}")
    entries = [_entry(name, value, end, where) for name, value in parsed.items()]
    _check_tiling(entries, end, file_size, where)
    return tuple(sorted(entries, key=lambda entry: entry.name))


def _entry(name: str, value: object, data_start: int, where: str) -> Entry:
    check_name(name, where)
    tensor = f"{where}: tensor {shown(name)}"
    if not isinstance(value, dict) or value.keys() != {"dtype", "shape", "data_offsets"}:
        raise MalformedError(f"{tensor} must have exactly dtype, shape and data_offsets")
    dtype = value["dtype"]
    if not isinstance(dtype, str):
        raise MalformedError(f"{tensor} has a dtype that is not text")
    shape = _naturals(value["shape"], tensor, "shape")
    offsets = _naturals(value["data_offsets"], tensor, "data_offsets")
    if len(offsets) != 2 or offsets[0] > offsets[1]:
        raise MalformedError(f"{tensor} has data_offsets {shown(str(list(offsets)))}, not [begin, end]")
    size = byte_size(dtype, shape, tensor)
    if size != offsets[1] - offsets[0]:
        claimed = shown(str(offsets[1] - offsets[0]))
        raise MalformedError(f"{tensor} needs {size} bytes for its shape and dtype but claims {claimed}")
    return Entry(name, dtype, shape, data_start + offsets[0], size)


def _naturals(value: object, tensor: str, name: str) -> tuple[int, ...]:
    if not isinstance(value, list) or any(type(n) is not int or n < 0 for n in value):
        raise MalformedError(f"{tensor} has a {name} that is not a list of natural numbers")
    return tuple(value)


def _check_metadata(value: object, where: str) -> None:
    if not isinstance(value, dict) or any(not isinstance(text, str) for text in value.values()):
        raise MalformedError(f"{where} has a {METADATA} that does not map text to text")


def _check_tiling(entries: list[Entry], start: int, file_size: int, where: str) -> None:
    reached = start
    for entry in sorted(entries, key=lambda e: (e.start, e.size)):
        name = shown(entry.name)
        if entry.start < reached:
            raise MalformedError(f"{where} has tensors that overlap: {name} begins inside the one before it")
        if entry.start > reached:
            raise MalformedError(f"{where} has a hole before tensor {name}")
        reached += entry.size
        if reached > file_size:
            raise MalformedError(f"{where} is cut off: tensor {name} ends at byte {reached} of {file_size}")
    if reached != file_size:
        raise MalformedError(f"{where} has {file_size - reached} bytes after its last tensor")
