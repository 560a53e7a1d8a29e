"""A swarm in one process and without a network, for tests and simulations of whatever stands on a swarm.

It implements the same interfaces as the real one, a :class:`Directory` and a :class:`Road`, over ``Links`` whose
delays, losses and partitions are set by hand. Its clock counts unix seconds. One seed and one clock make a run repeat
exactly.

It keeps to the real swarm's rules where a program can tell: pointers lie in the dictionaries of ``locations``, on the
``NEAR`` nearest nodes and on the publisher's; reading asks the same and keeps the union; a dictionary has a limit;
 publishers tell again by the same ``schedule``; a node that is down neither answers nor tells.
"""

import asyncio
from collections import defaultdict
from collections.abc import Collection, Iterable
from contextlib import suppress

from protocol.errors import UnavailableError, UsageError
from protocol.exchange.budget import Budget, Limits
from protocol.exchange.clock import Clock
from protocol.exchange.interface import Shelf
from protocol.exchange.server import Server
from protocol.identity import Key, PublicKey
from protocol.pointer import Kind, Pointer
from protocol.roads.memory import Host, Line, Links, MemoryRoad
from protocol.swarm.locations import (
    AUTHOR_LEVEL,
    CROWDED,
    MAX_DICTIONARY_ENTRIES,
    SHARED_LEVELS,
    children,
    location,
    locations_of,
    prefix_of,
)
from protocol.swarm.schedule import Schedule

NEAR = 20
"""Nodes, beside the publisher, that are given a pointer for each of its places, and asked for it."""

REST_SECONDS = 1.0
"""Between two looks at the schedule, if nothing is told."""

Dictionary = dict[bytes, Pointer]


class MemorySwarm:
    """All nodes of one simulated network."""

    def __init__(self, clock: Clock, seed: int = 0, line: Line | None = None) -> None:
        self.clock = clock
        self.links = Links(clock, seed, line)
        self.hosts: dict[str, Host] = {}
        self.nodes: dict[str, MemoryNode] = {}

    def join(self, key: Key, shelf: Shelf, place: str = "", limits: Limits | None = None) -> "MemoryNode":
        """A node more, which serves a shelf; ``place`` is its address, and made up if empty."""
        place = place or f"memory-{len(self.hosts) + 1}"
        if place in self.nodes:
            raise UsageError(f"somebody is at {place} already")
        now = self.clock.now()
        self.hosts[place] = Host(key.public, Server(shelf, Budget(limits or Limits(), now), self.clock))
        self.nodes[place] = node = MemoryNode(self, place, key)
        self.links.up(place)
        return node

    async def close(self) -> None:
        """End all nodes."""
        for node in list(self.nodes.values()):
            await node.close()


