"""Whether the ports that the node listens on are free, and who holds those that are not."""

import os
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from node.config import Network
from node.doctor.finding import Finding, fail, ok

PROC = Path("/proc")

MAX_TABLE_BYTES = 16 * 2**20
"""Of the kernel's table of sockets."""

LISTENING = "0A"

_PORT = re.compile(r"[0-9]{1,5}")
_LINE = re.compile(r"\s*\d+: [0-9A-F]+:([0-9A-F]{4}) [0-9A-F]+:[0-9A-F]{4} ([0-9A-F]{2}) (?:\S+ ){3}\s*\d+\s+\d+ (\d+)")


@dataclass(frozen=True)
class Door:
    """Somewhere the node listens."""

    setting: str
    family: socket.AddressFamily
    host: str
    port: int


def doors(network: Network) -> Iterator[Door]:
    """Everything with a port that was chosen; port 0 is whatever is free."""
    for address in network.listen:
        _, family, host, _, port, *_ = [*address.split("/"), "", "", "", ""]
        if family in ("ip4", "ip6") and _PORT.fullmatch(port) and int(port):
            kind = socket.AF_INET if family == "ip4" else socket.AF_INET6
            yield Door("listen", kind, host, int(port))
    host, _, port = network.exchange_listen.rpartition(":")
    if _PORT.fullmatch(port) and int(port):
        kind = socket.AF_INET6 if ":" in host else socket.AF_INET
        yield Door("exchange_listen", kind, host.strip("[]"), int(port))


def port(door: Door, *, running: bool) -> Finding:
    """Whether the node can listen there. While it runs, it does."""
    name = f"port {door.port}"
    try:
        with socket.socket(door.family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((door.host, door.port))
            probe.listen()
    except (OSError, OverflowError) as error:
        owner = holder(door.port)
        if running and (owner is None or "p2pd" in owner or "umm" in owner or "python" in owner):
            return ok(name, f"in use by the node ({owner or 'its process is not ours to see'})")
        by = f", by {owner}" if owner else ""
        return fail(
            name,
            f"cannot be used: {getattr(error, 'strerror', None) or error}{by}",
            f"end that program, or change {door.setting} below [network]",
        )
    return ok(name, f"free ({door.setting})")


def holder(port: int, proc: Path = PROC) -> str | None:
    """The process that listens on a TCP port, if the system tells us."""
    sockets = {f"socket:[{inode}]" for table in ("tcp", "tcp6") for inode in _listening(proc / "net" / table, port)}
    if not sockets:
        return None
    for process in proc.iterdir():
        if process.name.isdecimal() and _holds(process / "fd", sockets):
            return f"{_name(process)} (process {process.name})"
    return None


def _listening(table: Path, port: int) -> Iterator[str]:
    try:
        with table.open("rb") as file:
            lines = file.read(MAX_TABLE_BYTES).decode("ascii", "replace").splitlines()
    except OSError:
        return
    for line in lines:
        matched = _LINE.match(line)
        if matched and int(matched[1], 16) == port and matched[2] == LISTENING:
            yield matched[3]


def _holds(descriptors: Path, sockets: set[str]) -> bool:
    try:
        with os.scandir(descriptors) as entries:
            return any(_target(entry.path) in sockets for entry in entries)
    except OSError:  # another user's, or gone
        return False


def _target(link: str) -> str:
    try:
        return str(Path(link).readlink())
    except OSError:
        return ""


def _name(process: Path) -> str:
    try:
        return (process / "comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return "a program"
