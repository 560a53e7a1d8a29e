"""Model folders made byte by byte, without torch, numpy or the code under test."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from blake3 import blake3

Tensor = tuple[str, Sequence[int], bytes]
"""Dtype, shape and values."""

CONFIG = {"model_type": "llama"}


def safetensors_file(header: object, data: bytes = b"", *, length: int | None = None) -> bytes:
    """A file with this header (JSON value or bytes), whatever it says."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + data


def tensor_file(tensors: Mapping[str, Tensor]) -> bytes:
    """A well-formed file that holds these tensors in the order given."""
    header: dict[str, object] = {}
    data = b""
    for name, (dtype, shape, values) in tensors.items():
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [len(data), len(data) + len(values)]}
        data += values
    return safetensors_file(header, data)


def model_folder(folder: Path, tensors: Mapping[str, Tensor], files: Mapping[str, bytes] | None = None) -> Path:
    """A folder with one weight file, a config and these files."""
    return folder_of(folder, {"model.safetensors": tensor_file(tensors), **(files or {})})


def sharded_folder(folder: Path, shards: Mapping[str, Mapping[str, Tensor]]) -> Path:
    """A folder with several weight files and their index."""
    weight_map = {name: shard for shard, tensors in shards.items() for name in tensors}
    files = {shard: tensor_file(tensors) for shard, tensors in shards.items()}
    return folder_of(folder, {**files, "model.safetensors.index.json": json.dumps({"weight_map": weight_map}).encode()})


def folder_of(folder: Path, files: Mapping[str, bytes]) -> Path:
    """A folder with these files and a config."""
    folder.mkdir(parents=True)
    for name, data in {"config.json": json.dumps(CONFIG).encode(), **files}.items():
        (folder / name).write_bytes(data)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    """Every file in a folder."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def values(size: int, seed: int = 1) -> bytes:
    """Bytes of which no two chunks are alike, and that differ from seed to seed."""
    return blake3(seed.to_bytes(8, "little")).digest(size)
