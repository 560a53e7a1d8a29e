"""All checks, in the order in which their fixes help."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

from node.config import Config
from node.doctor import local, network, ports, software, swarm
from node.doctor.finding import Finding, State, ok, warn
from node.home import Home
from protocol.errors import ProtocolError

T = TypeVar("T")


def examine(home: Home, environment: Mapping[str, str], running: str | None) -> Iterator[Finding]:
    """One finding after the other, as they come. ``running`` is what the daemon answered, None if it did not."""
    yield software.python()
    yield software.cryptography()
    found, config = local.settings(home, environment)
    yield found
    yield local.key(home)
    yield local.folder(home.folder)
    yield local.disk(home.store, config.storage.quota)
    yield local.memory(config.limits.memory)
    yield daemon(running)
    for door in ports.doors(config.network):
        yield ports.port(door, running=running is not None)
    p2pd = asyncio.run(swarm.start())
    yield p2pd
    yield from _others(config, p2pd.state is not State.FAIL)
    yield network.reach(config.network, network.own_address())
    yield software.loops()


def daemon(running: str | None) -> Finding:
    """Whether the node runs."""
    if running is None:
        return warn("node", "is not running", "umm node")
    return ok("node", running)


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
