"""Proofs about a log that need no network: this record is in it, and it only grew.

- `Inclusion` (https://c2sp.org/tlog-proof)::

      c2sp.org/tlog-proof@v1
      extra <base64; the line may be missing>
      index <place of the record>
      <base64 hash, from the leaf's sibling upwards> …

      <checkpoint, verbatim>

- `Growth` is the body that witnesses take (https://c2sp.org/tlog-witness, add-checkpoint)::

      old <size of the older checkpoint>
      <base64 hash> …

      <newer checkpoint, verbatim>

A leaf of the tree is a record id. Nothing is consistent with the empty log, so growth from size 0 has no hashes.
"""

import re
from dataclasses import dataclass
from typing import Self

from protocol import merkle
from protocol.errors import ForgedError, MalformedError, TooLargeError, TooNewError
from protocol.log.checkpoint import Checkpoint
from protocol.log.lines import hash_of, number
from protocol.log.note import MAX_NOTE_BYTES, NoteKey
from protocol.strict import from_base64, shown, to_base64

HEADER = "c2sp.org/tlog-proof@v1"
ANY_HEADER = re.compile(r"c2sp\.org/tlog-proof@v[1-9][0-9]{0,5}", re.ASCII)

MAX_EXTRA_BYTES = 4096
"""Extra data of an inclusion proof; ours have none."""

MAX_HEAD_BYTES = 16 * 1024
"""Everything before the checkpoint."""

MAX_PROOF_BYTES = MAX_HEAD_BYTES + MAX_NOTE_BYTES


@dataclass(frozen=True)
class Inclusion:
    """Proof that a record is in a log. Nothing vouches for ``extra``."""

    index: int
    path: tuple[bytes, ...]
    checkpoint: bytes
    extra: bytes = b""

    def __post_init__(self) -> None:
        _check(self.index, self.path, self.checkpoint)
        if len(self.extra) > MAX_EXTRA_BYTES:
            raise TooLargeError(f"an inclusion proof with {len(self.extra)} extra bytes; at most {MAX_EXTRA_BYTES}")

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """A proof that nobody has checked yet."""
        lines, checkpoint = _divided(data, "an inclusion proof")
        if lines[0] != HEADER:
            if ANY_HEADER.fullmatch(lines[0]):
                raise TooNewError(f"an inclusion proof of the form {lines[0]}; this program knows {HEADER}. Update it")
            raise MalformedError(f"an inclusion proof begins with {shown(lines[0])}")
        del lines[0]
        extra = b""
        if lines and lines[0].startswith("extra "):
            extra = from_base64(lines.pop(0).removeprefix("extra "), "an inclusion proof's extra data", MAX_EXTRA_BYTES)
            if not extra:
                raise MalformedError("an inclusion proof has a line for extra data and none in it")
        if not lines or not lines[0].startswith("index "):
            raise MalformedError("an inclusion proof has no line with the index where it should be")
        index = number(lines[0].removeprefix("index "), "an inclusion proof's index")
        return cls(index, _hashes(lines[1:]), checkpoint, extra)

    def encode(self) -> bytes:
        """The bytes that ``parse`` reads."""
        extra = [f"extra {to_base64(self.extra)}"] if self.extra else []
        return _joined([HEADER, *extra, f"index {self.index}"], self.path, self.checkpoint)

    def check(self, record_id: bytes, key: NoteKey) -> Checkpoint:
        """The checkpoint by this key in which the record is shown to be."""
        found = Checkpoint.open(self.checkpoint, key)
        merkle.check_inclusion(found.root, record_id, self.index, found.size, self.path, merkle.sha256_hash)
        return found


@dataclass(frozen=True)
class Growth:
    """Proof that a log at the size ``old`` became that of the checkpoint by growing."""

    old: int
    path: tuple[bytes, ...]
    checkpoint: bytes

    def __post_init__(self) -> None:
        _check(self.old, self.path, self.checkpoint)

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """A proof that nobody has checked yet."""
        lines, checkpoint = _divided(data, "a growth proof")
        if not lines[0].startswith("old "):
            raise MalformedError(f"a growth proof begins with {shown(lines[0])}")
        old = number(lines[0].removeprefix("old "), "a growth proof's size")
        return cls(old, _hashes(lines[1:]), checkpoint)

    def encode(self) -> bytes:
        """The bytes that ``parse`` reads."""
        return _joined([f"old {self.old}"], self.path, self.checkpoint)

    def check(self, older: Checkpoint, key: NoteKey) -> Checkpoint:
        """The newer checkpoint, shown to have grown from the older one, which the same key signed before."""
        found = Checkpoint.open(self.checkpoint, key)
        if (older.origin, older.size) != (key.name, self.old):
            raise ForgedError(f"the proof speaks of size {self.old}, not of {older.size} of {shown(older.origin)}")
        if self.old or self.path:
            merkle.check_consistency(older.root, self.old, found.root, found.size, self.path, merkle.sha256_hash)
        return found


def _divided(data: bytes, what: str) -> tuple[list[str], bytes]:
    """The lines of the head, and the checkpoint behind the first empty line."""
    if len(data) > MAX_PROOF_BYTES:
        raise TooLargeError(f"{what} of {len(data)} bytes; at most {MAX_PROOF_BYTES} are allowed")
    head, divider, checkpoint = data.partition(b"\n\n")
    if not divider:
        raise MalformedError(f"{what} has no empty line before its checkpoint")
    if len(head) > MAX_HEAD_BYTES:
        raise TooLargeError(f"{what} has {len(head)} bytes before its checkpoint; at most {MAX_HEAD_BYTES}")
    try:
        return head.decode("ascii").split("\n"), checkpoint
    except UnicodeDecodeError:
        raise MalformedError(f"{what} is not ASCII before its checkpoint") from None


def _joined(head: list[str], path: tuple[bytes, ...], checkpoint: bytes) -> bytes:
    lines = [*head, *(to_base64(node) for node in path), "", ""]
    return "\n".join(lines).encode("ascii") + checkpoint


def _hashes(lines: list[str]) -> tuple[bytes, ...]:
    if len(lines) > merkle.MAX_PATH:
        raise TooLargeError(f"a proof of {len(lines)} hashes; at most {merkle.MAX_PATH} are allowed")
    return tuple(hash_of(line, "a proof's hash") for line in lines)


def _check(number: int, path: tuple[bytes, ...], checkpoint: bytes) -> None:
    if not 0 <= number <= merkle.MAX_LEAVES:
        raise MalformedError(f"a proof that speaks of {number} records")
    if len(path) > merkle.MAX_PATH or len(checkpoint) > MAX_NOTE_BYTES:
        raise TooLargeError(f"a proof of {len(path)} hashes and a checkpoint of {len(checkpoint)} bytes")
    if any(len(node) != merkle.HASH_BYTES for node in path):
        raise MalformedError(f"a proof with a hash that is not {merkle.HASH_BYTES} bytes long")
