"""The log that a node keeps of a round: record ids in the order of acceptance, and what can be proven about them.

Pure, all in memory: the ids live in the node's store. Rules:

1. A record is in a log once; to append it again changes nothing.
2. At most ``MAX_RECORDS``.
3. A log that is rebuilt begins with the ids that were signed last: given that checkpoint, anything else is refused. The
   store therefore holds an id for good before a checkpoint over it is signed.
"""

from collections.abc import Iterable

from protocol import merkle
from protocol.errors import ForgedError, TooLargeError, UsageError
from protocol.identity import Key
from protocol.log.checkpoint import ID_BYTES, Checkpoint
from protocol.log.fork import Fork
from protocol.log.note import NoteKey
from protocol.log.proof import Growth, Inclusion

MAX_RECORDS = 1 << 20
"""In one round's log."""


class Log:
    """A log by its key: our own, or a copy of another node's, which needs no private key."""

    def __init__(self, key: NoteKey, ids: Iterable[bytes] = (), signed: bytes | None = None) -> None:
        """A log with these ids, which ``signed``, the newest checkpoint we know of, has to agree with."""
        self.key = key
        self._places: dict[bytes, int] = {}
        self._tree = merkle.Tree(hashed=merkle.sha256_hash)
        for record_id in ids:
            self.append(record_id)
        if signed is not None:
            self._check_grown_from(Checkpoint.open(signed, key))

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, record_id: object) -> bool:
        return record_id in self._places

    @property
    def ids(self) -> tuple[bytes, ...]:
        """Every record id, in order."""
        return tuple(self._places)

    def append(self, record_id: bytes) -> int:
        """The place of a record, at the end if it is new."""
        if len(record_id) != ID_BYTES:
            raise UsageError(f"a record id has {ID_BYTES} bytes, not {len(record_id)}")
        if record_id in self._places:
            return self._places[record_id]
        if len(self) >= MAX_RECORDS:
            raise TooLargeError(f"the log has {MAX_RECORDS} records, and no more are allowed")
        self._tree.append(record_id)
        self._places[record_id] = len(self)
        return self._places[record_id]

    def checkpoint(self, size: int | None = None) -> Checkpoint:
        """The log as it is, or as it was at a size."""
        return Checkpoint(self.key.name, len(self) if size is None else size, self._tree.root(size))

    def sign(self, key: Key) -> bytes:
        """A note with the checkpoint of now."""
        return self.checkpoint().sign(key)

    def inclusion(self, record_id: bytes, signed: bytes) -> Inclusion:
        """Proof that a record is in the log of a signed checkpoint."""
        if record_id not in self._places:
            raise UsageError(f"the record {record_id.hex()} is not in the log")
        index, size = self._places[record_id], self._grown_from(signed).size
        return Inclusion(index, self._tree.inclusion(index, size), signed)

    def growth(self, old: int, signed: bytes) -> Growth:
        """Proof that the log of a signed checkpoint grew from that of ``old`` records."""
        size = self._grown_from(signed).size
        return Growth(old, self._tree.consistency(old, size) if old else (), signed)

    def fork(self, one: bytes, other: bytes) -> Fork:
        """Proof that two checkpoints exclude one another, of which the one with more records is of this log."""
        older, newer = sorted((one, other), key=lambda note: Checkpoint.open(note, self.key).size)
        sizes = [Checkpoint.open(note, self.key).size for note in (older, newer)]
        path: tuple[bytes, ...] = ()
        if sizes[0] != sizes[1]:
            self._grown_from(newer)
            path = self._tree.growth(*sizes)
        made = Fork(older, newer, path)
        made.check(self.key)
        return made

    def _grown_from(self, signed: bytes) -> Checkpoint:
        found = Checkpoint.open(signed, self.key)
        self._check_grown_from(found)
        return found

    def _check_grown_from(self, found: Checkpoint) -> None:
        if found.size > len(self) or self._tree.root(found.size) != found.root:
            raise ForgedError(f"these {len(self)} records are not those of the checkpoint signed at {found.size}")
