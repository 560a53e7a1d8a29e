"""Golden leaves and roots, computed from their description alone: nothing of ``umm`` or ``protocol`` is used here.

Both rooms are held to these values. Bytes longer than a line are given as (step, size): byte i is ``i * step % 251``.
"""

from collections.abc import Sequence

from blake3 import blake3

CHUNK = 1 << 20

TENSORS = [
    ("model.embed_tokens.weight", "BF16", [2, 3], "00803f0040c04000c0bf8040"),
    ("a", "F32", [], "0000803f"),
    ("é\U0001d11e", "F16", [0, 4], ""),
    ("n", "I64", [1], "0700000000000000"),
    ("", "U8", [1, 1, 1], "ff"),
]
FILES = [("config.json", "7b7d0a"), ("tokenizer.json", ""), ("a", "0000803f")]
LONG = [(7, CHUNK - 1), (7, CHUNK), (11, CHUNK + 1), (13, 3 * CHUNK + 5)]
TREES = [0, 1, 2, 3, 4, 5, 7, 8, 9, 100]


def vectors() -> dict[str, object]:
    """The content of ``digest.json``."""
    tensors = {t[0]: tensor_leaf(*t[:3], bytes.fromhex(t[3])) for t in TENSORS}
    files = {name: file_leaf(name, bytes.fromhex(data)) for name, data in FILES}
    ordered = [leaf for _, leaf in sorted(tensors.items())] + [leaf for _, leaf in sorted(files.items())]
    return {
        "tensors": [
            {"name": name, "dtype": dtype, "shape": shape, "data": data, "leaf": tensors[name].hex()}
            for name, dtype, shape, data in TENSORS
        ],
        "files": [{"name": name, "data": data, "leaf": files[name].hex()} for name, data in FILES],
        "long": [
            {
                "step": step,
                "size": size,
                "blob": blob_id(pattern(step, size)).hex(),
                "leaf": long_leaf(step, size).hex(),
            }
            for step, size in LONG
        ],
        "root": tree(ordered).hex(),
        "trees": [{"count": n, "root": tree([_hash(b"leaf %d" % i) for i in range(n)]).hex()} for n in TREES],
    }


def pattern(step: int, size: int) -> bytes:
    """The bytes that a pair stands for."""
    return bytes(i * step % 251 for i in range(251)) * (size // 251) + bytes(i * step % 251 for i in range(size % 251))


def long_leaf(step: int, size: int) -> bytes:
    """The leaf of a pattern as a tensor called ``long``."""
    return tensor_leaf("long", "U8", [size], pattern(step, size))


def tensor_leaf(name: str, dtype: str, shape: Sequence[int], data: bytes) -> bytes:
    """``field("umm/tensor/1") field(name) field(dtype) n d_1 … d_n blob id``."""
    sides = b"".join(d.to_bytes(8, "little") for d in shape)
    text = _field(b"umm/tensor/1") + _field(name.encode()) + _field(dtype.encode())
    return _hash(text + len(shape).to_bytes(4, "little") + sides + blob_id(data))


def file_leaf(name: str, data: bytes) -> bytes:
    """``field("umm/file/1") field(name) blob id``."""
    return _hash(_field(b"umm/file/1") + _field(name.encode()) + blob_id(data))


def blob_id(data: bytes) -> bytes:
    """``field("umm/blob/1") size tree(chunk digests)``."""
    chunks = [_hash(data[i : i + CHUNK]) for i in range(0, len(data), CHUNK)]
    return _hash(_field(b"umm/blob/1") + len(data).to_bytes(8, "little") + tree(chunks))


def tree(leaves: Sequence[bytes]) -> bytes:
    """RFC 6962's hash with BLAKE3."""
    if not leaves:
        return _hash(b"")
    if len(leaves) == 1:
        return _hash(b"\x00" + leaves[0])
    left = 1
    while 2 * left < len(leaves):
        left *= 2
    return _hash(b"\x01" + tree(leaves[:left]) + tree(leaves[left:]))


def _field(data: bytes) -> bytes:
    return len(data).to_bytes(4, "little") + data


def _hash(data: bytes) -> bytes:
    return blake3(data).digest()
