"""Nodes of one round in one process: a database each, and a swarm in memory between them."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from node.database import Database
from node.peers import Peers
from node.rounds.announcements import Announcements
from node.rounds.gathering import Gathering
from node.rounds.proceedings import Heard, Proceedings
from node.shelf import NodeShelf
from protocol.blobs.chunks import ChunkList
from protocol.blobs.source import Library
from protocol.identity import Key
from protocol.records import (
    Admission,
    Base,
    Commitment,
    Contribution,
    Kind,
    Recipe,
    Round,
    Schedule,
    Signed,
    sign,
)
from protocol.swarm.memory import MemoryNode, MemorySwarm

OPENS = 1_800_000_000
COMMIT_CLOSES = OPENS + 100
REVEAL_CLOSES = OPENS + 200
ROSTER_CLOSES = OPENS + 300

COMMITTING = OPENS + 10.0
REVEALING = COMMIT_CLOSES + 10.0

DIGEST = bytes(32)


def a_round(convener: Key, stewards: Iterable[Key] = (), **changes: Any) -> Signed[Round]:
    """A round of an hour."""
    points = tuple(sorted(key.public.point for key in stewards)) or (convener.public.point,)
    record = Round(
        author=convener.public.point,
        title="A round",
        base=Base(root=DIGEST, manifest=DIGEST),
        recipe=Recipe(text="{merge_method: ties}"),
        seed=DIGEST,
        kinds=(Kind.DELTA,),
        stewards=points,
        schedule=Schedule(
            commit_opens=OPENS,
            commit_closes=COMMIT_CLOSES,
            reveal_closes=REVEAL_CLOSES,
            roster_closes=ROSTER_CLOSES,
            merge_closes=OPENS + 400,
        ),
        admission=Admission(contributions_per_key=8, contributions=100, bytes_each=1000, bytes_total=10**6),
    )
    return sign(replace(record, **changes), convener)


def a_contribution(author: Key, round_: Signed[Round], salt: int = 0) -> Contribution:
    """Offers that differ in their salt."""
    return Contribution(
        author=author.public.point,
        round=round_.id,
        kind=Kind.DELTA,
        manifest=DIGEST,
        root=DIGEST,
        size=10,
        base=DIGEST,
        domain="math",
        licence="mit",
        salt=salt.to_bytes(32, "big"),
    )


def a_commitment(offer: Contribution) -> Commitment:
    """To this offer."""
    return Commitment(author=offer.author, round=offer.round, digest=offer.commitment_digest)


class WallClock:
    """Unix seconds of the test's own world, which go on as those of the loop do."""

    def now(self) -> float:
        return COMMITTING + asyncio.get_running_loop().time() % 1

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(min(seconds, 0.01))


@dataclass
class Member:
    """One node that follows the round."""

    key: Key
    database: Database
    proceedings: Proceedings
    swarm: MemoryNode
    announcements: Announcements
    gathering: Gathering
    peers: Peers

    async def tell(self, now: float = COMMITTING) -> int:
        return await self.announcements.tell(self.proceedings, now)

    async def listen(self, now: float = COMMITTING) -> Heard:
        return await self.gathering.listen(self.proceedings, now)


def join(folder: Path, name: str, key: Key, round_: Signed[Round], swarm: MemorySwarm) -> Member:
    """A node more."""
    database = Database(folder / f"{name}.db")
    pages: dict[bytes, tuple[ChunkList, bytes]] = {}
    node = swarm.join(key, NodeShelf(database, Library(), pages.get), name)
    peers = Peers(node.road, None, swarm.clock.now)
    announcements = Announcements(node, key, lambda: name, pages=pages)
    proceedings = Proceedings.begin(round_, database, key, OPENS)
    return Member(key, database, proceedings, node, announcements, Gathering(node, peers), peers)
