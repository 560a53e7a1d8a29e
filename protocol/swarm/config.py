"""How a node takes part in the swarm. Imports nothing of hivemind."""

from collections.abc import Callable
from dataclasses import dataclass

from protocol.errors import UsageError
from protocol.identity import Key

EVERYWHERE = ("/ip4/0.0.0.0/tcp/0", "/ip6/::/tcp/0")
"""All interfaces, any port."""

LOOPBACK = ("/ip4/127.0.0.1/tcp/0",)

MAX_ADDRESSES = 32
"""Of each sort."""


@dataclass(frozen=True)
class Config:
    """Everything that can be chosen; addresses are multiaddrs."""

    key: Key
    clock: Callable[[], float]
    """Unix seconds; the swarm lives by wall-clock time."""
    listen: tuple[str, ...] = EVERYWHERE
    """Empty: accept no connections at all."""
    announce: tuple[str, ...] = ()
    """What to tell others instead of what we see ourselves; ports as they are reached from outside."""
    bootstrap: tuple[str, ...] = ()
    """Any nodes of the swarm, each with ``/p2p/Qm…`` at its end. One that answers is enough."""
    client: bool = False
    """Behind a NAT: ask and publish, but keep nothing for others."""
    relays: tuple[str, ...] = ()
    """Nodes through which others reach us when they cannot directly."""
    relay: bool = False
    """Be such a node for others. Needs a public address."""
    nat: bool = True
    """Ask the router for a port (UPnP), find out how we are reached, punch holes. Off on loopback."""

    def __post_init__(self) -> None:
        for name in ("listen", "announce", "bootstrap", "relays"):
            addresses = getattr(self, name)
            if len(addresses) > MAX_ADDRESSES:
                raise UsageError(f"at most {MAX_ADDRESSES} addresses to {name}, not {len(addresses)}")
            for address in addresses:
                _check(address, name)
        if self.relay and (self.client or self.relays):
            raise UsageError("a node that needs relays cannot be one; choose one of relay and client or relays")


def _check(address: str, name: str) -> None:
    parts = address.split("/")
    if len(parts) < 3 or parts[0] or "," in address or not address.isascii() or not address.isprintable():
        raise UsageError(f"{address!r} ({name}) is not a multiaddr such as /ip4/192.0.2.7/tcp/7400")
    if "udp" in parts or "quic" in parts or "quic-v1" in parts:
        raise UsageError(f"{address} ({name}) is QUIC, over which streams lose their end; use TCP")
    if name == "announce" and "tcp" in parts and parts[parts.index("tcp") + 1 : parts.index("tcp") + 2] == ["0"]:
        raise UsageError(f"{address} (announce) has no port; say the one that others reach")
    if name in ("bootstrap", "relays") and ("p2p" not in parts[:-1] or not parts[-1]):
        raise UsageError(f"{address} ({name}) does not say whose address it is; it ends with /p2p/Qm…")
