"""A blob's name and the digests of its chunks, so that each chunk proves itself before it touches a disk.

- **Chunk digest**: BLAKE3 of ``CHUNK_BYTES`` bytes, of fewer for the last one.
- **Blob id**: BLAKE3 of ``field("umm/blob/1") size root``, size in 8 bytes little-endian, root the tree of ``merkle``
  over the chunk digests.
- **Chunk list**: size in 8 bytes little-endian, then the digests, and nothing else. Size is at most
  ``MAX_BLOB_BYTES`` and says how many digests there are. A list is believed only when it hashes to the id asked for.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Self

from blake3 import blake3

from protocol import merkle
from protocol.errors import ForgedError, MalformedError, TooLargeError, UsageError
from protocol.field import field

CHUNK_BYTES = 1 << 20
"""What is verified, stored and asked for as one."""

MAX_BLOB_BYTES = 1 << 40

DIGEST_BYTES = 32
SIZE_BYTES = 8

MAX_CHUNK_LIST_BYTES = SIZE_BYTES + MAX_BLOB_BYTES // CHUNK_BYTES * DIGEST_BYTES
"""33 554 440: the list of the largest blob."""

BLOB_DOMAIN = b"umm/blob/1"


@dataclass(frozen=True)
class ChunkList:
    """A blob by its chunks."""

    size: int
    digests: tuple[bytes, ...]

    def __post_init__(self) -> None:
        _check_size(self.size)
        if len(self.digests) != chunk_count(self.size):
            raise MalformedError(
                f"{len(self.digests)} chunk digests for {self.size} bytes; it takes {chunk_count(self.size)}"
            )
        if any(len(digest) != DIGEST_BYTES for digest in self.digests):
            raise MalformedError(f"a chunk digest is not {DIGEST_BYTES} bytes long")

    @cached_property
    def id(self) -> bytes:
        """The name of the blob."""
        return blob_id(self.size, merkle.root(self.digests))

    @classmethod
    def of(cls, data: bytes | bytearray | memoryview) -> Self:
        """The list of a blob that is at hand."""
        hasher = Hasher()
        hasher.update(data)
        made = hasher.finish()
        return cls(made.size, made.digests)

    @classmethod
    def parse(cls, data: bytes, expected_id: bytes) -> Self:
        """The list of the blob ``expected_id``."""
        if len(data) > MAX_CHUNK_LIST_BYTES:
            raise TooLargeError(f"a chunk list of {len(data)} bytes; at most {MAX_CHUNK_LIST_BYTES} are allowed")
        if len(data) < SIZE_BYTES:
            raise MalformedError(f"a chunk list of {len(data)} bytes; it begins with a size of {SIZE_BYTES}")
        size = int.from_bytes(data[:SIZE_BYTES], "little")
        _check_size(size)
        length = chunk_list_bytes(size)
        if len(data) != length:
            raise MalformedError(f"a chunk list of {len(data)} bytes; for {size} bytes of content it has {length}")
        made = cls(size, tuple(data[i : i + DIGEST_BYTES] for i in range(SIZE_BYTES, length, DIGEST_BYTES)))
        if made.id != expected_id:
            raise ForgedError(f"a chunk list of blob {made.id.hex()} in place of {expected_id.hex()}")
        return made

    def encode(self) -> bytes:
        """The bytes that ``parse`` reads."""
        return self.size.to_bytes(SIZE_BYTES, "little") + b"".join(self.digests)

    def chunk_length(self, index: int) -> int:
        """Bytes in a chunk: ``CHUNK_BYTES``, or what is left for the last one."""
        if not 0 <= index < len(self.digests):
            raise UsageError(f"a blob of {self.size} bytes has no chunk {index}")
        return min(CHUNK_BYTES, self.size - index * CHUNK_BYTES)

    def check(self, index: int, chunk: bytes | bytearray | memoryview) -> None:
        """Refuse bytes that are not this chunk."""
        if not 0 <= index < len(self.digests):
            raise ForgedError(f"a blob of {self.size} bytes has no chunk {index}")
        check_chunk(self.digests[index], self.chunk_length(index), chunk)


class Hasher:
    """A chunk list in the making: feed it the bytes in order, cut anywhere."""

    def __init__(self) -> None:
        self._size = 0
        self._digests: list[bytes] = []
        self._chunk = blake3()

    def update(self, data: bytes | bytearray | memoryview) -> None:
        """Take the next bytes."""
        rest = memoryview(data).cast("B")
        if self._size + len(rest) > MAX_BLOB_BYTES:
            raise TooLargeError(f"a blob holds at most {MAX_BLOB_BYTES} bytes")
        while rest:
            room = CHUNK_BYTES - self._size % CHUNK_BYTES
            self._chunk.update(rest[:room])
            self._size += len(rest[:room])
            if self._size % CHUNK_BYTES == 0:
                self._digests.append(self._chunk.digest())
                self._chunk = blake3()
            rest = rest[room:]

    def finish(self) -> ChunkList:
        """The list of all bytes so far."""
        begun = [self._chunk.digest()] if self._size % CHUNK_BYTES else []
        return ChunkList(self._size, (*self._digests, *begun))


def chunk_digest(chunk: bytes | bytearray | memoryview) -> bytes:
    """The digest of one chunk."""
    return blake3(chunk).digest()


def chunk_count(size: int) -> int:
    """Chunks of a blob."""
    return -(-size // CHUNK_BYTES)


def chunk_list_bytes(size: int) -> int:
    """Bytes of the chunk list of a blob: what a peer may send for one of this size."""
    return SIZE_BYTES + chunk_count(size) * DIGEST_BYTES


def blob_id(size: int, root: bytes) -> bytes:
    """The name of a blob of ``size`` bytes whose chunk digests have this root."""
    return blake3(field(BLOB_DOMAIN) + size.to_bytes(SIZE_BYTES, "little") + root).digest()


def check_chunk(digest: bytes, length: int, chunk: bytes | bytearray | memoryview) -> None:
    """Refuse bytes that are not the chunk of this digest and length."""
    size = memoryview(chunk).nbytes
    if size != length:
        raise ForgedError(f"a chunk of {size} bytes in place of {length}")
    if chunk_digest(chunk) != digest:
        raise ForgedError(f"a chunk that does not hash to {digest.hex()}")


def _check_size(size: int) -> None:
    if not 0 <= size <= MAX_BLOB_BYTES:
        raise TooLargeError(f"a blob of {size} bytes; 0 to {MAX_BLOB_BYTES} are allowed")
