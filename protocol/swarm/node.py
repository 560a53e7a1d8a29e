"""Our node in the swarm: it publishes, finds, keeps what others publish, and stays in touch.

Rules:

1. Everything runs in the asyncio loop of whoever started it: one p2pd, hivemind's connection to it, one DHT protocol.
   Never ``hivemind.DHT``, which forks and leaves processes behind.
2. What is published is told again before it expires (``schedule``), until it is forgotten.
3. If p2pd dies or hangs it is started again on the same ports, with what the node kept, what it published, and the
   handlers that others registered at ``p2p``.
4. If no other node answers, the bootstrap addresses and those of nodes met before are dialled again.
5. Starting needs nobody: a node may be alone. ``troubles`` says why an address did not work.
6. What goes wrong in one of these duties is logged and does not end the others, nor the node.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import replace
from random import Random
from types import MappingProxyType
from typing import Any, Self

from protocol import hivemind_light  # isort: skip  # noqa: F401  # before hivemind

from hivemind.dht.routing import DHTID
from hivemind.p2p import P2P, P2PDaemonError

from protocol.errors import EnvironmentFault, UsageError
from protocol.identity import PublicKey
from protocol.pointer import Kind, Pointer
from protocol.swarm import relay
from protocol.swarm.company import DIAL_SECONDS, greet_all, has_company, neighbours
from protocol.swarm.config import Config
from protocol.swarm.daemon import START_SECONDS, Daemon
from protocol.swarm.kademlia import DHTProtocol
from protocol.swarm.locations import AUTHOR_LEVEL, CROWDED, LEVELS, children, location, locations_of, prefix_of
from protocol.swarm.lookup import Lookup
from protocol.swarm.offers import Offer
from protocol.swarm.schedule import Schedule
from protocol.swarm.storage import PointerStorage
from protocol.swarm.validator import packed, unpacked

CHECK_SECONDS = 20.0
"""Between looks at whether p2pd and other nodes answer, more or less half of it."""

TELL_SECONDS = 5.0
"""Between looks at what is to be told again; all of it goes out together."""

FIRST_RESTART_SECONDS = 0.1
LONGEST_RESTART_SECONDS = 30.0
"""Between attempts to start p2pd again; each wait is twice the one before."""

_log = logging.getLogger(__name__)


class Swarm:
    """A running node. Implements :class:`protocol.swarm.interface.Directory`."""

    def __init__(self, config: Config, daemon: Daemon, storage: PointerStorage) -> None:
        self._config, self._daemon, self._storage = config, daemon, storage
        self._random = Random()  # noqa: S311  # spreads work over time; nothing secret
        self._schedule = Schedule(config.key, self._random.random)
        self._known: list[str] = []
        self._troubles: dict[str, str] = {}
        self._protocol: DHTProtocol
        self._lookup: Lookup
        self._task: asyncio.Task[None] | None = None

    @classmethod
    async def start(cls, config: Config) -> Self:
        """Start p2pd and join the swarm through the bootstrap addresses, if any works."""
        self = cls(config, await relay.start(config), PointerStorage(config.clock))
        try:
            await self._take_part({})
            await self.join()
        except BaseException:
            await self._daemon.stop()
            raise
        self._task = asyncio.create_task(self._run(), name=f"swarm node {config.key.public.name}")
        return self

    @property
    def p2p(self) -> P2P:
        """hivemind's connection to p2pd. Another one after p2pd was started again: do not keep it."""
        return self._daemon.p2p

    @property
    def peer_id(self) -> str:
        """What libp2p calls this node; follows from its key."""
        return self._config.key.public.peer_id

    @property
    def addresses(self) -> list[str]:
        """Where others reach this node; each may be a bootstrap address of theirs."""
        relayed = [f"{relay}/p2p-circuit" for relay in self._config.relays]
        visible = [str(address) for address in self.p2p._visible_maddrs]
        return [f"{address}/p2p/{self.peer_id}" for address in dict.fromkeys(visible + relayed)]

    @property
    def peers(self) -> list[str]:
        """The nodes in the routing table."""
        return [str(peer) for peer in self._protocol.peers]

    @property
    def troubles(self) -> Mapping[str, str]:
        """Bootstrap addresses that did not work when last tried, and why."""
        return MappingProxyType(self._troubles)

    @property
    def refused(self) -> Mapping[str, int]:
        """How many entries of others were not valid, by rule."""
        return MappingProxyType(self._protocol.record_validator.refused)

    @property
    def kept(self) -> int:
        """Entries that this node holds for the swarm."""
        return self._storage.entries

    async def publish(self, round_id: bytes, *pointers: Pointer) -> int:
        """See :class:`protocol.swarm.interface.Directory`."""
        self._check_running()
        now = self._config.clock()
        for pointer in pointers:
            if pointer.round_id != round_id:
                raise UsageError("a pointer of another round cannot be published in this one")
            if not pointer.alive(now):
                raise UsageError(f"a pointer that expires at {pointer.expiration} cannot be published at {now:.0f}")
        for pointer in pointers:
            self._schedule.add(pointer, now)
        return await self._tell(pointers)

    async def find(self, round_id: bytes, kind: Kind, authors: Collection[bytes] | None = None) -> list[Pointer]:
        """See :class:`protocol.swarm.interface.Directory`."""
        self._check_running()
        if authors is None:
            values = await self._read_shared(round_id, kind)
        else:
            ids = [PublicKey.from_point(author).id for author in authors]
            values, _ = await self._read(round_id, kind, AUTHOR_LEVEL, [prefix_of(i, AUTHOR_LEVEL) for i in ids])
        now = self._config.clock()
        latest: dict[bytes, Pointer] = {}
        for value in values:
            pointer, _ = self._protocol.record_validator.read(unpacked(value))
            if pointer.round_id != round_id or pointer.kind is not kind or not pointer.alive(now):
                continue
            held = latest.get(pointer.subkey)
            if held is None or held.expiration < pointer.expiration:
                latest[pointer.subkey] = pointer
        return [latest[subkey] for subkey in sorted(latest)]

    async def forget(self, round_id: bytes, *pointers: Pointer) -> None:
        """See :class:`protocol.swarm.interface.Directory`."""
        for pointer in pointers:
            if pointer.round_id == round_id:
                self._schedule.forget(pointer)

    async def join(self) -> bool:
        """Dial the bootstrap addresses and nodes met before; whether anybody is there."""
        self._troubles = await greet_all(self._protocol, [*self._config.bootstrap, *self._known])
        self._troubles = {a: why for a, why in self._troubles.items() if a in self._config.bootstrap}
        if not self._protocol.peers:
            return False
        await self._lookup.near([self._protocol.node_id])
        return True

    async def republish(self) -> None:
        """Tell again what is due. The node does so by itself; for who moves the clock by hand."""
        now = self._config.clock()
        due = self._schedule.due(now)
        for pointer in due:
            self._schedule.add(pointer, now)
        await self._tell(due)

    async def close(self) -> None:
        """Stop; nothing is left of it."""
        if self._task is None:
            return
        task, self._task = self._task, None
        task.cancel()
        try:
            await asyncio.wait([task])
        finally:
            await self._protocol.stop()
            await self._daemon.stop()

    async def _take_part(self, handlers: Mapping[str, Any]) -> None:
        """Begin to answer DHT calls, and what others have registered."""
        config = self._config
        try:
            async with asyncio.timeout(START_SECONDS):
                protocol = await DHTProtocol.start(self.p2p, self._storage, config.clock, client=config.client)
                for name, handler in handlers.items():
                    await self.p2p.add_binary_stream_handler(name, handler)
        except (TimeoutError, P2PDaemonError, OSError, EOFError) as error:
            raise EnvironmentFault(f"p2pd started and then did not answer: {error or type(error).__name__}") from None
        self._protocol, self._lookup = protocol, Lookup(protocol, config.clock)

    async def _tell(self, pointers: Iterable[Pointer]) -> int:
        offers = [
            Offer(DHTID.from_bytes(place), pointer.subkey, packed(pointer.encode()), float(pointer.expiration))
            for pointer in pointers
            for place in locations_of(pointer)
        ]
        return len(set[object]().union(*await self._lookup.write(offers))) if offers else 0

    async def _read_shared(self, round_id: bytes, kind: Kind) -> set[bytes]:
        values: set[bytes] = set()
        level, prefixes = LEVELS[0], [0]
        while prefixes:
            found, crowded = await self._read(round_id, kind, level, prefixes)
            values |= found
            below = [deeper for prefix in crowded if (deeper := children(level, prefix)) is not None]
            level, prefixes = (below[0][0] if below else level), [p for _, more in below for p in more]
        return values

    async def _read(
        self, round_id: bytes, kind: Kind, level: int, prefixes: Iterable[int]
    ) -> tuple[set[bytes], list[int]]:
        """Everything in these dictionaries, and which of them may not have had room for more."""
        keys = {DHTID.from_bytes(location(round_id, kind, level, prefix)): prefix for prefix in prefixes}
        readings = await self._lookup.read(keys)
        values = set[bytes]().union(*(reading.values for reading in readings.values()))
        return values, [keys[key] for key, reading in readings.items() if reading.largest >= CROWDED]

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            for work in (self._keep_running, self._keep_telling, self._keep_company):
                tasks.create_task(self._keep(work))

    async def _keep(self, work: Callable[[], Awaitable[None]]) -> None:
        """Again and again: rule 6."""
        while True:
            try:
                await work()
            except Exception:  # noqa: BLE001  # whatever it is, the node goes on; the log says what
                _log.exception("the swarm goes on after an error")
                await asyncio.sleep(TELL_SECONDS)

    async def _keep_running(self) -> None:
        await self._daemon.died()
        await self._restart()

    async def _keep_telling(self) -> None:
        await asyncio.sleep(TELL_SECONDS)
        await self.republish()

    async def _keep_company(self) -> None:
        await asyncio.sleep(CHECK_SECONDS * self._random.uniform(0.5, 1.5))
        if not await self._p2pd_answers():
            self._daemon.kill()  # and _keep_running starts another
        elif await has_company(self._protocol, self._random):
            self._known = await neighbours(self._protocol) or self._known
        elif await self.join():
            await self._tell(self._schedule.all(self._config.clock()))

    async def _p2pd_answers(self) -> bool:
        try:
            async with asyncio.timeout(DIAL_SECONDS):
                await self.p2p.get_visible_maddrs(latest=True)
        except (TimeoutError, P2PDaemonError, OSError, EOFError):
            return False
        except ValueError:
            return True  # no address to be reached at
        return True

    async def _restart(self) -> None:
        """The same node with a new p2pd."""
        old, handlers = self._daemon, dict(self.p2p._client.control.handlers)
        listening = _same_ports(self._config.listen, [str(address) for address in self.p2p._visible_maddrs])
        await self._protocol.stop()
        await old.stop()
        wait = FIRST_RESTART_SECONDS
        while True:
            try:
                self._daemon = await relay.start(replace(self._config, listen=listening))
                await self._take_part(handlers)
                break
            except EnvironmentFault:
                await self._daemon.stop()
                listening = self._config.listen  # another program has the port now
                await asyncio.sleep(wait)
                wait = min(2 * wait, LONGEST_RESTART_SECONDS)
        await self.join()
        await self._tell(self._schedule.all(self._config.clock()))

    def _check_running(self) -> None:
        if self._task is None:
            raise UsageError("this node has left the swarm")


def _same_ports(listen: tuple[str, ...], visible: list[str]) -> tuple[str, ...]:
    """Addresses to listen on with the ports that any port turned out to be: others know us by them."""
    ports = {address.split("/")[1]: address.split("/")[4] for address in visible if address.count("/") == 4}
    return tuple(
        f"{address.removesuffix('/0')}/{ports.get(address.split('/')[1], '0')}"
        if address.endswith("/tcp/0")
        else address
        for address in listen
    )
