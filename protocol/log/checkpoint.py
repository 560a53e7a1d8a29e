"""What the keeper of a log signs: how many records it has and their root (https://c2sp.org/tlog-checkpoint).

A round has as many logs as nodes that keep one, so the origin names round and keeper::

    umm/round/<round id, 64 hex digits>/<id of the keeper's key, 64 hex digits>
    <number of records>
    <base64 of the root: RFC 6962 with SHA-256 over the record ids>

The signature's key name is the origin. A keeper never signs two checkpoints of which one did not grow from the other:
that would be a `Fork`.
"""

import re
from dataclasses import dataclass
from typing import Self

from protocol import merkle
from protocol.errors import ForgedError, MalformedError, UsageError
from protocol.identity import Key, PublicKey
from protocol.log.lines import hash_of, number
from protocol.log.note import Note, NoteKey
from protocol.strict import shown, to_base64

ORIGIN = re.compile(r"umm/round/[0-9a-f]{64}/[0-9a-f]{64}", re.ASCII)
"""Of our own logs. What a node signs in plain begins like this and can be mistaken for nothing else that it signs."""

ID_BYTES = 32

EMPTY_ROOT = merkle.sha256_hash(b"")


def origin(round_id: bytes, keeper: PublicKey) -> str:
    """The name of the log that a node keeps of a round."""
    if len(round_id) != ID_BYTES:
        raise UsageError(f"a round's id has {ID_BYTES} bytes, not {len(round_id)}")
    return f"umm/round/{round_id.hex()}/{keeper.id.hex()}"


def log_key(round_id: bytes, keeper: PublicKey) -> NoteKey:
    """Whose signature counts on checkpoints of a node's log of a round."""
    return NoteKey(origin(round_id, keeper), keeper)


@dataclass(frozen=True)
class Checkpoint:
    """A log at one size. ``extensions`` are lines that others may add and that mean nothing to us."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if any(not line or "\n" in line for line in (self.origin, *self.extensions)):
            raise MalformedError("a checkpoint has an empty line in its text")
        if not 0 <= self.size <= merkle.MAX_LEAVES or len(self.root) != merkle.HASH_BYTES:
            raise MalformedError(f"a checkpoint of {self.size} records with a root of {len(self.root)} bytes")
        if self.size == 0 and self.root != EMPTY_ROOT:
            raise MalformedError("a checkpoint of no records with a root other than that of the empty tree")

    @classmethod
    def open(cls, note: bytes, key: NoteKey) -> Self:
        """The checkpoint in a note that this key signed and whose origin is the key's name."""
        opened = Note.parse(note)
        opened.verify(key)
        found = cls.parse(opened.text)
        if found.origin != key.name:
            raise ForgedError(f"a checkpoint of the log {shown(found.origin)}, not of {shown(key.name)}")
        return found

    @classmethod
    def parse(cls, text: str) -> Self:
        """The checkpoint in a note's text."""
        lines = text.split("\n")
        if len(lines) < 4 or lines.pop():
            raise MalformedError("a checkpoint has three lines, each with its newline")
        size = number(lines[1], "a checkpoint's size")
        return cls(lines[0], size, hash_of(lines[2], "a checkpoint's root"), tuple(lines[3:]))

    @property
    def text(self) -> str:
        """What is signed."""
        return "".join(f"{line}\n" for line in (self.origin, self.size, to_base64(self.root), *self.extensions))

    def sign(self, key: Key) -> bytes:
        """A note with the keeper's signature."""
        if not ORIGIN.fullmatch(self.origin) or not self.origin.endswith(key.public.id.hex()):
            raise UsageError(f"{key.public.name} does not keep the log {shown(self.origin)}")
        if self.extensions:
            raise UsageError("checkpoints are signed without extension lines")
        return Note.sign(self.text, self.origin, key).encode()
