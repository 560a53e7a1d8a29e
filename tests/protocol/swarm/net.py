"""Real nodes on loopback, and peers that keep to hivemind's own rules or to none."""

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Self, TypeVar

from protocol.identity import Key
from protocol.pointer import Kind, Pointer
from protocol.swarm.config import LOOPBACK, Config
from protocol.swarm.daemon import Daemon
from protocol.swarm.kademlia import CALL_SECONDS
from protocol.swarm.locations import locations_of
from protocol.swarm.node import Swarm
from protocol.swarm.validator import PointerValidator, packed

from hivemind.dht import protocol as upstream  # isort: skip  # after hivemind_light, which the above import first
from hivemind.dht.node import DHTNode  # isort: skip
from hivemind.dht.routing import DHTID  # isort: skip
from hivemind.p2p import PeerID  # isort: skip

SECONDS = 60
"""For one scenario."""

ROUND = bytes(range(32))
KIND = Kind.CONTRIBUTION
T = TypeVar("T")


def now() -> float:
    """The DHT lives by the wall clock."""
    return datetime.now(UTC).timestamp()


class Clock:
    """The wall clock, moved by hand."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return now() + self.ahead


def pointer(key: Key, lifetime: int = 3600, **changed: Any) -> Pointer:
    """One for :data:`ROUND`."""
    fields = {"round_id": ROUND, "kind": KIND, "record_id": bytes(32), "size": 1000, "slot": 0, **changed}
    return Pointer.sign(key, expiration=int(now()) + lifetime, **fields)


def entry(of: Pointer, level: int = 0) -> tuple[DHTID, bytes, float, bytes]:
    """Key, value, expiration and subkey as ``call_store`` takes them."""
    place = DHTID.from_bytes(locations_of(of)[level])
    return place, packed(of.encode()), float(of.expiration), of.subkey


class Stock:
    """A peer that follows hivemind's protocol and nobody's rules: no validator, no limits, any place in the table."""

    def __init__(self, daemon: Daemon, protocol: upstream.DHTProtocol) -> None:
        self.daemon, self.protocol = daemon, protocol

    @classmethod
    async def start(cls, *bootstrap: str, node_id: int | None = None, kind: type[Any] = upstream.DHTProtocol) -> Self:
        """Join through these addresses."""
        daemon = await Daemon.start(loopback(Key.generate()))
        place = DHTID(node_id) if node_id is not None else DHTID.generate()
        protocol = await kind.create(daemon.p2p, place, 20, 5, 5, CALL_SECONDS)
        self = cls(daemon, protocol)
        for address in bootstrap:
            await self.meet(address)
        return self

    @property
    def peer_id(self) -> PeerID:
        return self.daemon.p2p.peer_id

    @property
    def address(self) -> str:
        """Where others reach it."""
        return f"{self.daemon.p2p._visible_maddrs[0]}/p2p/{self.peer_id}"

    async def meet(self, address: str) -> None:
        """Be known to the node there."""
        base, _, name = address.rpartition("/p2p/")
        await self.daemon.p2p._client.connect(PeerID.from_base58(name), [upstream_address(base)])
        assert await self.protocol.call_ping(PeerID.from_base58(name)) is not None

    async def offer(self, to: PeerID | str, *entries: tuple[DHTID, bytes, float, bytes | None]) -> list[bool] | None:
        """Ask a node to keep these; None if it does not answer or answers with an error."""
        peer = PeerID.from_base58(to) if isinstance(to, str) else to
        keys, values, expirations, subkeys = zip(*entries, strict=True)
        answer = await self.protocol.call_store(peer, keys, values, list(expirations), subkeys)
        return None if answer is None else list(answer)

    def keeps(self, place: DHTID) -> dict[bytes, bytes] | bytes | None:
        """What it has under a key."""
        found = self.protocol.storage.get(place)
        if found is None:
            return None
        if isinstance(found.value, bytes):
            return found.value
        return {subkey: item.value for subkey, item in found.value.items()}

    async def close(self) -> None:
        await self.daemon.stop()


def upstream_address(text: str) -> Any:
    """A multiaddr as hivemind has it."""
    from hivemind.utils.multiaddr import Multiaddr

    return Multiaddr(text)


def loopback(key: Key, *bootstrap: str, clock: Any = now, **changed: Any) -> Config:
    """A node that nobody outside of this machine reaches."""
    return Config(**{"key": key, "clock": clock, "listen": LOOPBACK, "nat": False, "bootstrap": bootstrap, **changed})


class Net:
    """One event loop and what runs in it."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner()
        self._running: list[Swarm | Stock] = []

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """To its end, within :data:`SECONDS`."""

        async def bounded() -> T:
            async with asyncio.timeout(SECONDS):
                return await work

        return self._runner.run(bounded())

    async def node(self, *bootstrap: str, key: Key | None = None, **changed: Any) -> Swarm:
        """One of ours."""
        swarm = await Swarm.start(loopback(key or Key.generate(), *bootstrap, **changed))
        self._running.append(swarm)
        return swarm

    async def nodes(self, count: int) -> list[Swarm]:
        """Several that know each other."""
        found = [await self.node()]
        for _ in range(count - 1):
            found.append(await self.node(*found[0].addresses))
        return found

    async def stock(self, *bootstrap: str, **changed: Any) -> Stock:
        """One that is not."""
        found = await Stock.start(*bootstrap, **changed)
        self._running.append(found)
        return found

    async def reader(self, *bootstrap: str) -> DHTNode:
        """hivemind's own node, which checks what it reads as ours does."""
        stock = await self.stock(*bootstrap)
        return await DHTNode.create(
            stock.daemon.p2p,
            initial_peers=bootstrap,
            client_mode=True,  # or it would be handed everything
            cache_locally=False,
            cache_nearest=0,
            record_validator=PointerValidator(now),
        )

    def close(self) -> None:
        """All of it."""
        try:
            for node in reversed(self._running):
                self._runner.run(node.close())
        finally:
            self._runner.close()


@contextmanager
def network() -> Iterator[Net]:
    """For one test or one module."""
    net = Net()
    try:
        yield net
    finally:
        net.close()
