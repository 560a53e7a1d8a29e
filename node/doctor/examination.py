"""All checks, in the order in which their fixes help."""

import asyncio
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from node.config import Config
from node.doctor import local, network, ports, software, swarm
from node.doctor.finding import Finding, State, ok, warn
from node.home import Home
from protocol.errors import ProtocolError


@dataclass(frozen=True)
class Need:
    """What a round in which this node is a steward may take of its disk, in bytes."""

    title: str
    most: int


@dataclass(frozen=True)
class Running:
    """What the daemon answered: how it is, and what its rounds need."""

    text: str
    needs: tuple[Need, ...] = ()


def examine(home: Home, environment: Mapping[str, str], running: Running | None) -> Iterator[Finding]:
    """One finding after the other, as they come. ``running`` is None where no daemon answered."""
    yield software.python()
    yield software.cryptography()
    found, config = local.settings(home, environment)
    yield found
    yield local.key(home)
    yield local.folder(home.folder)
    yield local.disk(home.store, config.storage.quota)
    yield local.memory(config.limits.memory)
    yield daemon(running)
    if running is not None:
        free = shutil.disk_usage(home.folder).free
        yield from (local.room(need.title, need.most, config.storage.quota, free) for need in running.needs)
    for door in ports.doors(config.network):
        yield ports.port(door, running=running is not None)
    p2pd = asyncio.run(swarm.start())
    yield p2pd
    yield from _others(config, p2pd.state is not State.FAIL)
    yield network.reach(config.network, network.own_address())
    yield software.loops()


def daemon(running: Running | None) -> Finding:
    """Whether the node runs."""
    if running is None:
        return warn("node", "is not running", "umm node")
    return ok("node", running.text)


def _others(config: Config, has_p2pd: bool) -> Iterator[Finding]:
    """Bootstrap nodes, and what they say about our clock."""
    addresses = config.network.bootstrap
    if not addresses:
        yield network.alone()
        yield network.clock({})
        return
    dialled = asyncio.run(network.dial_all(addresses))
    reached = [address for address, trouble in dialled.items() if trouble is None]
    greeted = _greeted(reached) if has_p2pd and reached else {}
    for address, trouble in dialled.items():
        yield network.bootstrap(address, trouble, greeted.get(address, ""))
    yield network.clock(greeted)


def _greeted(addresses: Sequence[str]) -> dict[str, str | None]:
    try:
        return asyncio.run(swarm.greet(addresses))
    except ProtocolError as error:
        return dict.fromkeys(addresses, str(error))
