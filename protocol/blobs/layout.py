"""Where every byte of a model folder's weights will lie, decided before the first one is written. Pure.

Two people who assemble the same manifest with the same ``shard_bytes`` get the same bytes in every file:

1. Tensors are dealt to files in order of name, a new file beginning when the next tensor would take one past
   ``shard_bytes``.
2. Inside a file the widest dtypes come first, then names, as in the reference implementation of safetensors: every
   tensor is then aligned to its own width.
3. The header is JSON without spaces, first ``__metadata__`` with ``format: pt``, then the tensors as they lie; spaces
   fill it up to a multiple of 8 bytes.
4. One file is called ``model.safetensors``; more are ``model-00001-of-00003.safetensors`` and so on beside
   ``model.safetensors.index.json`` (with the word of the kind in place of ``model``).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from protocol.blobs import weights_json
from protocol.blobs.kinds import About
from protocol.blobs.safetensors_header import PREFIX_BYTES
from protocol.blobs.tensor import DTYPE_BITS, METADATA
from protocol.errors import TooLargeError, UsageError

if TYPE_CHECKING:  # a manifest checks its own layout
    from protocol.blobs.manifest import Manifest, TensorEntry

ALIGNMENT_BYTES = 8
"""What a header is filled up to."""

SHARD_BYTES = 5 * 10**9
"""Where a new file begins when nobody says otherwise, as everywhere in this field."""

MAX_SHARDS = 4096
"""Files of one folder."""

ONLY = "umm-only.json"
"""Lies in a folder that was made with a part of a model: it lists the tensors whose values are there."""


@dataclass(frozen=True)
class Shard:
    """One weight file: prefix and header, then these tensors one behind the other."""

    file: str
    head: bytes
    tensors: tuple[TensorEntry, ...]

    @property
    def size(self) -> int:
        """Length of the file in bytes."""
        return len(self.head) + sum(tensor.size for tensor in self.tensors)


@dataclass(frozen=True)
class Layout:
    """All weight files, and the bytes of the index where there is more than one."""

    shards: tuple[Shard, ...]
    index: bytes | None


def lay_out(manifest: Manifest, shard_bytes: int = SHARD_BYTES) -> Layout:
    """Deal the tensors of a manifest to files and build every header."""
    if shard_bytes <= 0:
        raise UsageError(f"files of {shard_bytes} bytes cannot hold anything")
    about = manifest.about
    groups = _deal(manifest.tensors, shard_bytes) if about.SHARDED else [list(manifest.tensors)]
    if len(groups) > MAX_SHARDS:
        raise UsageError(f"files of {shard_bytes} bytes would be {len(groups)}; the limit is {MAX_SHARDS}")
    shards = tuple(_shard(shard_name(about, i, len(groups)), group) for i, group in enumerate(groups))
    return Layout(shards, _index(shards, index_name(about)) if len(shards) > 1 else None)


def check(manifest: Manifest) -> None:
    """Refuse a manifest of which no folder could be made that anybody would read again."""
    try:
        lay_out(manifest)
    except UsageError as error:
        raise TooLargeError(f"a manifest that cannot be assembled: {error}") from error


def shard_name(about: About, i: int, count: int) -> str:
    """The name of the file number ``i``, counted from 0."""
    return f"{about.WEIGHTS}-{i + 1:05d}-of-{count:05d}.safetensors" if count > 1 else single_name(about)


def single_name(about: About) -> str:
    """The name of the only weight file."""
    return f"{about.WEIGHTS}.safetensors"


def index_name(about: About) -> str:
    """The name of the file that says which tensor is in which file."""
    return f"{about.WEIGHTS}.safetensors.index.json"


def _deal(tensors: Sequence[TensorEntry], shard_bytes: int) -> list[list[TensorEntry]]:
    groups: list[list[TensorEntry]] = [[]]
    filled = 0
    for tensor in tensors:
        if groups[-1] and filled + tensor.size > shard_bytes:
            groups.append([])
            filled = 0
        groups[-1].append(tensor)
        filled += tensor.size
    return groups


def _shard(file: str, group: list[TensorEntry]) -> Shard:
    tensors = tuple(sorted(group, key=lambda tensor: (-DTYPE_BITS[tensor.dtype], tensor.name)))
    header: dict[str, object] = {METADATA: {"format": "pt"}}
    at = 0
    for tensor in tensors:
        offsets = [at, at := at + tensor.size]
        header[tensor.name] = {"dtype": tensor.dtype, "shape": list(tensor.shape), "data_offsets": offsets}
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % ALIGNMENT_BYTES)
    weights_json.check_size(text, f"the header of {file}")  # the rest of what we would refuse, no manifest has
    head = len(text).to_bytes(PREFIX_BYTES, "little") + text
    return Shard(file, head, tensors)


def _index(shards: Sequence[Shard], name: str) -> bytes:
    total = sum(tensor.size for shard in shards for tensor in shard.tensors)
    weight_map = {tensor.name: shard.file for shard in shards for tensor in shard.tensors}
    found = {"metadata": {"total_size": total}, "weight_map": weight_map}
    text = (json.dumps(found, indent=2, sort_keys=True) + "\n").encode()
    weights_json.check_size(text, name)
    return text
