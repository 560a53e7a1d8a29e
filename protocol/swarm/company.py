"""Finding other nodes, and finding them again.

Rules:

1. An address is dialled, then greeted: the node behind it must have the id in the address, answer DHT calls, reach us
   back unless we are a client, and have a clock within ``MAX_SKEW_SECONDS`` of ours.
2. Nodes met are remembered by address, at most ``MAX_REMEMBERED``: they are a way back when the bootstrap is gone.
"""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from random import Random

from protocol import hivemind_light  # isort: skip  # noqa: F401  # before hivemind

from hivemind.p2p import P2PDaemonError, PeerID
from hivemind.utils.multiaddr import Multiaddr

from protocol.errors import UnavailableError
from protocol.swarm.kademlia import DHTProtocol

DIAL_SECONDS = 5.0
"""For a connection; a whole circle around the earth takes a quarter of one."""

MAX_REMEMBERED = 64
"""Addresses of nodes that we were connected to."""

_P2P = b"\xa5\x03"
"""The multiaddr protocol 421 as a varint."""

SAMPLE = 3
"""Nodes asked for a sign of life at once."""

MAX_SAMPLES = 8
"""Asked one after the other. Where so many are silent, dialling again is quicker."""

COMPANY_SECONDS = 20.0
"""For all of them."""


@dataclass(frozen=True)
class Encoded:
    """An address as p2pd reads it. hivemind writes a peer id in the middle, where it names a relay, in another way."""

    text: str

    def to_bytes(self) -> bytes:
        """The binary form."""
        head, *relayed = self.text.split("/p2p/")
        found = bytes(Multiaddr(head).to_bytes())
        for part in relayed:
            name, slash, rest = part.partition("/")
            peer = PeerID.from_base58(name).to_bytes()
            found += _P2P + bytes([len(peer)]) + peer + (Multiaddr(slash + rest).to_bytes() if rest else b"")
        return found


async def greet(protocol: DHTProtocol, address: str) -> None:
    """Make the node at this address and us known to each other, or say why that cannot be."""
    where, _, name = address.rpartition("/p2p/")
    try:
        peer, base = PeerID.from_base58(name), Encoded(where)
    except ValueError as error:
        raise UnavailableError(f"this is not an address of a node: {error}") from None
    if peer == protocol.p2p.peer_id:
        return
    try:
        async with asyncio.timeout(DIAL_SECONDS):
            await protocol.p2p._client.connect(peer, [base])
    except TimeoutError:
        raise UnavailableError(f"no connection within {DIAL_SECONDS:.0f} s; is the port open, a firewall?") from None
    except (P2PDaemonError, OSError, EOFError, ValueError) as error:
        raise UnavailableError(f"no connection: {error}") from None
    await protocol.greet(peer)


async def greet_all(protocol: DHTProtocol, addresses: Iterable[str]) -> dict[str, str]:
    """Greet them at the same time; which did not work, and why."""
    troubles: dict[str, str] = {}

    async def one(address: str) -> None:
        try:
            await greet(protocol, address)
        except UnavailableError as error:
            troubles[address] = str(error)

    await asyncio.gather(*(one(address) for address in dict.fromkeys(addresses)))
    return troubles


async def has_company(protocol: DHTProtocol, random: Random) -> bool:
    """Whether any of some nodes answers; those that do not are dropped from the routing table on the way."""
    with suppress(TimeoutError):
        async with asyncio.timeout(COMPANY_SECONDS):
            for _ in range(MAX_SAMPLES):
                peers = protocol.peers
                sample = random.sample(peers, min(SAMPLE, len(peers)))
                if any(await asyncio.gather(*(protocol.call_ping(peer) for peer in sample))):
                    return True
    return False


async def neighbours(protocol: DHTProtocol) -> list[str]:
    """Addresses of nodes that we are connected to and that take part in the swarm."""
    try:
        async with asyncio.timeout(DIAL_SECONDS):
            connected = await protocol.p2p.list_peers()
    except (TimeoutError, P2PDaemonError, OSError, EOFError, ValueError):
        return []
    known = set(protocol.peers)
    found = [f"{address}/p2p/{info.peer_id}" for info in connected if info.peer_id in known for address in info.addrs]
    return found[:MAX_REMEMBERED]
