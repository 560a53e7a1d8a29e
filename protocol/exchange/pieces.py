"""Chunks cut into pieces for the way, and put together again.

A **piece** is (index, size, data): a part of chunk ``index``, which has ``size`` bytes in all. Pieces are small so that
a slow line shows progress long before a chunk of 1 MiB is through.

What arrives is held to these rules; anything else is :class:`MalformedError`:

1. Chunks come in the order in which they were asked for, each in pieces from its first byte to its last.
2. Every piece of a chunk names the same size, 1 to ``CHUNK_BYTES``. All are full, ``PIECE_BYTES``, but the last, which
   holds the rest: a chunk in pieces of one byte would take its receiver many times its size and CPU.
3. A chunk that the peer does not have is one piece of size 0 without data.
4. Nothing follows the last chunk asked for.
5. A chunk list begins with a part of any size that shows the blob's; those that follow are full but for the last.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from protocol.blobs.chunks import CHUNK_BYTES, DIGEST_BYTES, SIZE_BYTES, ChunkList, chunk_list_bytes
from protocol.errors import MalformedError, TooLargeError

PIECE_BYTES = 256 * 1024
"""The most that one message carries: smaller ones cost more CPU per byte, larger ones hide progress."""

DIGESTS_PER_PART = PIECE_BYTES // DIGEST_BYTES


@dataclass(frozen=True)
class Piece:
    """A part of a chunk, or word that it is absent."""

    index: int
    size: int
    data: bytes


def cut(index: int, chunk: bytes | None) -> Iterator[Piece]:
    """The pieces of a chunk; the one that says so, when it is absent."""
    if chunk is None:
        yield Piece(index, 0, b"")
        return
    whole = memoryview(chunk)
    for start in range(0, len(whole), PIECE_BYTES):
        yield Piece(index, len(whole), bytes(whole[start : start + PIECE_BYTES]))


class Assembly:
    """The chunks of one request, growing from their pieces; only what has arrived is held."""

    def __init__(self, indices: Sequence[int]) -> None:
        self._awaited = list(reversed(indices))
        self._size = 0
        self._have = 0
        self._parts: list[bytes] = []

    def add(self, piece: Piece) -> tuple[int, bytes] | None:
        """Take the next piece; the chunk it completes, if it does."""
        self._check_place(piece)
        if piece.size == 0:
            self._skip(piece)
            return None
        due = min(PIECE_BYTES, piece.size - self._have)
        if len(piece.data) != due:
            raise MalformedError(f"a piece of {len(piece.data)} bytes of chunk {piece.index} where {due} are due")
        self._size = piece.size
        self._have += len(piece.data)
        self._parts.append(piece.data)
        if self._have < self._size:
            return None
        chunk = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._next()
        return piece.index, chunk

    def _check_place(self, piece: Piece) -> None:
        if not self._awaited:
            raise MalformedError(f"chunk {piece.index} after all that were asked for")
        if piece.index != self._awaited[-1]:
            raise MalformedError(f"chunk {piece.index} in place of {self._awaited[-1]}")
        if piece.size > CHUNK_BYTES:
            raise TooLargeError(f"a chunk of {piece.size} bytes; at most {CHUNK_BYTES} are allowed")
        if self._have and piece.size != self._size:
            raise MalformedError(f"chunk {piece.index} of {self._size} bytes, then of {piece.size}")

    def _skip(self, piece: Piece) -> None:
        if piece.data:
            raise MalformedError(f"{len(piece.data)} bytes of chunk {piece.index}, which is said to be absent")
        self._next()

    def _next(self) -> None:
        self._awaited.pop()
        self._size, self._have, self._parts = 0, 0, []


class ListAssembly:
    """A chunk list in the making; refused as soon as it is longer than a blob of ``limit`` bytes allows."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._parts: list[bytes] = []
        self._have = 0
        self._length = 0

    def add(self, data: bytes) -> None:
        """Take the next bytes."""
        if not 0 < len(data) <= PIECE_BYTES:
            raise MalformedError(f"{len(data)} bytes of a chunk list; it comes in parts of 1 to {PIECE_BYTES}")
        if not self._parts:
            self._length = self._announced(data)
        elif len(data) < min(PIECE_BYTES, self._length - self._have):
            raise MalformedError(
                f"{len(data)} bytes of a chunk list; its parts are full but for the first and the last"
            )
        if self._have + len(data) > self._length:
            raise MalformedError(f"more than the {self._length} bytes of the chunk list that was announced")
        self._parts.append(data)
        self._have += len(data)

    def whole(self) -> bytes | None:
        """The list's bytes, or None when they are not all there."""
        return b"".join(self._parts) if self._parts and self._have == self._length else None

    def _announced(self, data: bytes) -> int:
        if len(data) < SIZE_BYTES:
            raise MalformedError(f"a chunk list that begins with {len(data)} bytes; its size takes {SIZE_BYTES}")
        size = int.from_bytes(data[:SIZE_BYTES], "little")
        if size > self._limit:
            raise TooLargeError(f"a blob of {size} bytes where at most {self._limit} are accepted")
        return chunk_list_bytes(size)


def list_parts(chunks: ChunkList) -> Iterator[bytes]:
    """The bytes of a chunk list in parts, without ever holding them all."""
    yield chunks.size.to_bytes(SIZE_BYTES, "little")
    for start in range(0, len(chunks.digests), DIGESTS_PER_PART):
        yield b"".join(chunks.digests[start : start + DIGESTS_PER_PART])
