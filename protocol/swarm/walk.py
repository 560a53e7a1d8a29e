"""One search for the nodes nearest to a key: whom to ask next, given what was heard so far. Pure.

Rules:

1. Only who answered is near. A node that others named is a rumour until then.
2. The search is over when the ``count`` nearest nodes that have not failed were asked, or ``MAX_ASKED`` were.
3. Whoever names nodes names at most ``MAX_NAMED``, and is a liar if at least ``LIES`` of them do not answer, and more
   than do. Liars are still asked, but not believed for a while, and whom they named is not asked on their word.
4. Of the nodes that one source named and that have not answered yet, at most ``MAX_UNPROVEN`` are asked at a time:
   those that one liar invents take no room from those that others know.
"""

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable
from typing import Generic, TypeVar

MAX_ASKED = 100
"""Nodes in one search."""

MAX_NAMED = 20
"""Nodes taken from one answer."""

LIES = 5

MAX_UNPROVEN = 5
"""Nodes asked at a time on one node's word."""

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
        self._sources: defaultdict[Peer, list[Peer | None]] = defaultdict(list)
        """On whose word; None is our own routing table."""

    def learn(self, nodes: Iterable[tuple[int, Peer]], source: Peer | None = None) -> None:
        """There are nodes with these ids, says ``source``, or our own routing table."""
        for number, (node_id, peer) in enumerate(nodes):
            if source is not None:
                if number == MAX_NAMED:
                    return
                self._named[source].add(peer)
            self._distance[peer] = node_id ^ self._key
            self._sources[peer].append(source)

    def ask(self) -> list[Peer]:
        """Whom to ask now; they count as asked."""
        failed, liars, words = self._asked - self._answered, self.liars(), Counter[Peer | None]()
        near: list[Peer] = []
        for peer in sorted(self._distance.keys() - failed, key=self._distance.__getitem__):
            if peer not in self._asked:
                source = next((s for s in self._sources[peer] if s not in liars and words[s] < MAX_UNPROVEN), peer)
                if source == peer:
                    continue  # on nobody's word, or not now
                words[source] += source is not None
            near.append(peer)
            if len(near) == self._count:
                break
        room = MAX_ASKED - len(self._asked)
        chosen = [peer for peer in near if peer not in self._asked][:room]
        self._asked.update(chosen)
        return chosen

    def answered(self, peer: Peer) -> None:
        """The peer answered."""
        self._answered.add(peer)

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
