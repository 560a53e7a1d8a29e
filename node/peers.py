"""Other nodes by their keys: connected once, over whichever road works, and used by all rounds.

The direct road first, where a pointer names an address; else through the swarm's own connections, which also reach
nodes behind routers. A peer that failed is connected anew when it is needed again, not before ``RETRY_SECONDS``.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from weakref import WeakValueDictionary

from protocol.errors import ProtocolError, UnavailableError
from protocol.exchange.grudges import Grudges
from protocol.exchange.interface import Peer, Road
from protocol.identity import PublicKey

MAX_PEERS = 64
"""Connections that are kept; the one used longest ago is closed for another."""

RETRY_SECONDS = 5.0

MAX_FAILURES = 4096
"""Nodes of which it is remembered that they did not answer."""


@dataclass(frozen=True)
class Place:
    """A node and where it says that its direct road is; an empty address if nowhere."""

    key: PublicKey
    address: str = ""


class Peers:
    """Connections to other nodes."""

    def __init__(self, direct: Road | None, swarm: Road | None, clock: Callable[[], float]) -> None:
        self._direct, self._swarm, self._clock = direct, swarm, clock
        self._open: OrderedDict[bytes, Peer] = OrderedDict()
        self._failed: OrderedDict[bytes, tuple[float, str]] = OrderedDict()
        self._locks: WeakValueDictionary[bytes, asyncio.Lock] = WeakValueDictionary()
        self.grudges = Grudges()
        """Against those that sent forged bytes; nothing is asked of them again."""

    @property
    def connected(self) -> Sequence[Peer]:
        """Those that are connected now."""
        return tuple(self._open.values())

    @property
    def failures(self) -> Mapping[bytes, str]:
        """Nodes that could not be reached when they were last tried, by point, and why."""
        return {point: reason for point, (_, reason) in self._failed.items() if point not in self._open}

    async def reach(self, place: Place) -> Peer:
        """The node, connected. Raises :class:`UnavailableError` when it cannot be reached now."""
        point = place.key.point
        lock = self._locks.setdefault(point, asyncio.Lock())
        async with lock:
            if point in self._open:
                self._open.move_to_end(point)
                return self._open[point]
            self._refuse_early(point)
            peer = await self._connect(place)
            self._open[point] = peer
            self._failed.pop(point, None)
        while len(self._open) > MAX_PEERS:
            _, oldest = self._open.popitem(last=False)
            await oldest.close()
        return peer

    async def reach_all(self, places: Sequence[Place]) -> list[Peer]:
        """Those of the nodes that can be reached now."""
        found = await asyncio.gather(*(self.reach(place) for place in places), return_exceptions=True)
        for answer in found:
            if isinstance(answer, BaseException) and not isinstance(answer, ProtocolError):
                raise answer
        return [peer for peer in found if not isinstance(peer, BaseException)]

    async def drop(self, peer: Peer) -> None:
        """Close a connection that failed; the next who needs it gets a new one."""
        if peer.identity is not None and self._open.get(peer.identity.point) is peer:
            del self._open[peer.identity.point]
        await peer.close()

    async def close(self) -> None:
        """Close all."""
        while self._open:
            _, peer = self._open.popitem()
            await peer.close()

    async def _connect(self, place: Place) -> Peer:
        tried = []
        roads = ((self._direct, place.address), (self._swarm, f"/p2p/{place.key.peer_id}"))
        for road, address in roads:
            if road is None or not address:
                continue
            try:
                return await road.connect(address, place.key)
            except ProtocolError as error:
                tried.append(str(error))
        reason = "; ".join(tried) or "no road leads there"
        self._remember(place.key.point, reason)
        raise UnavailableError(f"{place.key.name} cannot be reached: {reason}")

    def _refuse_early(self, point: bytes) -> None:
        at, reason = self._failed.get(point, (0.0, ""))
        if reason and self._clock() < at + RETRY_SECONDS:
            raise UnavailableError(f"not tried again yet: {reason}")

    def _remember(self, point: bytes, reason: str) -> None:
        self._failed[point] = (self._clock(), reason)
        self._failed.move_to_end(point)
        while len(self._failed) > MAX_FAILURES:
            self._failed.popitem(last=False)
