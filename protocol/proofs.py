"""Proof that a tensor is in a checkpoint, and that a chunk is in a blob: what a fault is shown with.

Together, and with the chunk's bytes, they prove what lies at a place of a tensor to someone who has nothing but the
checkpoint's root. Integers are little-endian; the last field ends the bytes.

- **Tensor proof**: ``field("umm/tensor-proof") version field(name) field(dtype) n d_1 … d_n blob_id index count path``
- **Chunk proof**: ``field("umm/chunk-proof") version size index digest path``

``version`` is one byte, ``n`` takes 4, each dimension, ``index``, ``count`` and ``size`` take 8, ids and digests 32.
The path is as many hashes of 32 bytes as index and count call for; of a blob, the count follows from the size.

A tensor proof shows that the tensor is in the checkpoint, not at which place: see ``merkle`` on counts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

from protocol import merkle
from protocol.blobs.chunks import CHUNK_BYTES, MAX_BLOB_BYTES, ChunkList, blob_id, check_chunk, chunk_count
from protocol.blobs.tensor import MAX_DIMENSIONS, MAX_NAME_BYTES, byte_size, check_name
from protocol.checkpoint_root import tensor_leaf
from protocol.errors import ForgedError, MalformedError, TooLargeError, UsageError
from protocol.field import field, number
from protocol.reader import Reader

TENSOR_PROOF = b"umm/tensor-proof"
CHUNK_PROOF = b"umm/chunk-proof"

VERSION = 1
"""The only one so far, of both."""

MAX_CHECKPOINT_LEAVES = 1 << 20
"""Tensors and files under a root."""

MAX_PROOF_BYTES = 4096
"""Of either proof; the longest ones possible are shorter."""

_TENSOR = "a tensor proof"


@dataclass(frozen=True)
class TensorProof:
    """A tensor and the way from its leaf to a checkpoint's root."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    blob_id: bytes
    index: int
    count: int
    path: tuple[bytes, ...]

    def __post_init__(self) -> None:
        check_name(self.name, _TENSOR)
        byte_size(self.dtype, self.shape, _TENSOR)
        if len(self.blob_id) != merkle.HASH_BYTES:
            raise MalformedError("a tensor proof with a blob id that is not 32 bytes long")
        if self.count > MAX_CHECKPOINT_LEAVES:
            raise TooLargeError(f"a tensor proof in a tree of {self.count}; at most {MAX_CHECKPOINT_LEAVES} leaves")
        _check_path(self.index, self.count, self.path)

    @classmethod
    def of(
        cls, tree: merkle.Tree, index: int, name: str, dtype: str, shape: Sequence[int], blob_id: bytes
    ) -> "TensorProof":
        """The proof for a tensor at ``index`` of the tree over ``checkpoint_root.ordered``."""
        made = cls(name, dtype, tuple(shape), blob_id, index, len(tree), tree.inclusion(index))
        if made._root != tree.root():
            raise UsageError(f"leaf {index} of the checkpoint is not the tensor {name!a}")
        return made

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """A proof that ``encode`` wrote; ``check`` says whether it holds."""
        reader = _reader(data, _TENSOR, TENSOR_PROOF)
        name, dtype = reader.text(MAX_NAME_BYTES), reader.text(MAX_NAME_BYTES)
        dimensions = reader.count(MAX_DIMENSIONS, 8, "dimensions")
        shape = tuple(reader.number(8) for _ in range(dimensions))
        blob, index, count = reader.take(merkle.HASH_BYTES), reader.number(8), reader.number(8)
        return cls(name, dtype, shape, blob, index, count, reader.hashes())

    def encode(self) -> bytes:
        """The bytes that ``parse`` reads."""
        shape = number(len(self.shape), 4) + b"".join(number(side, 8) for side in self.shape)
        names = field(self.name.encode()) + field(self.dtype.encode())
        place = number(self.index, 8) + number(self.count, 8) + b"".join(self.path)
        return _head(TENSOR_PROOF) + names + shape + self.blob_id + place

    def check(self, root: bytes) -> None:
        """Refuse when the tensor is not shown to be in the checkpoint of this root."""
        if self._root != root:
            raise ForgedError(f"the proof does not lead from tensor {self.name!a} to the root {root.hex()}")

    @cached_property
    def _root(self) -> bytes:
        leaf = tensor_leaf(self.name, self.dtype, self.shape, self.blob_id)
        return merkle.proven_root(leaf, self.index, self.count, self.path)


@dataclass(frozen=True)
class ChunkProof:
    """A chunk's digest and the way from it to a blob's id."""

    size: int
    index: int
    digest: bytes
    path: tuple[bytes, ...]

    def __post_init__(self) -> None:
        if not 0 <= self.size <= MAX_BLOB_BYTES:
            raise TooLargeError(f"a chunk proof in a blob of {self.size} bytes; at most {MAX_BLOB_BYTES} are allowed")
        if len(self.digest) != merkle.HASH_BYTES:
            raise MalformedError("a chunk proof with a digest that is not 32 bytes long")
        _check_path(self.index, chunk_count(self.size), self.path)

    @classmethod
    def of(cls, chunks: ChunkList, index: int) -> "ChunkProof":
        """The proof for one chunk of a blob."""
        path = merkle.inclusion(chunks.digests, index)
        return cls(chunks.size, index, chunks.digests[index], path)

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """A proof that ``encode`` wrote; ``check`` says whether it holds."""
        reader = _reader(data, "a chunk proof", CHUNK_PROOF)
        size, index, digest = reader.number(8), reader.number(8), reader.take(merkle.HASH_BYTES)
        return cls(size, index, digest, reader.hashes())

    def encode(self) -> bytes:
        """The bytes that ``parse`` reads."""
        return _head(CHUNK_PROOF) + number(self.size, 8) + number(self.index, 8) + self.digest + b"".join(self.path)

    def check(self, blob: bytes) -> None:
        """Refuse when the chunk is not shown to be in this blob, at this index."""
        root = merkle.proven_root(self.digest, self.index, chunk_count(self.size), self.path)
        if blob_id(self.size, root) != blob:
            raise ForgedError(f"the proof does not lead from chunk {self.index} to the blob {blob.hex()}")

    def check_chunk(self, chunk: bytes | bytearray | memoryview) -> None:
        """Refuse bytes that are not the chunk."""
        check_chunk(self.digest, min(CHUNK_BYTES, self.size - self.index * CHUNK_BYTES), chunk)


def _check_path(index: int, count: int, path: tuple[bytes, ...]) -> None:
    if not 0 <= index < count:
        raise MalformedError(f"a proof for leaf {index} of {count}")
    if len(path) != merkle.inclusion_length(index, count):
        raise MalformedError(f"a proof of {len(path)} hashes for leaf {index} of {count}")
    if any(len(node) != merkle.HASH_BYTES for node in path):
        raise MalformedError("a proof with a hash that is not 32 bytes long")


def _head(domain: bytes) -> bytes:
    return field(domain) + bytes([VERSION])


def _reader(data: bytes, what: str, domain: bytes) -> Reader:
    reader = Reader(data, what, MAX_PROOF_BYTES)
    reader.domain(domain)
    reader.version(VERSION)
    return reader
