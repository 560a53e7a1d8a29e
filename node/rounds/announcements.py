"""Telling the swarm what this node says in a round: a pointer to each of its records, and one to its log.

A key has eight pointers of each kind in a round. Whoever says more than that is still heard: every node that follows
the round publishes its log, in which all records are that it holds, also those whose authors are away.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from node.rounds.proceedings import Proceedings
from protocol.blobs.chunks import ChunkList
from protocol.identity import Key
from protocol.pointer import MAX_SLOTS, Kind, Pointer
from protocol.swarm.interface import Directory

LIFETIME_SECONDS = 2 * 3600
"""Of a pointer; the swarm renews it before that."""

MAX_PAGES = 4
"""Logs that are served: who was told of one may come for it a little later."""

Place = tuple[Kind, int]


@dataclass
class Announcements:
    """What this node has told the swarm about one round."""

    directory: Directory
    key: Key
    address: Callable[[], str]
    """``host:port`` of our direct road, or nothing."""

    _told: dict[Place, Pointer] = field(default_factory=dict)
    pages: dict[bytes, tuple[ChunkList, bytes]] = field(default_factory=dict)
    """What log pointers lead to, the newest last; to be served."""

    async def tell(self, proceedings: Proceedings, now: float) -> int:
        """Publish what is new; how many pointers that were."""
        wanted = self._wanted(proceedings)
        fresh = [
            self._pointer(proceedings, place, *wanted[place], now) for place in wanted if self._is_new(place, wanted)
        ]
        if not fresh:
            return 0
        replaced = [self._told[place] for pointer in fresh if (place := (pointer.kind, pointer.slot)) in self._told]
        await self.directory.forget(proceedings.round.id, *replaced)
        self._told |= {(pointer.kind, pointer.slot): pointer for pointer in fresh}
        await self.directory.publish(proceedings.round.id, *fresh)
        return len(fresh)

    def _wanted(self, proceedings: Proceedings) -> dict[Place, tuple[bytes, int]]:
        """What each pointer leads to, with its size."""
        wanted: dict[Place, tuple[bytes, int]] = {}
        counts: dict[Kind, int] = {}
        for signed in proceedings.own:
            kind = Kind[signed.record.noun.upper()]
            counts[kind] = counts.get(kind, -1) + 1
            wanted[kind, counts[kind] % MAX_SLOTS] = (signed.id, len(signed.envelope.encode()))
        if proceedings.me == proceedings.round.record.author:
            wanted[Kind.ROUND, 0] = (proceedings.round.id, len(proceedings.round.envelope.encode()))
        wanted[Kind.LOG, 0] = self._log(proceedings)
        return wanted

    def _log(self, proceedings: Proceedings) -> tuple[bytes, int]:
        if self._written != len(proceedings.log):
            data = proceedings.log_blob()
            chunks = ChunkList.of(data)
            self.pages[chunks.id] = (chunks, data)
            self._newest, self._written = (chunks.id, len(data)), len(proceedings.log)
            while len(self.pages) > MAX_PAGES:
                del self.pages[next(iter(self.pages))]
        return self._newest

    _newest: tuple[bytes, int] = (b"", 0)
    _written: int = -1

    def _is_new(self, place: Place, wanted: dict[Place, tuple[bytes, int]]) -> bool:
        told = self._told.get(place)
        return told is None or told.record_id != wanted[place][0] or told.address != self.address()

    def _pointer(self, proceedings: Proceedings, place: Place, record_id: bytes, size: int, now: float) -> Pointer:
        kind, slot = place
        told = self._told.get(place)
        expiration = max(int(now) + LIFETIME_SECONDS, told.expiration + 1 if told else 0)
        return Pointer.sign(
            self.key,
            round_id=proceedings.round.id,
            kind=kind,
            record_id=record_id,
            size=size,
            expiration=expiration,
            slot=slot,
            address=self.address(),
        )
