"""Hearing what others said in a round: their pointers lead to records and to logs, in which more records are named.

Rules:

1. What a phase needs is looked for in every pass: what stewards say where only they can write, so that no flood of
   strangers hides it.
2. The logs of other nodes are read as well: so records are found whose authors are away. A log proves itself by its
   keeper's checkpoint; what it names is asked of its keeper and of nobody else.
3. Nothing is asked twice of a peer that did not have it, and at most ``MAX_RECORDS_PER_PASS`` of one peer in a pass.
4. Bytes that are not the record that was asked for are a lie: the peer is dropped and remembered.
5. What fails, fails for one peer. The others are heard.
"""

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from random import Random

from node.peers import Peers, Place
from node.rounds.proceedings import Heard, Proceedings
from protocol.envelope import Envelope
from protocol.errors import ForgedError, MalformedError, ProtocolError
from protocol.exchange.interface import Peer
from protocol.exchange.requests import MAX_CHUNKS_PER_REQUEST, MAX_RECORDS_PER_REQUEST
from protocol.identity import PublicKey
from protocol.log import Checkpoint, log_key
from protocol.pointer import MAX_LOG_BYTES, Kind, Pointer
from protocol.reader import Reader
from protocol.records import Phase
from protocol.swarm.interface import Directory

MAX_RECORDS_PER_PASS = 1024
"""Of one peer."""

MAX_PEERS_PER_PASS = 24
"""Nodes of which logs are read or records fetched in one pass, at random: over a few passes, all."""

MAX_NOTE_BYTES = 4096

ID_BYTES = 32

STEWARDS_SAY = (Kind.REFUSAL, Kind.BALLOT, Kind.PROPOSAL, Kind.VOTE, Kind.TIMEOUT, Kind.ATTESTATION)
OUTCOMES = (Kind.RESULT, Kind.REVISION)

KINDS: dict[Phase, tuple[Kind, ...]] = {
    Phase.ANNOUNCED: (),
    Phase.COMMIT: (Kind.COMMITMENT,),
    Phase.REVEAL: (Kind.COMMITMENT, Kind.CONTRIBUTION, Kind.WITHDRAWAL, Kind.REFUSAL),
    Phase.ROSTER: (Kind.CONTRIBUTION, Kind.WITHDRAWAL, *STEWARDS_SAY, *OUTCOMES),
    Phase.MERGE: (Kind.WITHDRAWAL, *STEWARDS_SAY, *OUTCOMES),
    Phase.CLOSED: (Kind.WITHDRAWAL, *STEWARDS_SAY, *OUTCOMES),
}


