"""Where every byte of the output will lie, decided before the first one is written. Pure.

Tensors are dealt to files in the order of their names, a new file beginning when the next tensor would take
one past ``shard_bytes``. Inside a file the widest dtypes come first, then names, as in the reference
implementation: every tensor is then aligned to its own width.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from umm.checkpoint.dtype import Dtype
from umm.checkpoint.folder import INDEX, SINGLE
from umm.checkpoint.header import DTYPE_BITS, METADATA, PREFIX_BYTES, byte_size, parse_header

ALIGNMENT_BYTES = 8
"""Headers are padded with spaces to a multiple of it, as the reference implementation does."""


@dataclass(frozen=True)
class OutTensor:
    """A tensor to be written; ``dtype`` may be given as the enum or as a header spells it."""

    name: str
    dtype: Dtype | str
    shape: tuple[int, ...]

    @property
    def header_dtype(self) -> str:
        """The dtype as a header spells it."""
        return self.dtype.header if isinstance(self.dtype, Dtype) else self.dtype

    @property
    def size(self) -> int:
        """Length in bytes."""
        size = byte_size(self.header_dtype, self.shape)
        if size is None:
            raise ValueError(f"{self.name} cannot have the shape {self.shape}")
        return size


@dataclass(frozen=True)
class Shard:
    """One weight file: its name, prefix and header, and its whole length."""

    file: str
    head: bytes
    size: int


@dataclass(frozen=True)
class Place:
    """Where a tensor's bytes go: a file, and the absolute offset in it."""

    tensor: OutTensor
    file: str
    start: int


@dataclass(frozen=True)
class Layout:
    """All files and places; ``index`` is None when there is one file."""

    shards: tuple[Shard, ...]
    places: Mapping[str, Place]
    index: bytes | None

    @property
    def last(self) -> str:
        """The file whose appearance makes the model visible, published after all others."""
        return self.shards[0].file if self.index is None else INDEX

    @property
    def size(self) -> int:
        """Length of all weight files together."""
        return sum(s.size for s in self.shards)


def lay_out(tensors: Sequence[OutTensor], shard_bytes: int, metadata: Mapping[str, str]) -> Layout:
    """Deal the tensors to files and build every header."""
    if len({t.name for t in tensors}) != len(tensors):
        raise ValueError("two output tensors have the same name")
    groups = _deal(sorted(tensors, key=lambda t: t.name), shard_bytes)
    names = [SINGLE] if len(groups) == 1 else [_shard_name(i, len(groups)) for i in range(len(groups))]
    shards: list[Shard] = []
    places: dict[str, Place] = {}
    for file, group in zip(names, groups, strict=True):
        shard, own = _shard(file, group, metadata)
        shards.append(shard)
        places |= own
    places = dict(sorted(places.items()))
    return Layout(tuple(shards), places, _index(places) if len(groups) > 1 else None)


def json_bytes(value: object) -> bytes:
    """JSON the way transformers writes it: sorted keys, two spaces, one final newline."""
    return (json.dumps(value, indent=2, sort_keys=True) + "\n").encode()


def _deal(tensors: list[OutTensor], shard_bytes: int) -> list[list[OutTensor]]:
    groups: list[list[OutTensor]] = [[]]
    filled = 0
    for tensor in tensors:
        if groups[-1] and filled + tensor.size > shard_bytes:
            groups.append([])
            filled = 0
        groups[-1].append(tensor)
        filled += tensor.size
    return groups


def _shard_name(i: int, count: int) -> str:
    return f"model-{i + 1:05d}-of-{count:05d}.safetensors"


def _shard(file: str, group: list[OutTensor], metadata: Mapping[str, str]) -> tuple[Shard, dict[str, Place]]:
    header: dict[str, object] = {METADATA: dict(sorted(metadata.items()))} if metadata else {}
    starts: dict[str, int] = {}
    at = 0
    for tensor in sorted(group, key=lambda t: (-DTYPE_BITS[t.header_dtype], t.name)):
        starts[tensor.name], end = at, at + tensor.size
        header[tensor.name] = {
            "dtype": tensor.header_dtype,
            "shape": list(tensor.shape),
            "data_offsets": [at, end],
        }
        at = end
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % ALIGNMENT_BYTES)
    head = len(text).to_bytes(PREFIX_BYTES, "little") + text
    parse_header(head, len(head) + at, file)  # what we write, we would accept
    places = {t.name: Place(t, file, len(head) + starts[t.name]) for t in group}
    return Shard(file, head, len(head) + at), places


def _index(places: Mapping[str, Place]) -> bytes:
    total = sum(p.tensor.size for p in places.values())
    weight_map = {name: place.file for name, place in places.items()}
    return json_bytes({"metadata": {"total_size": total}, "weight_map": weight_map})
