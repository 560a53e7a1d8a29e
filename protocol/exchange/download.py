"""Fetching blobs from several sources at once, of which any may lie, stall or die.

What to ask of whom is decided by the ``scheduler``; this is what carries it out. Rules:

1. A chunk is verified before it touches the store; the store does it. A source that sent a wrong one is dropped and
   remembered (``grudges``); one that fails in whatever way ends nothing but itself (``sources``).
2. What the store has is not fetched. As every chunk is kept when it comes, a download that was killed goes on where
   it was.
3. It ends: with everything in the store, or with :class:`UnavailableError`, which lists what was tried, or with the
   store's own error when this machine cannot keep what comes.
4. Memory does not grow with what is fetched: at most ``scheduler.MAX_REQUESTS`` chunks are held at a time.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import aclosing
from typing import Protocol, TypeVar

from protocol.blobs.chunks import ChunkList
from protocol.blobs.manifest import MAX_MANIFEST_BYTES, Manifest
from protocol.blobs.source import StoreDamage
from protocol.errors import ForgedError, ProtocolError, TooLargeError, UnavailableError
from protocol.exchange.clock import Clock, LoopClock
from protocol.exchange.grudges import Grudges
from protocol.exchange.interface import Peer
from protocol.exchange.outcomes import Forged, Outcome, Whole, outcome_of
from protocol.exchange.progress import Event, Finished, Hindered, Landed, Lost, Progress, Started, quiet
from protocol.exchange.scheduler import Request, Scheduler
from protocol.exchange.sources import chunks_from, list_from, name_of

Result = TypeVar("Result")


class Landing(Protocol):
    """Where chunks go: what a download needs of a ``Store``. Calls block and are made in its threads."""

    def find(self, blob_id: bytes) -> ChunkList | None:
        """The list of a blob that is open."""
        ...

    def missing(self, blob_id: bytes) -> Sequence[range]:
        """The chunks of an open blob that are not here."""
        ...

    def open(self, chunks: ChunkList, holder: str | None = None) -> None:
        """Make room for a blob, pinned by ``holder``."""
        ...

    def put_chunk(self, blob_id: bytes, index: int, data: bytes) -> None:
        """Verify and keep a chunk."""
        ...

    def read(self, blob_id: bytes, index: int) -> bytes | None:
        """A chunk that is here."""
        ...

    def flush(self) -> None:
        """Make everything put so far outlive a failure of power."""
        ...

    async def off_loop(self, work: Callable[..., Result], *arguments: object) -> Result:
        """Run one of these in a thread."""
        ...


async def fetch(
    wants: Mapping[bytes, int],
    store: Landing,
    peers: Sequence[Peer],
    mirrors: Sequence[Peer] = (),
    *,
    clock: Clock | None = None,
    progress: Progress = quiet,
    grudges: Grudges | None = None,
    holder: str | None = None,
) -> None:
    """Bring blobs into the store: ``wants`` says how many bytes each may have at most (``Manifest.blobs``).

    ``holder`` pins them there. The sources stay open; closing them is for whoever connected them.
    """
    clock = LoopClock() if clock is None else clock
    grudges = Grudges() if grudges is None else grudges
    await _Download(wants, store, peers, mirrors, clock, progress, grudges, holder).run()


async def fetch_manifest(
    blob_id: bytes,
    store: Landing,
    peers: Sequence[Peer],
    mirrors: Sequence[Peer] = (),
    *,
    clock: Clock | None = None,
    grudges: Grudges | None = None,
    holder: str | None = None,
) -> Manifest:
    """The manifest with this id, brought into the store first."""
    wants = {blob_id: MAX_MANIFEST_BYTES}
    await fetch(wants, store, peers, mirrors, clock=clock, grudges=grudges, holder=holder)

    def parsed() -> Manifest:
        chunks = store.find(blob_id)
        parts = [store.read(blob_id, index) for index in range(len(chunks.digests))] if chunks is not None else [None]
        if None in parts:
            raise UnavailableError(f"the manifest {blob_id.hex()} left the store right after it came; fetch it again")
        return Manifest.parse(b"".join(part for part in parts if part is not None))

    return await store.off_loop(parsed)


class _Fault(Exception):
    """The store refused; the reason is kept in the download."""


class _Download:
    def __init__(
        self,
        wants: Mapping[bytes, int],
        store: Landing,
        peers: Sequence[Peer],
        mirrors: Sequence[Peer],
        clock: Clock,
        progress: Progress,
        grudges: Grudges,
        holder: str | None,
    ) -> None:
        self._wants, self._store, self._clock = wants, store, clock
        self._progress, self._grudges, self._holder = progress, grudges, holder
        self._sources = [*peers, *mirrors]
        self._scheduler = Scheduler([name_of(source) for source in self._sources], len(peers))
        self._total = sum(wants.values())
        self._here = self._fetched = 0
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._changed = asyncio.Event()
        self._alarm: asyncio.Task[None] | None = None
        self._due = 0.0
        self._fault: ProtocolError | None = None

    async def run(self) -> None:
        began = self._clock.now()
        await self._take_stock()
        self._progress(Started(len(self._wants), self._total, self._here, len(self._sources)))
        for peer, source in enumerate(self._sources):
            if (reason := self._grudges.against(source)) is not None:
                self._scheduler.refuse(peer, f"not asked: {reason}")
        async with asyncio.TaskGroup() as group:
            await self._serve(group)
        if self._fault is None and self._fetched:
            await self._store.off_loop(self._store.flush)
        if self._fault is not None:
            raise self._fault
        if not self._scheduler.finished:
            raise UnavailableError(self._what_was_tried())
        self._progress(Finished(self._fetched, self._clock.now() - began))

    async def _take_stock(self) -> None:
        """What is in the store already; one call for all blobs, as there may be thousands."""

        def look() -> list[tuple[bytes, ChunkList | None, list[int]]]:
            return [(blob_id, *self._look(blob_id)) for blob_id in self._wants]

        for blob_id, chunks, missing in await self._store.off_loop(look):
            if chunks is None:
                self._scheduler.wanted.add(blob_id, self._wants[blob_id])
            else:
                self._scheduler.listed(blob_id, missing)
                self._here += chunks.size - sum(chunks.chunk_length(index) for index in missing)

    def _look(self, blob_id: bytes) -> tuple[ChunkList | None, list[int]]:
        try:
            chunks = self._store.find(blob_id)
        except StoreDamage:
            chunks = None
        if chunks is None:
            return None, []
        return chunks, self._open(chunks)

    def _open(self, chunks: ChunkList) -> list[int]:
        """Make room for a blob; which of its chunks are missing."""
        self._store.open(chunks, self._holder)
        return [index for gap in self._store.missing(chunks.id) for index in gap]

    async def _serve(self, group: asyncio.TaskGroup) -> None:
        """Carry out plans until there is nothing left to do, or nobody left to ask."""
        try:
            while self._fault is None:
                plan = self._scheduler.plan(self._clock.now())
                for number in plan.cancel:
                    if (task := self._tasks.pop(number, None)) is not None:
                        task.cancel()
                for request in plan.begin:
                    self._tasks[request.number] = group.create_task(self._ask(request))
                self._tell()
                if self._scheduler.finished or self._scheduler.hopeless():
                    return
                self._set_alarm(group)
                await self._changed.wait()
                self._changed.clear()
        finally:
            for task in (*self._tasks.values(), *([self._alarm] if self._alarm else [])):
                task.cancel()

    def _set_alarm(self, group: asyncio.TaskGroup) -> None:
        """Be woken when time alone changes the plan. An alarm that rings too early does no harm."""
        wait = self._scheduler.wake(self._clock.now())
        if wait is None:
            return
        due = self._clock.now() + wait
        if self._alarm is not None and not self._alarm.done():
            if self._due <= due:
                return
            self._alarm.cancel()
        self._due = due
        self._alarm = group.create_task(self._ring(wait))

    async def _ring(self, seconds: float) -> None:
        await self._clock.sleep(seconds)
        self._changed.set()

    async def _ask(self, request: Request) -> None:
        source = self._sources[request.peer]
        outcome: Outcome = Whole()
        try:
            if request.indices:
                await self._bring_chunks(source, request)
            else:
                await self._bring_list(source, request)
        except _Fault:
            return
        except ProtocolError as error:
            outcome = outcome_of(error, not request.indices)
        finally:
            self._tasks.pop(request.number, None)
            self._changed.set()
        if isinstance(outcome, Forged):
            self._grudges.hold(source, outcome.reason)
        self._scheduler.ended(request.number, outcome, self._clock.now())

    async def _bring_list(self, source: Peer, request: Request) -> None:
        limit = self._wants[request.blob_id]
        chunks = await list_from(source, request.blob_id, limit)
        if chunks.size > limit:
            raise TooLargeError(f"a blob of {chunks.size} bytes where at most {limit} are accepted")
        if chunks.id != request.blob_id:
            raise ForgedError(f"a chunk list of blob {chunks.id.hex()} in place of {request.blob_id.hex()}")
        missing = await self._in_store(self._open, chunks)
        if self._scheduler.listed(request.blob_id, missing, request.number):
            self._here += chunks.size - sum(chunks.chunk_length(index) for index in missing)

    async def _bring_chunks(self, source: Peer, request: Request) -> None:
        awaited = set(request.indices)
        async with aclosing(chunks_from(source, request.blob_id, request.indices)) as stream:
            async for index, data in stream:
                if index not in awaited:
                    raise ForgedError(f"chunk {index} of blob {request.blob_id.hex()}, which was not asked for")
                awaited.discard(index)
                self._scheduler.arrived(request.number, self._clock.now())
                await self._in_store(self._store.put_chunk, request.blob_id, index, data)
                self._count(request, index, len(data))

    def _count(self, request: Request, index: int, size: int) -> None:
        self._fetched += size
        if self._scheduler.landed(request, index, size, self._clock.now()):
            self._here += size
            name = self._scheduler.scores[request.peer].name
            self._progress(Landed(request.blob_id, index, size, name, self._here, self._total))
        self._changed.set()

    async def _in_store(self, work: Callable[..., Result], *arguments: object) -> Result:
        """A call of the store. Its refusal of a forged chunk is the source's fault, any other ends the download."""
        try:
            return await self._store.off_loop(work, *arguments)
        except ForgedError:
            raise
        except ProtocolError as error:
            self._fault = error
            raise _Fault from error

    def _tell(self) -> None:
        events: Iterator[Event] = (
            (Lost if lost else Hindered)(self._scheduler.scores[peer].name, reason)
            for peer, lost, reason in self._scheduler.news()
        )
        for event in events:
            self._progress(event)

    def _what_was_tried(self) -> str:
        missing = sum(1 for _ in self._scheduler.wanted)
        tried = "; ".join(score.verdict for score in self._scheduler.scores) or "there was nobody to ask"
        return f"{missing} of {len(self._wants)} blobs could not be fetched, what came is kept. Tried: {tried}"
