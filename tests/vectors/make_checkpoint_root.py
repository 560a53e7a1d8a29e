"""Golden leaves, root and proofs of a checkpoint, made from their description alone."""

from tests.vectors.make_chunks import digests
from tests.vectors.make_digest import CHUNK, blob_id, file_leaf, pattern, tensor_leaf, tree
from tests.vectors.make_merkle import blake3_hash, path

CHUNK_INDEX = 2

TENSORS = [
    ("model.norm.weight", "BF16", [4], 3, 8),
    ("model.embed_tokens.weight", "F32", [CHUNK // 2 + 2, 1], 17, 2 * CHUNK + 8),
    ("lm_head.weight", "I8", [0, 7], 1, 0),
    ("é\U0001d11e", "F16", [], 5, 2),
]
FILES = [("tokenizer.json", 7, 3), ("config.json", 11, 100)]
"""Name, type, shape; then bytes as (step, size): byte i is ``i * step % 251``."""

PROVEN = TENSORS[1]
LONG = pattern(*PROVEN[3:])


def vectors() -> dict[str, object]:
    """The content of ``checkpoint_root.json``."""
    tensors = {t[0]: tensor_leaf(*t[:3], pattern(*t[3:])) for t in TENSORS}
    files = {name: file_leaf(name, pattern(step, size)) for name, step, size in FILES}
    leaves = [leaf for _, leaf in sorted(tensors.items())] + [leaf for _, leaf in sorted(files.items())]
    return {
        "tensors": [
            {"name": t[0], "dtype": t[1], "shape": t[2], **_blob(*t[3:]), "leaf": tensors[t[0]].hex()} for t in TENSORS
        ],
        "files": [{"name": f[0], **_blob(*f[1:]), "leaf": files[f[0]].hex()} for f in FILES],
        "root": tree(leaves).hex(),
        "tensor_proof": {"name": PROVEN[0], "bytes": tensor_proof(leaves, sorted(tensors)).hex()},
        "chunk_proof": {"index": CHUNK_INDEX, "bytes": chunk_proof().hex()},
    }


def tensor_proof(leaves: list[bytes], names: list[str]) -> bytes:
    """The proof of the long tensor."""
    name, dtype, shape, *_ = PROVEN
    index = names.index(name)
    sides = _u32(len(shape)) + b"".join(_u64(side) for side in shape)
    head = _field(b"umm/tensor-proof") + b"\x01" + _field(name.encode()) + _field(dtype.encode())
    place = _u64(index) + _u64(len(leaves))
    return head + sides + blob_id(LONG) + place + b"".join(path(index, leaves, blake3_hash))


def chunk_proof() -> bytes:
    """The proof of the last chunk of the long tensor."""
    found = digests(LONG)
    head = _field(b"umm/chunk-proof") + b"\x01" + _u64(len(LONG)) + _u64(CHUNK_INDEX)
    return head + found[CHUNK_INDEX] + b"".join(path(CHUNK_INDEX, found, blake3_hash))


def _blob(step: int, size: int) -> dict[str, object]:
    return {"step": step, "size": size, "blob": blob_id(pattern(step, size)).hex()}


def _field(data: bytes) -> bytes:
    return _u32(len(data)) + data


def _u32(number: int) -> bytes:
    return number.to_bytes(4, "little")


def _u64(number: int) -> bytes:
    return number.to_bytes(8, "little")
