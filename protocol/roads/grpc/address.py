"""Where a peer of the direct road listens: ``host:port``, and nothing that gRPC would read as something else."""

import ipaddress
import re
from dataclasses import dataclass
from typing import Self

from protocol.errors import MalformedError

MAX_HOST_CHARACTERS = 253
"""As in DNS."""

MAX_PORT = 65535

_NAME = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)(\.(?!-)[A-Za-z0-9-]{1,63}(?<!-))*")
_NUMBER = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")
_PORT = re.compile(r"[1-9][0-9]{0,4}")


@dataclass(frozen=True)
class Address:
    """A host (name or IP address, the latter without brackets) and a TCP port."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """``example.org:4433``, ``192.0.2.1:4433`` or ``[2001:db8::1]:4433``."""
        host, colon, port = text.rpartition(":")
        if not colon or len(host) > MAX_HOST_CHARACTERS or not _PORT.fullmatch(port) or int(port) > MAX_PORT:
            raise MalformedError(f"{text[:80]!a} is not host:port")
        bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
        version = _version(bare)
        if (version == 6) != (bare != host) or (version == 0 and not _is_name(bare)):
            raise MalformedError(f"{host[:80]!a} is neither a host name nor an IPv4 address nor [an IPv6 address]")
        return cls(bare, int(port))

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def target(self) -> str:
        """What gRPC connects to: with a scheme, so that a host name is never read as one."""
        return {4: "ipv4:", 6: "ipv6:", 0: "dns:///"}[_version(self.host)] + str(self)


def _version(host: str) -> int:
    """4 or 6, or 0 if it is not an IP address."""
    try:
        return ipaddress.ip_address(host).version if "%" not in host else 0
    except ValueError:
        return 0


def _is_name(host: str) -> bool:
    """A DNS name whose last label is not a number: what looks like an odd IPv4 address is not resolved as one."""
    return _NAME.fullmatch(host) is not None and _NUMBER.fullmatch(host.rpartition(".")[2]) is None
