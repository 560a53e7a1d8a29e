"""Whether other nodes are reached, whether they could reach this one, and whether the clocks agree."""

import asyncio
import ipaddress
import os
import re
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from node.config import Network
from node.doctor.finding import Finding, fail, ok, warn

DIAL_SECONDS = 5.0

SHARED = ipaddress.ip_network("100.64.0.0/10")
"""Of providers that put many customers behind one address."""

AN_ADDRESS_OUTSIDE = ("192.0.2.1", 9)
"""For documentation only (RFC 5737). Nothing is sent: the system says which of our addresses it would use."""

_PORT = re.compile(r"[0-9]{1,5}")
_SKEW = re.compile(r"local time must be within (\d+) seconds of its own, not (-?\d+) ahead")


@dataclass(frozen=True)
class Target:
    """Where a bootstrap address leads."""

    host: str
    port: int


def target(address: str) -> Target | None:
    """The host and port in a multiaddr, if it has them; a relayed address has those of the relay."""
    _, kind, host, transport, port, *_ = [*address.split("/"), "", "", "", ""]
    if kind not in ("ip4", "ip6", "dns", "dns4", "dns6") or transport != "tcp" or not _PORT.fullmatch(port):
        return None
    return Target(host, int(port)) if 0 < int(port) < 2**16 else None


async def dial(address: str) -> str | None:
    """Why there is no TCP connection to where this address leads; None if there is one."""
    where = target(address)
    if where is None:
        return "this is not an address of a node, such as /ip4/192.0.2.7/tcp/7400/p2p/Qm…"
    try:
        async with asyncio.timeout(DIAL_SECONDS):
            _, writer = await asyncio.open_connection(where.host, where.port)
    except TimeoutError:
        return f"no answer within {DIAL_SECONDS:.0f} s: the machine is off, or a firewall drops what we send"
    except ConnectionRefusedError:
        return f"the machine answers, but nothing listens on port {where.port}: is the node running?"
    except socket.gaierror as error:
        return f"the name {where.host} is not known ({error.strerror}); is there a network, is it spelled right?"
    except OSError as error:
        return f"no connection: {os.strerror(error.errno) if error.errno else error}"
    writer.close()
    return None


async def dial_all(addresses: Sequence[str]) -> dict[str, str | None]:
    """All at the same time."""
    return dict(zip(addresses, await asyncio.gather(*map(dial, addresses)), strict=True))


def bootstrap(address: str, tcp: str | None, greeting: str | None) -> Finding:
    """One address: what the connection showed, then what the node behind it said. ``""`` means not asked."""
    name = "bootstrap"
    if tcp is not None:
        return fail(name, f"{address}: {tcp}", "ask whoever runs it, or choose another bootstrap below [network]")
    if greeting == "":
        return warn(name, f"{address}: connected, but its node was not greeted", "see what p2pd says, above")
    if greeting is None:
        return ok(name, f"{address}: answers and is a node of the swarm")
    if _SKEW.search(greeting):
        return fail(name, f"{address}: {greeting}", "set the clock; see the line about it")
    return fail(
        name,
        f"{address}: connected, but {greeting}",
        "check what follows /p2p/ in it against `umm key show` on that node",
    )


def alone() -> Finding:
    """No bootstrap address at all."""
    return warn(
        "bootstrap",
        "none: this node waits for others to find it",
        'write the address of any node into the settings: bootstrap = ["/ip4/…/tcp/7400/p2p/Qm…"] below [network]',
    )


def clock(greetings: Mapping[str, str | None]) -> Finding:
    """How this clock stands to those of the nodes that were greeted; None means that a greeting went well."""
    for answer in greetings.values():
        if matched := _SKEW.search(answer or ""):
            ahead = int(matched[2])
            way = "ahead of" if ahead > 0 else "behind"
            found = f"{abs(ahead)} s {way} a bootstrap node's; at most {matched[1]} s are allowed"
            return fail("clock", found, "let the system keep the time: sudo timedatectl set-ntp true")
    agreeing = sum(answer is None for answer in greetings.values())
    if agreeing:
        return ok("clock", f"agrees with {agreeing} node{'s' if agreeing > 1 else ''} to 3 s")
    return warn(
        "clock",
        "cannot be known: no other node answered",
        "compare it with a clock that you trust, or let the system keep the time: timedatectl",
    )


def own_address() -> str | None:
    """The address that this machine uses to the outside, if it has any."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(AN_ADDRESS_OUTSIDE)
            return str(probe.getsockname()[0])
        except OSError:
            return None


def reach(network: Network, own: str | None) -> Finding:
    """Whether others can reach this node, as far as one machine can know that."""
    name = "reachability"
    if network.client:
        return ok(name, "client: nobody dials this node; it asks, publishes and fetches")
    if private := [a for a in network.announce if _is_private(a)] if _reaches_out(network.bootstrap) else []:
        return fail(
            name,
            f"announces {private[0]}, where only its own network finds it",
            "announce the address that the router has outside, or set relays below [network]",
        )
    if network.relays:
        return ok(name, f"through relays ({len(network.relays)})")
    if network.announce:
        return ok(name, f"announces {', '.join(network.announce)}")
    if all(_is_loopback(a) for a in network.listen):
        return ok(name, "only this machine: it listens on loopback")
    if own is None:
        return warn(name, "this machine has no network", "connect it")
    if _is_public(own):
        return ok(name, f"{own} is a public address; others reach it if no firewall is in the way")
    shared = ipaddress.ip_address(own) in SHARED
    kind = "an address shared by a provider," if shared else "a private address"
    router = "the router is asked for a port (UPnP)" if network.nat else "the router is not asked for a port"
    return warn(
        name,
        f"{own} is {kind} behind a router; {router}",
        "where that fails: forward the port in the router and set announce, or set relays, or client = true",
    )


def _reaches_out(bootstrap: Sequence[str]) -> bool:
    hosts = [where.host for address in bootstrap if (where := target(address))]
    return any(not _is_address(host) or _is_public(host) for host in hosts)


def _is_private(address: str) -> bool:
    where = target(address)
    return where is not None and _is_address(where.host) and not _is_public(where.host)


def _is_loopback(address: str) -> bool:
    where = target(address.replace("/tcp/0", "/tcp/1"))
    return where is not None and _is_address(where.host) and ipaddress.ip_address(where.host).is_loopback


def _is_public(host: str) -> bool:
    return ipaddress.ip_address(host).is_global


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
