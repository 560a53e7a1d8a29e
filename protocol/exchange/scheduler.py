"""What to ask of whom: the heart of a download. Pure: events go in, requests come out, ``now`` is passed in.

Rules:

1. What the store has is never asked for.
2. A chunk is asked of one peer at a time. Blobs are fetched in the order given, chunks in ascending order; proven peers
   are served before others and fast ones before slow ones, with larger requests (``scores``).
3. At most ``MAX_REQUESTS`` requests for chunks run at a time, whatever the number of peers: each holds one chunk in
   memory. Chunk lists are asked for while fewer than ``LOOKAHEAD_CHUNKS`` chunks wait, ``MAX_LISTS`` at a time.
   Peers that are not proven have half of either at most, and those that stalled one together: any number of keys that
   accept and send nothing must not keep proven peers waiting. One slot is always left for peers to be tried.
4. What a request did not bring when it ended, stalled or was called off is asked for again (``wanted``).
5. A peer that sent something forged is out: all that it was asked for is asked of others.
6. When a peer finds nothing else to do, it is asked for a chunk that another one is slow to bring; whoever is first
   wins and the other request is called off. At most ``MAX_DUPLICATES`` chunks are asked for twice, of proven peers
   only. A chunk list, which is small, is asked of several until a proven peer is asked.
7. Mirrors are asked for chunks like all peers, but for a chunk list only when no peer is left to ask: a mirror has to
   read the whole blob for it, and has the time for that at ``SLOWEST_MIRROR`` bytes a second.
8. When nobody is left who could bring what is missing, the download is hopeless.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

from protocol.blobs.chunks import CHUNK_BYTES
from protocol.exchange.outcomes import Broke, Busy, Forged, Lacks, Outcome, Whole
from protocol.exchange.scores import Score
from protocol.exchange.wanted import Wanted

MAX_REQUESTS = 16
"""Requests for chunks in progress at a time, over all peers."""

MAX_LISTS = 8
"""Requests for chunk lists in progress at a time, over all peers."""

LISTS_PER_PEER = 2

LOOKAHEAD_CHUNKS = 128
"""Chunks that wait to be asked for; with more of them no further chunk list is asked for."""

MAX_DUPLICATES = 8
"""Chunks that are asked of two peers at a time."""

UNKNOWN_RATE = CHUNK_BYTES
"""Bytes per second assumed of a peer that has not brought anything yet."""

SLOWEST_MIRROR = 64 * 1024
"""Bytes per second at which a mirror has to read a blob whose chunk list it is to make."""


@dataclass(frozen=True)
class Request:
    """Something to ask of a peer; without indices it is for the blob's chunk list."""

    number: int
    peer: int
    blob_id: bytes
    indices: tuple[int, ...]


@dataclass(frozen=True)
class Plan:
    """What to do now: requests to call off, then requests to begin."""

    cancel: tuple[int, ...]
    begin: tuple[Request, ...]


@dataclass
class _Running:
    request: Request
    since: float
    remaining: set[int]


