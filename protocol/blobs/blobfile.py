"""One blob in one file: its chunk list, a byte for every chunk that says whether it is there, and the chunks.

Layout::

    16 bytes   umm/blob/store/1
    8 + 32 n   the chunk list, as it travels
    n          1 for a chunk that is there; anything else means missing
    …          zeros up to a multiple of 4096
    size       the chunks, each in its place; zeros where one is missing

A chunk is written before its byte is, so a process that dies in between leaves a chunk that is missing, never one that
is believed and torn. The list proves itself by the blob's id and a chunk by the list, so a file needs no other witness:
whatever a failing disk or a lost power supply made of it is found out when it is read.
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from protocol.blobs.chunks import CHUNK_BYTES, SIZE_BYTES, ChunkList, chunk_count, chunk_list_bytes
from protocol.blobs.disk import begin_writeback, read_up_to, reserve, write_exactly
from protocol.errors import MalformedError

MAGIC = b"umm/blob/store/1"
ALIGNMENT_BYTES = 4096
"""Chunks begin on a page of the disk."""

HERE = b"\x01"
MISSING = b"\x00"
GAP = re.compile(rb"[^\x01]+")


@dataclass(frozen=True)
class BlobFile:
    """An open file and the list that was found in it; the descriptor belongs to the caller."""

    fd: int
    chunks: ChunkList

    def has(self, index: int) -> bool:
        """Whether the chunk is there, as far as its byte says."""
        return os.pread(self.fd, 1, _flags_at(self.chunks.size) + index) == HERE

    def gaps(self) -> tuple[range, ...]:
        """The chunks that are missing."""
        flags = read_up_to(self.fd, len(self.chunks.digests), _flags_at(self.chunks.size))
        return tuple(range(*gap.span()) for gap in GAP.finditer(flags))

    def read(self, index: int) -> bytes | None:
        """The chunk's bytes, not verified; None if it is missing."""
        if not self.has(index):
            return None
        return read_up_to(self.fd, self.chunks.chunk_length(index), _chunk_at(self.chunks.size, index))

    def write(self, index: int, data: bytes | bytearray | memoryview) -> None:
        """The chunk's bytes; it stays missing until it is marked."""
        start = _chunk_at(self.chunks.size, index)
        write_exactly(self.fd, data, start)
        begin_writeback(self.fd, start, len(data))

    def mark(self, index: int) -> None:
        """From here on the chunk is there."""
        write_exactly(self.fd, HERE, _flags_at(self.chunks.size) + index)

    def forget(self, index: int) -> None:
        """From here on the chunk is missing."""
        write_exactly(self.fd, MISSING, _flags_at(self.chunks.size) + index)

    def removed(self) -> bool:
        """Whether the file has lost its name since it was opened."""
        return os.fstat(self.fd).st_nlink == 0


def create(path: Path, chunks: ChunkList) -> None:
    """Write the file of a blob of which nothing is there yet."""
    head = MAGIC + chunks.encode() + MISSING * len(chunks.digests)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        reserve(fd, file_bytes(chunks.size))
        write_exactly(fd, head.ljust(_data_at(chunks.size), b"\x00"), 0)
    finally:
        os.close(fd)


def read_list(fd: int, blob_id: bytes) -> ChunkList:
    """The chunk list in an open file, which must prove to be the one of this blob and must fit the file's length."""
    head = read_up_to(fd, len(MAGIC) + SIZE_BYTES, 0)
    size = int.from_bytes(head[len(MAGIC) :], "little")
    if not head.startswith(MAGIC) or len(head) < len(MAGIC) + SIZE_BYTES or os.fstat(fd).st_size != file_bytes(size):
        raise MalformedError("this is not the file of a blob")
    return ChunkList.parse(read_up_to(fd, chunk_list_bytes(size), len(MAGIC)), blob_id)


def file_bytes(size: int) -> int:
    """The length of the file of a blob of ``size`` bytes: what it counts for in a quota."""
    return _data_at(size) + size


def _flags_at(size: int) -> int:
    return len(MAGIC) + chunk_list_bytes(size)


def _data_at(size: int) -> int:
    end = _flags_at(size) + chunk_count(size)
    return end + -end % ALIGNMENT_BYTES


def _chunk_at(size: int, index: int) -> int:
    return _data_at(size) + index * CHUNK_BYTES
