"""Golden chunk lists, made from their description alone. Bytes are given as (step, size): see ``make_digest``."""

from tests.vectors.make_digest import CHUNK, blob_id, pattern
from tests.vectors.make_merkle import blake3_hash

BLOBS = [(1, 0), (1, 1), (3, 1000), (5, CHUNK - 1), (5, CHUNK), (7, CHUNK + 1), (11, 2 * CHUNK), (13, 3 * CHUNK + 5)]


def vectors() -> dict[str, object]:
    """The content of ``chunks.json``."""
    return {"blobs": [_of(step, size) for step, size in BLOBS]}


def chunk_list(data: bytes) -> bytes:
    """``size`` in 8 bytes, then the digest of each chunk."""
    return len(data).to_bytes(8, "little") + b"".join(digests(data))


def digests(data: bytes) -> list[bytes]:
    """Of every chunk."""
    return [blake3_hash(data[i : i + CHUNK]) for i in range(0, len(data), CHUNK)]


def _of(step: int, size: int) -> dict[str, object]:
    data = pattern(step, size)
    return {"step": step, "size": size, "id": blob_id(data).hex(), "list": chunk_list(data).hex()}
