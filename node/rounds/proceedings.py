"""What was said in one round, as this node heard it: the ledger of what counts, the log of it, and both on the disk.

Rules:

1. What is accepted is on the disk before anybody is told of it, with the moment at which it was first seen; a node that
   starts again replays exactly that.
2. What this node says goes the same way: into its own ledger, onto the disk, and only then out.
3. The log is the order of acceptance. Its checkpoint is on the disk before it is shown: the log only ever grows.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from node.database import Database, Kept
from node.errors import UserError
from protocol.envelope import Envelope
from protocol.errors import PeerError, RuleError
from protocol.field import field
from protocol.identity import Key
from protocol.ledger import Ledger
from protocol.log import Log, log_key
from protocol.records import Commitment, Contribution, Record, Round, RoundRecord, Signed, open_record, sign


@dataclass(frozen=True)
class Heard:
    """What became of records that were offered: those that are new here, and why others were not taken, by id."""

    new: tuple[Signed[Record], ...] = ()
    refused: tuple[tuple[bytes, str], ...] = ()


class Proceedings:
    """One round that this node follows."""

    def __init__(self, round_: Signed[Round], database: Database, key: Key) -> None:
        self.round = round_
        self.ledger = Ledger(round_)
        self._database, self._key = database, key
        self._own: list[Signed[Record]] = []
        ids: list[bytes] = []
        for kept in database.records(round_.id):
            if kept.id == round_.id:
                continue
            signed = open_record(Envelope.parse(kept.envelope))
            self.ledger.accept(signed, kept.first_seen)
            self._enter(signed)
            ids.append(kept.id)
        self.log = Log(log_key(round_.id, key.public), ids, database.note(round_.id))

    @classmethod
    def open(cls, round_id: bytes, database: Database, key: Key) -> "Proceedings":
        """A round of which the Round record is on the disk."""
        envelope = database.envelope(round_id)
        if envelope is None:
            raise UserError(f"the round {round_id.hex()} is not known here; follow it first: umm round join ID")
        return cls(open_record(Envelope.parse(envelope), Round), database, key)

    @classmethod
    def begin(cls, round_: Signed[Round], database: Database, key: Key, now: float) -> "Proceedings":
        """Follow a round from now on."""
        database.add_records(round_.id, [Kept(round_.id, round_.envelope.encode(), now)])
        database.follow(round_.id, now)
        return cls(round_, database, key)

    @property
    def me(self) -> bytes:
        """This node's point."""
        return self._key.public.point

    @property
    def own(self) -> Sequence[Signed[Record]]:
        """What this node has said, in order."""
        return self._own

    def knows(self, record_id: bytes) -> bool:
        """Whether there is no need to fetch a record."""
        return record_id == self.round.id or record_id in self.log

    def accept(self, envelopes: Iterable[Envelope], now: float) -> Heard:
        """Take what the rules of the round allow. Blocks for as long as the disk takes."""
        refused: list[tuple[bytes, str]] = []
        opened: list[Signed[Any]] = []
        for envelope in envelopes:
            try:
                opened.append(open_record(envelope))
            except PeerError as error:
                refused.append((envelope.id, str(error)))
        new = []
        for signed in sorted(opened, key=_turn):
            if self.knows(signed.id):
                continue
            try:
                self.ledger.accept(signed, now)
            except (RuleError, PeerError) as error:
                refused.append((signed.id, str(error)))
                continue
            if self.ledger.find(signed.id) is not None:
                new.append(signed)
        self._keep(new, now)
        return Heard(tuple(new), tuple(refused))

    def say(self, record: RoundRecord, now: float) -> Signed[Any]:
        """Sign a record as this node and keep it. Raises the :class:`RuleError` that others would answer with."""
        signed = sign(record, self._key)
        if self.knows(signed.id):
            return signed
        self.ledger.accept(signed, now)
        self._keep([signed], now)
        return signed

    def log_blob(self) -> bytes:
        """What this node's log pointer leads to: its newest checkpoint, then the ids of all records, in order."""
        note = self.log.sign(self._key)
        self._database.sign_note(self.round.id, note)
        return field(note) + b"".join(self.log.ids)

    def _keep(self, new: Sequence[Signed[Any]], now: float) -> None:
        if not new:
            return
        self._database.add_records(self.round.id, [Kept(one.id, one.envelope.encode(), now) for one in new])
        for signed in new:
            self.log.append(signed.id)
            self._enter(signed)

    def _enter(self, signed: Signed[Record]) -> None:
        if signed.record.author == self.me:
            self._own.append(signed)


def _turn(signed: Signed[Record]) -> tuple[int, bytes]:
    """Commitments, then contributions, then the rest: so nothing honest waits in a small pool."""
    kinds = (Commitment, Contribution)
    order = next((i for i, kind in enumerate(kinds) if isinstance(signed.record, kind)), len(kinds))
    return order, signed.id
