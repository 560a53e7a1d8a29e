"""One search for the nodes nearest to a key: whom to ask next, given what was heard so far. Pure.

Rules:

1. Only who answered is near. A node that others named is a rumour until then.
2. The search is over when the ``count`` nearest nodes that have not failed were asked, or ``MAX_ASKED`` were.
3. Whoever names nodes names at most ``MAX_NAMED``, and is a liar if at least ``LIES`` of them do not answer, and more
   than do. Liars are still asked, but not believed for a while.
"""

from collections import defaultdict
from collections.abc import Hashable, Iterable
from typing import Generic, TypeVar

MAX_ASKED = 100
"""Nodes in one search."""

MAX_NAMED = 20
"""Nodes taken from one answer."""

LIES = 5

Peer = TypeVar("Peer", bound=Hashable)
"""How a node is addressed."""


class Walk(Generic[Peer]):
    """The state of one search."""

    def __init__(self, key: int, count: int) -> None:
        self._key, self._count = key, count
        self._distance: dict[Peer, int] = {}
        self._asked: set[Peer] = set()
        self._answered: set[Peer] = set()
        self._named: defaultdict[Peer, set[Peer]] = defaultdict(set)

    def learn(self, nodes: Iterable[tuple[int, Peer]], source: Peer | None = None) -> None:
        """There are nodes with these ids, says ``source``, or our own routing table."""
        for number, (node_id, peer) in enumerate(nodes):
            if source is not None:
                if number == MAX_NAMED:
                    return
                self._named[source].add(peer)
            distance = node_id ^ self._key
            self._distance[peer] = min(distance, self._distance.get(peer, distance))

    def ask(self) -> list[Peer]:
        """Whom to ask now; they count as asked."""
        failed = self._asked - self._answered
        alive = [peer for peer in self._distance if peer not in failed]
        alive.sort(key=self._distance.__getitem__)
        room = MAX_ASKED - len(self._asked)
        chosen = [peer for peer in alive[: self._count] if peer not in self._asked][:room]
        self._asked.update(chosen)
        return chosen

    def answered(self, peer: Peer, node_id: int | None) -> None:
        """The peer answered; its id as it says itself, if it does."""
        self._answered.add(peer)
        if node_id is not None:
            self._distance[peer] = node_id ^ self._key

    def nearest(self) -> list[Peer]:
        """Those that answered, nearest first."""
        return sorted(self._answered, key=self._distance.__getitem__)

    def liars(self) -> set[Peer]:
        """Rule 3."""
        found = set()
        for source, named in self._named.items():
            failed = len(named & self._asked - self._answered)
            if failed >= LIES and failed > len(named & self._answered):
                found.add(source)
        return found
