"""Small real peers that behave as their script says, and a store in memory, for downloads under a hand-moved clock."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from protocol.blobs.chunks import CHUNK_BYTES, MAX_BLOB_BYTES, ChunkList
from protocol.errors import BusyError, EnvironmentFault, UnavailableError
from protocol.exchange.clock import HandClock
from protocol.identity import Key, PublicKey

Result = TypeVar("Result")

ROUND_TRIP_SECONDS = 0.001

KEYS = [Key.generate().public for _ in range(8)]


def blob(chunks: int, seed: int = 0, tail: int = 1000) -> bytes:
    """A blob of so many chunks, the last one of ``tail`` bytes, each chunk different."""
    parts = [bytes([seed, index % 251]) * (CHUNK_BYTES // 2) for index in range(chunks - 1)]
    return b"".join(parts) + bytes([seed, 255]) * (tail // 2) if chunks else b""


@dataclass
class Script:
    """How a peer behaves; the default is a good one."""

    seconds_per_chunk: float = 0.01
    busy: int = 0
    """It answers so many requests with word that it is busy."""
    retry_after: float = 1.0
    lies: Callable[[int], bool] = lambda index: False
    """Which chunks it forges."""
    wrong_list: bool = False
    stalls_after: int | None = None
    """Chunks it sends before it goes silent for ever."""
    breaks_after: int | None = None
    """Chunks it sends before it can no longer be reached."""
    ends_after: int | None = None
    """Chunks that it sends in one answer at most, without a word about the others."""
    holds: Callable[[int], bool] = lambda index: True
    """Which chunks it has."""


@dataclass
class Traffic:
    """Streams that are open, of one peer or of all that share this."""

    open: int = 0
    most: int = 0


@dataclass
class Peer:
    """Serves blobs from memory, as scripted."""

    address: str
    blobs: Mapping[bytes, tuple[ChunkList, bytes]]
    clock: HandClock
    script: Script = field(default_factory=Script)
    identity: PublicKey | None = None
    sent: int = 0
    asked: list[tuple[bytes, int]] = field(default_factory=list)
    lists_asked: list[bytes] = field(default_factory=list)
    traffic: Traffic = field(default_factory=Traffic)

    async def records(self, ids: Sequence[bytes]) -> list[bytes]:
        return []

    async def chunk_list(self, blob_id: bytes, limit: int = MAX_BLOB_BYTES) -> ChunkList:
        self.lists_asked.append(blob_id)
        await self._hinder()
        if blob_id not in self.blobs:
            raise UnavailableError(f"blob {blob_id.hex()} is not here")
        if self.script.wrong_list:
            return ChunkList.of(b"something else")
        return self.blobs[blob_id][0]

    async def chunks(self, blob_id: bytes, indices: Sequence[int]) -> AsyncGenerator[tuple[int, bytes], None]:
        self.asked += [(blob_id, index) for index in indices]
        self.traffic.open += 1
        self.traffic.most = max(self.traffic.most, self.traffic.open)
        try:
            for place, index in enumerate(indices):
                await self._hinder()
                if self.script.ends_after is not None and place >= self.script.ends_after:
                    return
                if blob_id in self.blobs and self.script.holds(index):
                    await self.clock.sleep(self.script.seconds_per_chunk)
                    self.sent += 1
                    yield index, self._chunk(blob_id, index)
        finally:
            self.traffic.open -= 1

    async def close(self) -> None:
        return

    async def _hinder(self) -> None:
        await self.clock.sleep(ROUND_TRIP_SECONDS)
        if self.script.busy > 0:
            self.script.busy -= 1
            raise BusyError("the peer is busy", self.script.retry_after)
        if self.script.breaks_after is not None and self.sent >= self.script.breaks_after:
            raise UnavailableError("connection refused")
        if self.script.stalls_after is not None and self.sent >= self.script.stalls_after:
            await asyncio.Event().wait()

    def _chunk(self, blob_id: bytes, index: int) -> bytes:
        data = self.blobs[blob_id][1][index * CHUNK_BYTES : (index + 1) * CHUNK_BYTES]
        return data[:-1] + bytes([data[-1] ^ 1]) if self.script.lies(index) else data


class MemoryStore:
    """What a download needs of a store, without a disk or threads. ``room`` is in bytes."""

    def __init__(self, room: int = 1 << 40) -> None:
        self.lists: dict[bytes, ChunkList] = {}
        self.chunks: dict[tuple[bytes, int], bytes] = {}
        self.room = room
        self.flushed = 0

    def find(self, blob_id: bytes) -> ChunkList | None:
        return self.lists.get(blob_id)

    def missing(self, blob_id: bytes) -> tuple[range, ...]:
        indices = range(len(self.lists[blob_id].digests))
        return tuple(range(index, index + 1) for index in indices if (blob_id, index) not in self.chunks)

    def open(self, chunks: ChunkList, holder: str | None = None) -> None:
        self.lists[chunks.id] = chunks

    def put_chunk(self, blob_id: bytes, index: int, data: bytes) -> None:
        self.lists[blob_id].check(index, data)
        if sum(map(len, self.chunks.values())) + len(data) > self.room:
            raise EnvironmentFault("the disk is full; free some space")
        self.chunks[blob_id, index] = data

    def read(self, blob_id: bytes, index: int) -> bytes | None:
        return self.chunks.get((blob_id, index))

    def flush(self) -> None:
        self.flushed += 1

    async def off_loop(self, work: Callable[..., Result], *arguments: object) -> Result:
        await asyncio.sleep(0)
        return work(*arguments)

    def whole(self, blob_id: bytes) -> bytes:
        return b"".join(self.chunks[blob_id, index] for index in range(len(self.lists[blob_id].digests)))


def shelf(*blobs: bytes) -> dict[bytes, tuple[ChunkList, bytes]]:
    """Blobs by their id."""
    listed = [(ChunkList.of(data), data) for data in blobs]
    return {chunks.id: (chunks, data) for chunks, data in listed}


def wants(blobs: Mapping[bytes, tuple[ChunkList, bytes]]) -> dict[bytes, int]:
    """All of these, each with its size."""
    return {blob_id: chunks.size for blob_id, (chunks, _) in blobs.items()}


class MemoryShelf:
    """What a server serves, from memory."""

    def __init__(self, blobs: Mapping[bytes, tuple[ChunkList, bytes]], records: Mapping[bytes, bytes] | None = None):
        self.blobs = dict(blobs)
        self.records = dict(records or {})

    async def record(self, record_id: bytes) -> bytes | None:
        return self.records.get(record_id)

    async def chunk_list(self, blob_id: bytes) -> ChunkList | None:
        return self.blobs[blob_id][0] if blob_id in self.blobs else None

    async def read_chunk(self, blob_id: bytes, index: int) -> bytes | None:
        if blob_id not in self.blobs:
            return None
        return self.blobs[blob_id][1][index * CHUNK_BYTES : (index + 1) * CHUNK_BYTES] or None