class MemoryNode:
    """One node: a :class:`Directory`, with a ``road`` to the others."""

    def __init__(self, swarm: MemorySwarm, place: str, key: Key) -> None:
        self.address = place
        self.road = MemoryRoad(swarm.links, swarm.hosts, place, key.public)
        self.id = key.public.id
        self._swarm = swarm
        self._dictionaries: defaultdict[bytes, Dictionary] = defaultdict(dict)
        self._full_until: dict[bytes, float] = {}
        self._schedule = Schedule(key, swarm.links.dice(place).random)
        self._told = asyncio.Event()
        self._telling: asyncio.Task[None] | None = None

    async def publish(self, round_id: bytes, *pointers: Pointer) -> int:
        """See :class:`protocol.swarm.interface.Directory`."""
        now = self._swarm.clock.now()
        for pointer in pointers:
            if pointer.round_id != round_id:
                raise UsageError(f"a pointer of round {pointer.round_id.hex()} published in {round_id.hex()}")
            if not pointer.alive(now):
                raise UsageError("a pointer that is expired, or lives longer than any may, is not published")
        for pointer in pointers:
            self._schedule.add(pointer, now)
        if self._telling is None:
            self._telling = asyncio.create_task(self._tell_again())
        self._told.set()
        return await self._tell(pointers)

    async def find(self, round_id: bytes, kind: Kind, authors: Collection[bytes] | None = None) -> list[Pointer]:
        """See :class:`protocol.swarm.interface.Directory`."""
        if authors is not None:
            ids = [PublicKey.from_point(author).id for author in authors]
            places = [location(round_id, kind, AUTHOR_LEVEL, prefix_of(i, AUTHOR_LEVEL)) for i in ids]
            found = _latest(p for pointers, _ in (await self._read(places)).values() for p in pointers)
        else:
            found = _latest(await self._read_shared(round_id, kind))
        now = self._swarm.clock.now()
        return [p for p in found if p.round_id == round_id and p.kind is kind and p.alive(now)]

    async def forget(self, round_id: bytes, *pointers: Pointer) -> None:
        """See :class:`protocol.swarm.interface.Directory`."""
        for pointer in pointers:
            if pointer.round_id == round_id:
                self._schedule.forget(pointer)

    async def close(self) -> None:
        """Leave: nobody hears of this node again, and it forgets everything. Closing twice is allowed."""
        self._swarm.links.down(self.address)
        if self._swarm.nodes.get(self.address) is self:
            del self._swarm.nodes[self.address], self._swarm.hosts[self.address]
        if self._telling is not None:
            self._telling.cancel()
            with suppress(asyncio.CancelledError):
                await self._telling
            self._telling = None

    def keep(self, place: bytes, pointer: Pointer) -> bool:
        """Take a pointer offered by another node; False if there is no room, or a later one is here."""
        dictionary = self._dictionaries[place]
        held = dictionary.get(pointer.subkey)
        if not pointer.alive(self._swarm.clock.now()) or (held and held.expiration >= pointer.expiration):
            return False
        if held is None and len(dictionary) >= MAX_DICTIONARY_ENTRIES and not self._make_room(place, dictionary):
            return False
        dictionary[pointer.subkey] = pointer
        return True

    def held(self, place: bytes) -> list[Pointer]:
        """What this node has in a dictionary."""
        now = self._swarm.clock.now()
        return [p for p in self._dictionaries.get(place, {}).values() if p.alive(now)]

    def _make_room(self, place: bytes, dictionary: Dictionary) -> bool:
        now = self._swarm.clock.now()
        if now < self._full_until.get(place, now):
            return False
        for subkey in [subkey for subkey, pointer in dictionary.items() if not pointer.alive(now)]:
            del dictionary[subkey]
        self._full_until[place] = min((pointer.expiration for pointer in dictionary.values()), default=now)
        return len(dictionary) < MAX_DICTIONARY_ENTRIES

    async def _tell_again(self) -> None:
        """Publish what is due, as long as the node lives."""
        clock = self._swarm.clock
        while True:
            due = self._schedule.next()
            if due is None:
                self._told.clear()
                await self._told.wait()
                continue
            await clock.sleep(max(due - clock.now(), REST_SECONDS))
            if pointers := self._schedule.due(clock.now()):
                for pointer in pointers:
                    self._schedule.add(pointer, clock.now())
                await self._tell(pointers)

    async def _tell(self, pointers: Collection[Pointer]) -> int:
        shares: defaultdict[str, list[tuple[bytes, Pointer]]] = defaultdict(list)
        for pointer in pointers:
            for place in locations_of(pointer):
                self.keep(place, pointer)
                for node in self._near(place)[:NEAR]:
                    shares[node.address].append((place, pointer))
        answers = await asyncio.gather(*(self._offer(address, share) for address, share in shares.items()))
        return sum(answers)

    async def _offer(self, address: str, share: list[tuple[bytes, Pointer]]) -> bool:
        try:
            await self._swarm.links.carry(self.address, address)
            node = self._swarm.nodes.get(address)
            kept = node is not None and sum(node.keep(place, pointer) for place, pointer in share) > 0
            await self._swarm.links.carry(address, self.address)
        except UnavailableError:
            return False
        return kept

    async def _read_shared(self, round_id: bytes, kind: Kind) -> list[Pointer]:
        """Level by level: the children of every dictionary that was so full that it may not be whole."""
        found: list[Pointer] = []
        wanted = [(SHARED_LEVELS[0], 0)]
        while wanted:
            places = {location(round_id, kind, *where): where for where in wanted}
            wanted = []
            for place, (pointers, largest) in (await self._read(places)).items():
                found += pointers
                below = children(*places[place]) if largest >= CROWDED else None
                wanted += [(below[0], prefix) for prefix in below[1]] if below is not None else []
        return found

    async def _read(self, places: Iterable[bytes]) -> dict[bytes, tuple[list[Pointer], int]]:
        """What all near nodes and this one hold in each place, and how much the fullest of them holds."""
        found = {place: (self.held(place), len(self.held(place))) for place in places}
        shares: defaultdict[str, list[bytes]] = defaultdict(list)
        for place in found:
            for node in self._near(place)[:NEAR]:
                shares[node.address].append(place)
        answers = await asyncio.gather(*(self._question(address, share) for address, share in shares.items()))
        for answer in answers:
            for place, pointers in answer.items():
                known, largest = found[place]
                found[place] = (known + pointers, max(largest, len(pointers)))
        return found

    async def _question(self, address: str, places: list[bytes]) -> dict[bytes, list[Pointer]]:
        try:
            await self._swarm.links.carry(self.address, address)
            node = self._swarm.nodes.get(address)
            answer = {place: node.held(place) for place in places} if node is not None else {}
            await self._swarm.links.carry(address, self.address)
        except UnavailableError:
            return {}
        return answer

    def _near(self, place: bytes) -> list["MemoryNode"]:
        """The other nodes, nearest first, by the distance of Kademlia."""
        goal = int.from_bytes(place, "big")
        others = [node for node in self._swarm.nodes.values() if node is not self]
        return sorted(others, key=lambda node: int.from_bytes(node.id[: len(place)], "big") ^ goal)


def _latest(pointers: Iterable[Pointer]) -> list[Pointer]:
    """For each author and slot the pointer that expires last, in that order."""
    best: Dictionary = {}
    for pointer in pointers:
        held = best.get(pointer.subkey)
        if held is None or held.expiration < pointer.expiration:
            best[pointer.subkey] = pointer
    return [best[subkey] for subkey in sorted(best)]
