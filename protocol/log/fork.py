"""Proof, for anyone and for ever, that a keeper told two stories: two signed checkpoints that exclude one another.

Of one size, two different roots are enough. Of two sizes, a path through the newer tree leads to its root and, from the
same hashes, to the root that its beginning has; the older checkpoint says another. The path is that of a growth proof
with its starting point always spelled out.

Layout: ``field("umm/log-fork") version field(older) field(newer) path``; version is one byte, older and newer are notes
verbatim, the path is hashes of 32 bytes up to the end, none where the sizes are equal.
"""

from dataclasses import dataclass
from typing import Self

from protocol import merkle
from protocol.errors import ForgedError, MalformedError, TooLargeError
from protocol.field import field
from protocol.log.checkpoint import Checkpoint
from protocol.log.note import MAX_NOTE_BYTES, NoteKey
from protocol.reader import Reader

DOMAIN = b"umm/log-fork"
VERSION = 1

MAX_FORK_BYTES = 2 * MAX_NOTE_BYTES + 4096


@dataclass(frozen=True)
class Fork:
    """Two notes of one keeper, and the path that shows that the newer log did not grow from the older one."""

    older: bytes
    newer: bytes
    path: tuple[bytes, ...]

    def __post_init__(self) -> None:
        if max(len(self.older), len(self.newer)) > MAX_NOTE_BYTES or len(self.path) > merkle.MAX_PATH:
            raise TooLargeError(f"a fork proof with a note beyond {MAX_NOTE_BYTES} bytes or too many hashes")
        if any(len(node) != merkle.HASH_BYTES for node in self.path):
            raise MalformedError(f"a fork proof with a hash that is not {merkle.HASH_BYTES} bytes long")

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """A proof that nobody has checked yet."""
        reader = Reader(data, "a fork proof", MAX_FORK_BYTES)
        reader.domain(DOMAIN)
        reader.version(VERSION)
        return cls(reader.field(MAX_NOTE_BYTES, "note"), reader.field(MAX_NOTE_BYTES, "note"), reader.hashes())

    def encode(self) -> bytes:
        """The bytes that ``parse`` reads."""
        return field(DOMAIN) + bytes([VERSION]) + field(self.older) + field(self.newer) + b"".join(self.path)

    def check(self, key: NoteKey) -> None:
        """Refuse a proof that does not show that this key told two stories."""
        older, newer = Checkpoint.open(self.older, key), Checkpoint.open(self.newer, key)
        if older.size != newer.size:
            before, after = merkle.grown_roots(older.size, newer.size, self.path, merkle.sha256_hash)
        elif self.path:
            raise ForgedError("a fork proof of two checkpoints of one size takes no path")
        else:
            before = after = newer.root
        if after != newer.root:
            raise ForgedError("the fork proof's path does not lead to the root of the newer checkpoint")
        if before == older.root:
            raise ForgedError("the two checkpoints of the fork proof tell the same story")
