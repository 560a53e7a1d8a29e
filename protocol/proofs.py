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
from protocol.errors import ForgedError, MalformedError, TooLargeError, TooNewError, UsageError
from protocol.field import field

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
        fields = _Fields(data, _TENSOR, TENSOR_PROOF)
        name, dtype = fields.text(MAX_NAME_BYTES), fields.text(MAX_NAME_BYTES)
        dimensions = fields.integer(4)
        if dimensions > MAX_DIMENSIONS:
            raise TooLargeError(f"a tensor proof with {dimensions} dimensions; at most {MAX_DIMENSIONS} are allowed")
        shape = tuple(fields.integer(8) for _ in range(dimensions))
        blob, index, count = fields.take(merkle.HASH_BYTES), fields.integer(8), fields.integer(8)
        return cls(name, dtype, shape, blob, index, count, fields.path())

    def encode(self) -> bytes:
        """The bytes that ``parse`` reads."""
        shape = _u32(len(self.shape)) + b"".join(_u64(side) for side in self.shape)
        names = field(self.name.encode()) + field(self.dtype.encode())
        place = _u64(self.index) + _u64(self.count) + b"".join(self.path)
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
        fields = _Fields(data, "a chunk proof", CHUNK_PROOF)
        size, index, digest = fields.integer(8), fields.integer(8), fields.take(merkle.HASH_BYTES)
        return cls(size, index, digest, fields.path())

    def encode(self) -> bytes:
        """The bytes that ``parse`` reads."""
        return _head(CHUNK_PROOF) + _u64(self.size) + _u64(self.index) + self.digest + b"".join(self.path)

    def check(self, blob: bytes) -> None:
        """Refuse when the chunk is not shown to be in this blob, at this index."""
        root = merkle.proven_root(self.digest, self.index, chunk_count(self.size), self.path)
        if blob_id(self.size, root) != blob:
            raise ForgedError(f"the proof does not lead from chunk {self.index} to the blob {blob.hex()}")

    def check_chunk(self, chunk: bytes | bytearray | memoryview) -> None:
        """Refuse bytes that are not the chunk."""
        check_chunk(self.digest, min(CHUNK_BYTES, self.size - self.index * CHUNK_BYTES), chunk)


class _Fields:
    """Reads the fields of a proof one after another, never beyond its end."""

    def __init__(self, data: bytes, what: str, domain: bytes) -> None:
        self._data, self._what, self._at = data, what, 0
        if len(data) > MAX_PROOF_BYTES:
            raise TooLargeError(f"{what} of {len(data)} bytes; at most {MAX_PROOF_BYTES} are allowed")
        if not data.startswith(field(domain)):
            raise MalformedError(f"{what} does not begin with {domain.decode()}")
        self._at = len(field(domain))
        version = self.integer(1)
        if version > VERSION:
            raise TooNewError(f"{what} of version {version}; this program knows {VERSION}. Update it")
        if version < VERSION:
            raise MalformedError(f"{what} of version {version}, which never was")

    def take(self, length: int) -> bytes:
        """The next bytes."""
        end = self._at + length
        if end > len(self._data):
            raise MalformedError(f"{self._what} ends within a field, at byte {len(self._data)}")
        taken, self._at = self._data[self._at : end], end
        return taken

    def integer(self, length: int) -> int:
        """The next number."""
        return int.from_bytes(self.take(length), "little")

    def text(self, limit: int) -> str:
        """The next field of UTF-8."""
        length = self.integer(4)
        if length > limit:
            raise TooLargeError(f"{self._what} has a text of {length} bytes; at most {limit} are allowed")
        try:
            return self.take(length).decode()
        except UnicodeDecodeError:
            raise MalformedError(f"{self._what} has a text that is not UTF-8") from None

    def path(self) -> tuple[bytes, ...]:
        """The hashes that are left, to the end."""
        rest = self.take(len(self._data) - self._at)
        if len(rest) % merkle.HASH_BYTES:
            raise MalformedError(f"{self._what} has a path of {len(rest)} bytes, not of whole hashes")
        return tuple(rest[i : i + merkle.HASH_BYTES] for i in range(0, len(rest), merkle.HASH_BYTES))


def _check_path(index: int, count: int, path: tuple[bytes, ...]) -> None:
    if not 0 <= index < count:
        raise MalformedError(f"a proof for leaf {index} of {count}")
    if len(path) != merkle.inclusion_length(index, count):
        raise MalformedError(f"a proof of {len(path)} hashes for leaf {index} of {count}")
    if any(len(node) != merkle.HASH_BYTES for node in path):
        raise MalformedError("a proof with a hash that is not 32 bytes long")


def _head(domain: bytes) -> bytes:
    return field(domain) + bytes([VERSION])


def _u32(number: int) -> bytes:
    return number.to_bytes(4, "little")


def _u64(number: int) -> bytes:
    return number.to_bytes(8, "little")
