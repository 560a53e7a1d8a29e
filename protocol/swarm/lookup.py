"""Reading and writing through many nodes at once, so that no single one decides what is there.

Rules:

1. The nodes near to a key are those that answer (``walk``), beginning with those that we know ourselves.
2. Reading asks all of the ``NEAR`` nearest for what they hold and keeps the union. hivemind's ``get`` stops at the
   first answer that claims to expire late enough, so one fast liar next to the key hid everybody else.
3. Writing goes to the ``NEAR`` nearest and to our own storage, so that whoever wants to keep it from readers has to be
   all that they ask. What they say about it proves nothing.
4. The search before writing asks for the key with its last bit flipped: the same nodes are near to it, and they answer
   without sending a dictionary.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence

from protocol import hivemind_light  # isort: skip  # noqa: F401  # before hivemind

from hivemind.dht.routing import DHTID
from hivemind.p2p import PeerID

from protocol.swarm.kademlia import MAX_KEYS, DHTProtocol
from protocol.swarm.offers import Offer, held
from protocol.swarm.table import BUCKET_NODES, place_of
from protocol.swarm.walk import Walk

NEAR = BUCKET_NODES
"""Nodes asked for each key, and given what belongs there."""

READ_KEYS = 8
"""Dictionaries in one question; full ones fit into one answer."""

LOOKUP_SECONDS = 10.0
"""After this a search ends with what it has."""

REST_SECONDS = 10.0
"""A node that did not answer is not asked again for this long unless it comes forward."""

DISTRUST_SECONDS = 60.0
"""Who named nodes that do not exist is not believed for this long."""

MAX_REMEMBERED = 4096
"""Nodes that are resting or distrusted."""


class Reading:
    """What was found under one key."""

    def __init__(self) -> None:
        self.values: set[bytes] = set()
        self.largest = 0
        """Entries in the largest dictionary that a node sent."""

    def add(self, values: Collection[bytes]) -> None:
        """What one node holds."""
        self.values.update(values)
        self.largest = max(self.largest, len(values))


class Lookup:
    """Searches over one protocol."""

    def __init__(self, protocol: DHTProtocol, clock: Callable[[], float]) -> None:
        self._protocol, self._clock = protocol, clock
        self._resting: dict[PeerID, float] = {}
        self._distrusted: dict[PeerID, float] = {}

    async def near(self, keys: Iterable[DHTID]) -> dict[DHTID, list[PeerID]]:
        """The nodes nearest to each key, nearest first, without us."""
        twins = {DHTID(key ^ 1): key for key in keys}
        walks = await self._search(list(twins), MAX_KEYS, None)
        return {twins[twin]: walk.nearest() for twin, walk in walks.items()}

    async def read(self, keys: Iterable[DHTID]) -> dict[DHTID, Reading]:
        """What all near nodes and we ourselves hold under each key; every value was found valid."""
        readings = {key: Reading() for key in keys}
        for key, reading in readings.items():
            reading.add([offer.value for offer in held(self._protocol.storage, key)])
        await self._search(list(readings), READ_KEYS, readings)
        return readings

    async def write(self, offers: Sequence[Offer]) -> list[set[PeerID]]:
        """Offer each entry to the nodes near to its key; who says that it keeps it."""
        near = await self.near({offer.key for offer in offers})
        shares: defaultdict[PeerID, list[int]] = defaultdict(list)
        for number, offer in enumerate(offers):
            self._protocol.storage.take(offer.key, offer.subkey, offer.value, offer.expiration, None)
            for peer in near[offer.key][:NEAR]:
                shares[peer].append(number)
        kept: list[set[PeerID]] = [set() for _ in offers]

        async def give(peer: PeerID, share: list[int]) -> None:
            answers = await self._protocol.offer(peer, [offers[number] for number in share])
            for number, answer in zip(share, answers or (), strict=False):
                if answer:
                    kept[number].add(peer)

        await asyncio.gather(*(give(peer, share) for peer, share in shares.items()))
        return kept

    async def _search(
        self, keys: list[DHTID], batch: int, readings: dict[DHTID, Reading] | None
    ) -> dict[DHTID, Walk[PeerID]]:
        table, own = self._protocol.table, self._protocol.node_id
        walks: dict[DHTID, Walk[PeerID]] = {key: Walk(key, NEAR) for key in keys}
        for key, walk in walks.items():
            walk.learn(table.get_nearest_neighbors(key, NEAR, exclude=own))
        try:
            async with asyncio.timeout(LOOKUP_SECONDS):
                while questions := _questions(walks, batch):
                    await asyncio.gather(*(self._ask(peer, asked, walks, readings) for peer, asked in questions))
        except TimeoutError:
            pass  # what was heard until now counts
        until = self._clock() + DISTRUST_SECONDS
        for walk in walks.values():
            _remember(self._distrusted, walk.liars(), until)
        return walks

    async def _ask(
        self,
        peer: PeerID,
        keys: list[DHTID],
        walks: dict[DHTID, Walk[PeerID]],
        readings: dict[DHTID, Reading] | None,
    ) -> None:
        answer = await self._protocol.call_find(peer, keys, readings is not None)
        now = self._clock()
        if answer is None:
            _remember(self._resting, {peer}, now + REST_SECONDS)
            return
        self._resting.pop(peer, None)
        believed = self._distrusted.get(peer, now) <= now
        for key, found in answer.items():
            walks[key].answered(peer)
            if believed:
                walks[key].learn([(place_of(p), p) for p in found.named if self._may_be_asked(p, now)], source=peer)
            if readings is not None:
                readings[key].add(found.values)

    def _may_be_asked(self, peer: PeerID, now: float) -> bool:
        return peer != self._protocol.p2p.peer_id and self._resting.get(peer, now) <= now


def _questions(walks: dict[DHTID, Walk[PeerID]], batch: int) -> list[tuple[PeerID, list[DHTID]]]:
    """What to ask whom next."""
    wanted: defaultdict[PeerID, list[DHTID]] = defaultdict(list)
    for key, walk in walks.items():
        for peer in walk.ask():
            wanted[peer].append(key)
    return [
        (peer, keys[start : start + batch]) for peer, keys in wanted.items() for start in range(0, len(keys), batch)
    ]


def _remember(until: dict[PeerID, float], peers: Iterable[PeerID], when: float) -> None:
    for peer in peers:
        until.pop(peer, None)
        until[peer] = when
    while len(until) > MAX_REMEMBERED:
        del until[next(iter(until))]
