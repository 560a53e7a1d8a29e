"""When what was published is published again. Pure: ``now`` is passed in.

Rules:

1. A pointer is told again after a third of its life, more or less ``JITTER`` of that, so that the swarm may lose it
   twice before anybody misses it, and nodes that started together do not speak together.
2. Our own pointers are then renewed for another ``LIFETIME_SECONDS``; those of others live as long as they were
   signed for.
3. For each author, round, kind and slot only the pointer that expires last is told.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf

from protocol.errors import TooLargeError
from protocol.identity import Key
from protocol.pointer import Pointer

LIFETIME_SECONDS = 2 * 3600
"""Of a pointer that is renewed."""

JITTER = 0.2
"""Of the interval, to either side."""

MAX_POINTERS = 131_072
"""Told by one node."""

Place = tuple[bytes, int, bytes]
"""Round, kind, and author with slot."""


@dataclass(frozen=True, slots=True)
class _Told:
    pointer: Pointer
    again: float


class Schedule:
    """All that a node goes on telling."""

    def __init__(self, key: Key, random: Callable[[], float]) -> None:
        self._key, self._random = key, random
        self._told: dict[Place, _Told] = {}
        self._next = inf

    def __len__(self) -> int:
        return len(self._told)

    def add(self, pointer: Pointer, now: float) -> None:
        """It was told now."""
        place = _place(pointer)
        held = self._told.get(place)
        if held is None and len(self._told) >= MAX_POINTERS:
            raise TooLargeError(f"a node publishes at most {MAX_POINTERS} pointers; forget some first")
        if held is None or held.pointer.expiration <= pointer.expiration:
            wait = (pointer.expiration - now) / 3 * (1 + JITTER * (2 * self._random() - 1))
            self._told[place] = _Told(pointer, now + wait)
            self._next = min(self._next, now + wait)

    def forget(self, pointer: Pointer) -> None:
        """No longer tell what has this pointer's author, round, kind and slot."""
        self._told.pop(_place(pointer), None)

    def due(self, now: float) -> list[Pointer]:
        """What is to be told now, renewed if it is ours; what has expired is forgotten."""
        if now < self._next:
            return []
        found = []
        for place, told in list(self._told.items()):
            pointer = told.pointer
            own = pointer.author == self._key.public.point
            if not own and pointer.expiration <= now:
                del self._told[place]
            elif told.again <= now:
                found.append(pointer.renewed(self._key, int(now) + LIFETIME_SECONDS) if own else pointer)
        self._next = min((told.again for told in self._told.values()), default=inf)
        return found

    def all(self, now: float) -> list[Pointer]:
        """Everything that counts now: for a swarm that has lost it."""
        return [told.pointer for told in self._told.values() if told.pointer.alive(now)]

    def next(self) -> float | None:
        """Nothing is due before this; None if there is nothing to tell."""
        return self._next if self._told else None


def _place(pointer: Pointer) -> Place:
    return pointer.round_id, pointer.kind, pointer.subkey