class Scheduler:
    """One download. Peers are called by their place in ``names``; those from ``first_mirror`` on are mirrors."""

    def __init__(self, names: Sequence[str], first_mirror: int | None = None) -> None:
        self.scores = [Score(name) for name in names]
        self.wanted = Wanted()
        self._first_mirror = len(names) if first_mirror is None else first_mirror
        self._running: dict[int, _Running] = {}
        self._called_off: list[int] = []
        self._second_chances: list[float] = []
        self._numbers = 0

    @property
    def finished(self) -> bool:
        """Is everything here?"""
        return not self.wanted

    def listed(self, blob_id: bytes, missing: Iterable[int], number: int | None = None) -> bool:
        """A blob's chunk list has come, for request ``number``; what is missing. False: it was known already."""
        if number is not None and number not in self._running:
            return False
        self.wanted.list(blob_id, missing)
        for other, running in list(self._running.items()):
            if running.request.blob_id == blob_id and not running.request.indices:
                del self._running[other]
                if other != number:
                    self._called_off.append(other)
        return True

    def arrived(self, number: int, now: float) -> None:
        """A chunk came over the wire for a request; it is not checked yet."""
        if number in self._running:
            self._running[number].since = now

    def refuse(self, peer: int, reason: str) -> None:
        """Ask nothing of this peer."""
        self.scores[peer].lose(reason)

    def landed(self, request: Request, index: int, size: int, now: float) -> bool:
        """A chunk is in the store; was it missing? It counts even when its request was called off meanwhile."""
        self.scores[request.peer].landed(size, now)
        was_missing = self.wanted.misses(request.blob_id, index)
        for number in self.wanted.land(request.blob_id, index):
            running = self._running[number]
            running.remaining.discard(index)
            if not running.remaining and number != request.number:
                self._call_off(number, now)
        return was_missing

    def ended(self, number: int, outcome: Outcome, now: float) -> None:
        """A request is over. One that was called off before is of no interest any more."""
        running = self._running.get(number)
        if running is None:
            return
        self._end(number, now)
        score = self.scores[running.request.peer]
        match outcome:
            case Whole() if not running.remaining:
                pass
            case Whole() | Lacks():
                self._missed(running, now)
            case Busy(retry_after):
                score.busy(retry_after, now)
            case Broke(reason):
                score.broke(reason, now)
            case Forged(reason):
                score.forged(reason)
                for other in [n for n, r in self._running.items() if r.request.peer == running.request.peer]:
                    self._call_off(other, now)

    def plan(self, now: float) -> Plan:
        """What to do at this moment."""
        for number, running in list(self._running.items()):
            if self._deadline(running) <= now:
                if running.remaining or not running.request.indices:
                    self.scores[running.request.peer].stalled(now)
                self._call_off(number, now)
        begun = []
        while (request := self._next(now)) is not None:
            self._begin(request, now)
            begun.append(request)
        called_off, self._called_off = tuple(self._called_off), []
        return Plan(called_off, tuple(begun))

    def wake(self, now: float) -> float | None:
        """Seconds until time alone changes the plan; None if only an event can."""
        times = [self._deadline(running) for running in self._running.values()]
        times += [score.resting_until for score in self.scores if score.lost is None]
        self._second_chances = [time for time in self._second_chances if now < time]
        best = max((score.rate or 0.0 for score in self.scores if score.proven), default=0.0)
        if best:  # then it is clear who is slow: rule 6
            times += [running.since + 3 * CHUNK_BYTES / best for running in self._running.values()]
        ahead = [time for time in (*times, *self._second_chances) if now < time < math.inf]
        return min(ahead) - now if ahead else None

    def news(self) -> list[tuple[int, bool, str]]:
        """What went wrong since this was last asked: the peer, whether it is lost, why."""
        told = [(peer, lost, reason) for peer, score in enumerate(self.scores) for lost, reason in score.news]
        for score in self.scores:
            score.news.clear()
        return told

    def hopeless(self) -> bool:
        """Nothing is running and nobody who is left can bring anything that is missing."""
        if self.finished or self._running:
            return False
        return not any(blob.has_hope(peer) for peer in self._living() for blob in self.wanted)

    def _missed(self, running: _Running, now: float) -> None:
        """An answer in order, without some or all of what was asked for."""
        request = running.request
        blob = self.wanted.find(request.blob_id)
        if blob is not None:
            blob.leave_out(request.peer, running.remaining)
        if len(running.remaining) < len(request.indices):
            return
        self.scores[request.peer].lacked(now)
        if blob is not None:
            self._second_chances.append(blob.lacked_by(request.peer, now))

    def _deadline(self, running: _Running) -> float:
        due = running.since + self.scores[running.request.peer].patience
        if running.request.indices or running.request.peer < self._first_mirror:
            return due
        blob = self.wanted.find(running.request.blob_id)
        return due + (blob.size / SLOWEST_MIRROR if blob is not None else 0.0)

    def _begin(self, request: Request, now: float) -> None:
        self._running[request.number] = _Running(request, now, set(request.indices))
        if request.indices:
            self.wanted.ask(request.number, self.wanted.listed[request.blob_id], request.indices)
            self.scores[request.peer].started(now)

    def _end(self, number: int, now: float) -> None:
        running = self._running.pop(number)
        self.wanted.release(number, running.request.blob_id, running.remaining)
        if running.request.indices:
            self.scores[running.request.peer].ended(now)

    def _call_off(self, number: int, now: float) -> None:
        self._end(number, now)
        self._called_off.append(number)

    def _next(self, now: float) -> Request | None:
        able = [peer for peer, score in enumerate(self.scores) if score.usable(now)]
        able.sort(key=lambda peer: self.scores[peer].rank)
        for choose in (self._next_list, self._next_chunks, self._next_duplicate):
            for peer in able:
                if (chosen := choose(peer, now)) is not None:
                    self._numbers += 1
                    return Request(self._numbers, peer, *chosen)
        return None

    def _next_list(self, peer: int, now: float) -> tuple[bytes, tuple[int, ...]] | None:
        lists = self._in_progress(lists=True)
        if not self._has_slot(peer, lists, MAX_LISTS) or sum(one.peer == peer for one in lists) >= LISTS_PER_PEER:
            return None
        if self.wanted.waiting >= LOOKAHEAD_CHUNKS and self._running:
            return None
        asked = dict.fromkeys(request.blob_id for request in lists)
        known = {request.blob_id for request in lists if request.peer == peer or self.scores[request.peer].proven}
        again = [self.wanted.unlisted[one] for one in asked if one not in known and peer < self._first_mirror]
        better = self._living(self._first_mirror) if peer >= self._first_mirror else []
        for blob in chain((one for one in self.wanted.unlisted.values() if one.blob_id not in asked), again):
            if blob.may_ask(peer, now) and not any(map(blob.has_hope, better)):
                return blob.blob_id, ()
        return None

    def _living(self, count: int | None = None) -> list[int]:
        """The first peers, or all, without those that are lost."""
        return [peer for peer, score in enumerate(self.scores[:count]) if score.lost is None]

    def _next_chunks(self, peer: int, now: float) -> tuple[bytes, tuple[int, ...]] | None:
        score = self.scores[peer]
        chunks = self._in_progress()
        if not self._has_slot(peer, chunks, MAX_REQUESTS) or sum(one.peer == peer for one in chunks) >= score.slots:
            return None
        for blob in self.wanted.listed.values():
            if blob.may_ask(peer, now) and (indices := self.wanted.take(blob, score.share, peer)):
                return blob.blob_id, indices
        return None

    def _next_duplicate(self, peer: int, now: float) -> tuple[bytes, tuple[int, ...]] | None:
        chunks = self._in_progress()
        if not self.scores[peer].proven or not self._has_slot(peer, chunks, MAX_REQUESTS):
            return None
        if any(one.peer == peer for one in chunks) or self._duplicates() >= MAX_DUPLICATES:
            return None
        slow = [running for running in self._running.values() if self._may_double(running, peer, now)]
        if not slow:
            return None
        slowest = max(slow, key=lambda running: self._expected(running, now))
        if self._expected(slowest, now) <= 2 * CHUNK_BYTES / (self.scores[peer].rate or UNKNOWN_RATE):
            return None
        blob = self.wanted.listed[slowest.request.blob_id]
        return blob.blob_id, (max(blob.single(slowest.remaining, peer)),)

    def _may_double(self, running: _Running, peer: int, now: float) -> bool:
        if running.request.peer == peer or not running.remaining:
            return False
        blob = self.wanted.listed[running.request.blob_id]
        return blob.may_ask(peer, now) and bool(blob.single(running.remaining, peer))

    def _expected(self, running: _Running, now: float) -> float:
        """Seconds until a request is over, as far as one can tell."""
        rate = self.scores[running.request.peer].rate or UNKNOWN_RATE
        return max(len(running.remaining) * CHUNK_BYTES / rate, now - running.since)

    def _duplicates(self) -> int:
        return sum(len(asked) > 1 for blob in self.wanted.listed.values() for asked in blob.asked.values())

    def _in_progress(self, lists: bool = False) -> list[Request]:
        """Requests for chunks, or those for chunk lists."""
        return [running.request for running in self._running.values() if (not running.request.indices) is lists]

    def _has_slot(self, peer: int, requests: Sequence[Request], most: int) -> bool:
        """May this peer have one of ``most`` slots, of which ``requests`` have some? Rule 3."""
        score = self.scores[peer]
        alike = [other for request in requests if (other := self.scores[request.peer]).proven is score.proven]
        if len(requests) >= most or len(alike) >= (most - 1 if score.proven else most // 2):
            return False
        return not (score.has_stalled and any(other.has_stalled for other in alike))
