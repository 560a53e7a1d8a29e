"""What a download still wants: blobs without a chunk list, chunks that wait, chunks that were asked for. Pure.

Rules:

1. A chunk that is not here either waits or is asked for; a chunk that landed is neither.
2. A chunk that several requests were to bring waits again only when the last of them has failed.
3. A peer that brought nothing of a blob may be asked for it once more after ``SECOND_CHANCE_SECONDS``, and then never
   again: a peer that does not have it and one that could not be asked at that moment look alike.
4. A chunk that a peer left out of an answer ``LEFT_OUT_TWICE`` times is not asked of it again; after
   ``MAX_LEFT_OUT`` such chunks nothing of the blob is.
"""

import heapq
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

SECOND_CHANCE_SECONDS = 2.0

LEFT_OUT_TWICE = 2

MAX_LEFT_OUT = 1024
"""Chunks of one blob that are remembered as left out by one peer."""


@dataclass
class Blob:
    """One blob that is not complete."""

    blob_id: bytes
    size: int = 0
    """Bytes that it has at most."""
    missing: set[int] = field(default_factory=set)
    waiting: list[int] = field(default_factory=list)
    """A heap. It may still hold chunks that came after they were given up."""
    asked: dict[int, set[int]] = field(default_factory=dict)
    """By chunk, the requests that are to bring it."""
    lacking: dict[int, float] = field(default_factory=dict)
    """By peer, from when on it may be asked."""

    left_out: dict[int, dict[int, int]] = field(default_factory=dict)
    """By peer, how often it left out which chunk."""

    def may_ask(self, peer: int, now: float) -> bool:
        """Is this peer worth asking now?"""
        return self.lacking.get(peer, -math.inf) <= now

    def has_hope(self, peer: int) -> bool:
        """Is this peer worth asking now or later?"""
        if self.lacking.get(peer, 0.0) == math.inf:
            return False
        return not self.missing or not all(self.is_absent(peer, index) for index in self.missing)

    def is_absent(self, peer: int, index: int) -> bool:
        """Does the peer seem not to have this chunk?"""
        return self.left_out.get(peer, {}).get(index, 0) >= LEFT_OUT_TWICE

    def leave_out(self, peer: int, indices: Iterable[int]) -> None:
        """A peer answered without these chunks: rule 4."""
        times = self.left_out.setdefault(peer, {})
        for index in indices:
            times[index] = times.get(index, 0) + 1
        if len(times) > MAX_LEFT_OUT:
            self.lacking[peer] = math.inf

    def lacked_by(self, peer: int, now: float) -> float:
        """The peer did not bring it: rule 3. From when on it may be asked again."""
        self.lacking[peer] = math.inf if peer in self.lacking else now + SECOND_CHANCE_SECONDS
        return self.lacking[peer]

    def single(self, indices: Iterable[int], peer: int) -> list[int]:
        """Those that only one request is to bring and that this peer may have."""
        return [index for index in indices if len(self.asked[index]) == 1 and not self.is_absent(peer, index)]


class Wanted:
    """All blobs of a download that are not complete, in the order in which they were wanted."""

    def __init__(self) -> None:
        self.unlisted: dict[bytes, Blob] = {}
        self.listed: dict[bytes, Blob] = {}
        self.waiting = 0
        """Chunks that nobody was asked for, or a few more."""

    def __iter__(self) -> Iterator[Blob]:
        yield from self.listed.values()
        yield from self.unlisted.values()

    def __bool__(self) -> bool:
        return bool(self.unlisted or self.listed)

    def add(self, blob_id: bytes, size: int) -> None:
        """A blob of which nothing is known but its id, and that it has at most ``size`` bytes."""
        if blob_id not in self.listed:
            self.unlisted.setdefault(blob_id, Blob(blob_id, size))

    def list(self, blob_id: bytes, missing: Iterable[int]) -> None:
        """These chunks of a blob are not here."""
        if blob_id in self.listed:
            return
        blob = self.unlisted.pop(blob_id, None) or Blob(blob_id)
        blob.missing = set(missing)
        blob.waiting = sorted(blob.missing)
        if blob.missing:
            self.listed[blob_id] = blob
            self.waiting += len(blob.waiting)

    def find(self, blob_id: bytes) -> Blob | None:
        """A blob that is not complete."""
        return self.listed.get(blob_id) or self.unlisted.get(blob_id)

    def take(self, blob: Blob, count: int, peer: int) -> tuple[int, ...]:
        """The first chunks of a blob that wait and that this peer may have; the caller asks for them."""
        taken: list[int] = []
        passed: list[int] = []
        while blob.waiting and len(taken) < count:
            index = heapq.heappop(blob.waiting)
            self.waiting -= 1
            if index in blob.missing:
                (passed if blob.is_absent(peer, index) else taken).append(index)
        for index in passed:
            heapq.heappush(blob.waiting, index)
        self.waiting += len(passed)
        return tuple(taken)

    def ask(self, number: int, blob: Blob, indices: Iterable[int]) -> None:
        """A request is to bring these chunks."""
        for index in indices:
            blob.asked.setdefault(index, set()).add(number)

    def release(self, number: int, blob_id: bytes, indices: Iterable[int]) -> None:
        """A request will not bring these chunks after all: rule 2."""
        blob = self.listed.get(blob_id)
        if blob is None:
            return
        for index in indices:
            blob.asked[index].discard(number)
            if not blob.asked[index]:
                del blob.asked[index]
                heapq.heappush(blob.waiting, index)
                self.waiting += 1

    def misses(self, blob_id: bytes, index: int) -> bool:
        """Is this chunk not here?"""
        blob = self.listed.get(blob_id)
        return blob is not None and index in blob.missing

    def land(self, blob_id: bytes, index: int) -> set[int]:
        """A chunk is here; the requests that were to bring it."""
        if not self.misses(blob_id, index):
            return set()
        blob = self.listed[blob_id]
        blob.missing.discard(index)
        requests = blob.asked.pop(index, set())
        if not blob.missing:
            self.waiting -= len(blob.waiting)
            del self.listed[blob_id]
        return requests
