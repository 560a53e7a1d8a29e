"""Golden manifests and the folders assembled from them, computed from their description alone.

Values and files are given in hex; a blob's id follows from them (``make_digest``).
"""

import json
from collections.abc import Sequence

from tests.vectors.make_digest import blob_id, file_leaf, tensor_leaf, tree

Tensor = tuple[str, str, list[int], str]
"""Name, dtype, shape, values in hex."""

File = tuple[str, str]
"""Name, content in hex."""

WIDTHS = {"I64": 8, "F32": 4, "BF16": 2, "U8": 1}

BASE = bytes(range(32))

CONFIG = ("config.json", b'{"model_type": "llama"}\n'.hex())
TENSORS: list[Tensor] = [
    ("lm_head.weight", "BF16", [2, 3], "00803f0040c04000c0bf8040"),
    ("model.embed_tokens.weight", "BF16", [2, 3], "00803f0040c04000c0bf8040"),
    ("model.layers.0.ids", "I64", [1], "0700000000000000"),
    ("model.layers.0.mask", "U8", [3], "010001"),
    ("model.norm.weight", "F32", [], "0000803f"),
    ("é\U0001d11e", "F32", [0, 4], ""),
]

MANIFESTS: list[tuple[str, int, bytes, list[File], list[Tensor]]] = [
    ("checkpoint", 1, b"", [CONFIG, ("tokenizer.json", "7b7d0a"), ("vocab.txt", "")], TENSORS),
    ("delta", 2, BASE + b"\x01", [], TENSORS[:2]),
    ("adapter", 3, BASE, [("adapter_config.json", "7b7d0a")], [("lora_A.weight", "F32", [1, 2], "0000803f000000bf")]),
    ("distributions", 4, BASE + (64).to_bytes(2, "little"), [("responses.jsonl", "7b7d0a")], [TENSORS[3]]),
]

SHARDINGS = [("model", 10**9), ("model", 24), ("model", 1)]
"""Shard sizes for the checkpoint: one file, some, and one for each tensor that is not empty."""


def vectors() -> dict[str, object]:
    """The content of ``manifest.json``."""
    return {
        "manifests": [_manifest(*made) for made in MANIFESTS],
        "folders": [
            {"shard_bytes": size, "files": {n: data.hex() for n, data in weight_files(word, TENSORS, size).items()}}
            for word, size in SHARDINGS
        ],
    }


def manifest_bytes(kind: int, about: bytes, files: Sequence[File], tensors: Sequence[Tensor]) -> bytes:
    """A manifest with these tables in the order given, whatever they say."""
    text = field(b"umm/manifest") + bytes([1, kind]) + field(about)
    text += number(len(files), 4) + b"".join(file_line(*file) for file in files)
    return text + number(len(tensors), 4) + b"".join(tensor_line(*tensor) for tensor in tensors)


def file_line(name: str, data: str) -> bytes:
    """``field(name) size blob``."""
    content = bytes.fromhex(data)
    return field(name.encode()) + number(len(content), 8) + blob_id(content)


def tensor_line(name: str, dtype: str, shape: Sequence[int], data: str) -> bytes:
    """``field(name) field(dtype) n d_1 … d_n blob``."""
    sides = number(len(shape), 4) + b"".join(number(side, 8) for side in shape)
    return field(name.encode()) + field(dtype.encode()) + sides + blob_id(bytes.fromhex(data))


def weight_files(word: str, tensors: Sequence[Tensor], shard_bytes: int) -> dict[str, bytes]:
    """The weight files, and the index where there are several."""
    groups: list[list[Tensor]] = [[]]
    for tensor in sorted(tensors):
        if groups[-1] and sum(len(t[3]) for t in groups[-1]) + len(tensor[3]) > 2 * shard_bytes:
            groups.append([])
        groups[-1].append(tensor)
    if len(groups) == 1:
        return {f"{word}.safetensors": _weight_file(groups[0])}
    names = [f"{word}-{i:05d}-of-{len(groups):05d}.safetensors" for i in range(1, len(groups) + 1)]
    index = {
        "metadata": {"total_size": sum(len(t[3]) // 2 for t in tensors)},
        "weight_map": {t[0]: name for name, group in zip(names, groups, strict=True) for t in group},
    }
    text = json.dumps(index, indent=2, sort_keys=True) + "\n"
    files = {name: _weight_file(group) for name, group in zip(names, groups, strict=True)}
    return files | {f"{word}.safetensors.index.json": text.encode()}


def field(data: bytes) -> bytes:
    """The length in 4 bytes, then the bytes."""
    return number(len(data), 4) + data


def number(value: int, size: int) -> bytes:
    """Little-endian."""
    return value.to_bytes(size, "little")


def _weight_file(group: Sequence[Tensor]) -> bytes:
    lines, values = ['"__metadata__":{"format":"pt"}'], b""
    for name, dtype, shape, data in sorted(group, key=lambda t: (-WIDTHS[t[1]], t[0])):
        end = len(values) + len(data) // 2
        sides = ",".join(map(str, shape))
        lines.append(f'"{name}":{{"dtype":"{dtype}","shape":[{sides}],"data_offsets":[{len(values)},{end}]}}')
        values += bytes.fromhex(data)
    header = ("{" + ",".join(lines) + "}").encode()
    header += b" " * (-len(header) % 8)
    return number(len(header), 8) + header + values


def _manifest(
    name: str, kind: int, about: bytes, files: Sequence[File], tensors: Sequence[Tensor]
) -> dict[str, object]:
    text = manifest_bytes(kind, about, files, tensors)
    leaves = [tensor_leaf(n, d, s, bytes.fromhex(v)) for n, d, s, v in tensors]
    leaves += [file_leaf(n, bytes.fromhex(v)) for n, v in files]
    return {
        "kind": name,
        "about": about.hex(),
        "files": [{"name": n, "data": data} for n, data in files],
        "tensors": [{"name": n, "dtype": d, "shape": s, "data": data} for n, d, s, data in tensors],
        "bytes": text.hex(),
        "id": blob_id(text).hex(),
        "root": tree(leaves).hex(),
    }