@dataclass
class Gathering:
    """What a node has asked of others in one round."""

    directory: Directory
    peers: Peers
    random: Random = field(default_factory=Random)

    places: dict[bytes, Place] = field(default_factory=dict)
    """Nodes that have told of something in the round, by their points."""

    _read_logs: dict[bytes, bytes] = field(default_factory=dict)
    _absent: dict[bytes, set[bytes]] = field(default_factory=dict)

    async def listen(self, proceedings: Proceedings, now: float) -> Heard:
        """One pass: what was new, and what was refused with the reason."""
        pointers = await self._pointers(proceedings, now)
        named: dict[bytes, list[bytes]] = {}
        for pointer in pointers:
            self.places[pointer.author] = Place(pointer.public, pointer.address)
            if pointer.kind not in (Kind.LOG, Kind.ROUND):
                named.setdefault(pointer.author, []).append(pointer.record_id)
        logs = {p.author: p for p in pointers if p.kind is Kind.LOG and self._read_logs.get(p.author) != p.record_id}
        authors = [author for author in named.keys() | logs.keys() if author != proceedings.me]
        chosen = self.random.sample(authors, min(len(authors), MAX_PEERS_PER_PASS))
        fetched = await asyncio.gather(
            *(self._fetch(proceedings, author, named.get(author, []), logs.get(author)) for author in chosen)
        )
        envelopes = {envelope.id: envelope for found in fetched for envelope in found}
        return await asyncio.to_thread(proceedings.accept, list(envelopes.values()), now)

    def sources(self, proceedings: Proceedings) -> list[Place]:
        """Where the round's blobs are to be had: its convener, its stewards, and whoever else takes part."""
        round_ = proceedings.round.record
        named = dict.fromkeys((round_.author, *round_.stewards))
        places = {point: Place(PublicKey.from_point(point)) for point in named} | self.places
        return [place for point, place in places.items() if point != proceedings.me]

    async def _pointers(self, proceedings: Proceedings, now: float) -> list[Pointer]:
        round_ = proceedings.round
        stewards, keys = round_.record.stewards, round_.record.admission.keys
        kinds = KINDS[round_.record.schedule.phase(now)]
        asked = [
            self.directory.find(round_.id, Kind.LOG),
            self.directory.find(round_.id, Kind.ROUND, [round_.record.author]),
        ]
        for kind in kinds:
            if kind in STEWARDS_SAY or kind in OUTCOMES:
                asked.append(self.directory.find(round_.id, kind, stewards))
            elif keys:
                asked.append(self.directory.find(round_.id, kind, keys))
            else:
                asked.append(self.directory.find(round_.id, kind))
        if kinds:
            asked.append(self.directory.find(round_.id, Kind.LOG, stewards))
        found = await asyncio.gather(*asked)
        return [pointer for pointers in found for pointer in pointers]

    async def _fetch(
        self, proceedings: Proceedings, author: bytes, ids: Sequence[bytes], log: Pointer | None
    ) -> list[Envelope]:
        """What this peer has of what we do not know yet."""
        absent = self._absent.setdefault(author, set())
        if log is None and all(proceedings.knows(one) or one in absent for one in ids):
            return []
        try:
            peer = await self.peers.reach(self.places[author])
        except ProtocolError:
            return []
        try:
            listed = await self._log_ids(proceedings, peer, log) if log is not None else ()
            unknown = [i for i in dict.fromkeys((*ids, *listed)) if not proceedings.knows(i) and i not in absent]
            asked = unknown[:MAX_RECORDS_PER_PASS]
            found = await _records(peer, asked)
        except (ForgedError, MalformedError) as error:
            self.peers.grudges.hold(peer, str(error))
            await self.peers.drop(peer)
            return []
        except ProtocolError:
            await self.peers.drop(peer)
            return []
        absent |= set(asked) - {envelope.id for envelope in found}
        if log is not None and len(asked) == len(unknown):
            self._read_logs[author] = log.record_id
        return found

    async def _log_ids(self, proceedings: Proceedings, peer: Peer, log: Pointer) -> tuple[bytes, ...]:
        data = await blob_from(peer, log.record_id, min(log.size, MAX_LOG_BYTES))
        reader = Reader(data, "a log", MAX_LOG_BYTES)
        note = reader.field(MAX_NOTE_BYTES)
        rest = data[len(note) + 4 :]
        if len(rest) % ID_BYTES:
            raise MalformedError(f"a log of {len(rest)} bytes of ids, which is no multiple of {ID_BYTES}")
        ids = tuple(rest[i : i + ID_BYTES] for i in range(0, len(rest), ID_BYTES))
        checkpoint = Checkpoint.open(note, log_key(proceedings.round.id, log.public))
        if checkpoint.size != len(ids):
            raise ForgedError(f"a log of {len(ids)} records with a checkpoint of {checkpoint.size}")
        return ids


async def blob_from(peer: Peer, blob_id: bytes, limit: int) -> bytes:
    """A small blob, verified."""
    chunks = await peer.chunk_list(blob_id, limit)
    parts: list[bytes] = []
    for start in range(0, len(chunks.digests), MAX_CHUNKS_PER_REQUEST):
        indices = range(start, min(start + MAX_CHUNKS_PER_REQUEST, len(chunks.digests)))
        async with aclosing(peer.chunks(blob_id, indices)) as stream:
            async for index, data in stream:
                if index != len(parts):
                    raise MalformedError(f"chunk {index} of a blob where {len(parts)} was due")
                chunks.check(index, data)
                parts.append(data)
    if len(parts) != len(chunks.digests):
        raise MalformedError(f"{len(parts)} of {len(chunks.digests)} chunks of a blob came")
    return b"".join(parts)


async def _records(peer: Peer, ids: Sequence[bytes]) -> list[Envelope]:
    found: list[Envelope] = []
    for start in range(0, len(ids), MAX_RECORDS_PER_REQUEST):
        batch = ids[start : start + MAX_RECORDS_PER_REQUEST]
        found += _opened(await peer.records(batch), batch)
    return found


def _opened(answers: Iterable[bytes], asked: Sequence[bytes]) -> list[Envelope]:
    envelopes = [Envelope.parse(data) for data in answers]
    if strange := [envelope for envelope in envelopes if envelope.id not in asked]:
        raise ForgedError(f"the record {strange[0].id.hex()}, which was not asked for")
    return envelopes
