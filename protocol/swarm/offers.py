"""Entries on their way to other nodes: what a message holds, and what a node that appeared should have."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

from protocol import hivemind_light  # isort: skip  # noqa: F401  # before hivemind

from hivemind.dht.routing import DHTID
from hivemind.p2p import PeerID

from protocol.swarm.storage import PointerStorage
from protocol.swarm.table import BUCKET_NODES, Table, place_of

MAX_OFFERED = 4096
"""Entries in one offer."""

MAX_OFFER_BYTES = 1_000_000
"""Values in one message that we send."""

TURN = 64
"""Entries or dictionaries looked at before others get their turn."""


@dataclass(frozen=True, slots=True)
class Offer:
    """One entry for one dictionary, as hivemind sends it."""

    key: DHTID
    subkey: bytes
    value: bytes
    expiration: float

    @property
    def size(self) -> int:
        """About how many bytes of a message it takes."""
        return len(self.value) + len(self.subkey) + 48


def batches(offers: Iterable[Offer]) -> Iterable[list[Offer]]:
    """One list for each message."""
    batch: list[Offer] = []
    size = 0
    for offer in offers:
        if batch and (size + offer.size > MAX_OFFER_BYTES or len(batch) == MAX_OFFERED):
            yield batch
            batch, size = [], 0
        batch.append(offer)
        size += offer.size
    if batch:
        yield batch


def held(storage: PointerStorage, key: DHTID) -> list[Offer]:
    """What is kept under a key."""
    found = storage.get(key)
    data = found.value.data if found is not None else {}
    return [Offer(key, subkey, value, expires) for subkey, (value, expires) in data.items()]


async def due_to(peer: PeerID, storage: PointerStorage, table: Table) -> list[Offer]:
    """The dictionaries for which a node that appeared is among the nearest, and we are the nearest of the others."""
    found: list[Offer] = []
    for number, (key, _) in enumerate(list(storage.items())):
        if number % TURN == TURN - 1:
            await asyncio.sleep(0)
        if _is_for(place_of(peer), key, table):
            found += held(storage, key)
    return found


def _is_for(place: DHTID, key: DHTID, table: Table) -> bool:
    near = table.get_nearest_neighbors(key, BUCKET_NODES + 1, exclude=place)
    others = [other.xor_distance(key) for other, _ in near][:BUCKET_NODES]
    if not others:
        return True
    last = others[-1] if len(others) == BUCKET_NODES else 2**160
    return bool(place.xor_distance(key) < last and table.node_id.xor_distance(key) < others[0])
