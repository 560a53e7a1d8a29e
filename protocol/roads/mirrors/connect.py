"""Connections to web servers, made step by step, so that each step can be checked and cut off from another thread.

Rules:

1. A socket is known (``Line``) before it is connected, so that whoever waits can end it at any moment: a server may
   drip its half of a handshake for hours without ever being silent.
2. Unless trusted, an address that is not public is refused before anything is sent there. That holds behind a proxy
   too, which is then told the address that was looked at: it might look up another one for the same name.
"""

import re
import ssl
from collections.abc import Sequence
from contextlib import suppress
from http.client import HTTPConnection, HTTPSConnection
from ipaddress import ip_address
from socket import IPPROTO_TCP, SHUT_RDWR, SOCK_STREAM, TCP_NODELAY, getaddrinfo, socket
from threading import Lock
from typing import Any
from urllib.parse import SplitResult, urlsplit
from urllib.request import getproxies, proxy_bypass

from protocol.errors import MalformedError

MAX_PROXY_ANSWER_BYTES = 8192
"""The head of a proxy's answer."""

_HOST = re.compile(r"[\w.:%-]{1,255}", re.ASCII)
_OPENED = re.compile(rb"HTTP/1\.[01] 200\b")


class Line:
    """What a request waits on. Cutting it ends any wait on its socket, now and later."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._sock: socket | None = None
        self._is_cut = False

    def hold(self, sock: socket | None) -> None:
        """From now on it is this socket. Raises ``ConnectionError`` if the line was cut meanwhile."""
        with self._lock:
            self._sock = sock
        self.check()

    def check(self) -> None:
        """Raises ``ConnectionError`` if the line was cut."""
        if self._is_cut:
            raise ConnectionAbortedError("called off")

    def cut(self) -> None:
        """End whatever a thread is waiting for."""
        with self._lock:
            self._is_cut = True
            if self._sock is not None:
                with suppress(OSError):
                    socket.shutdown(self._sock, SHUT_RDWR)  # not that of TLS: a thread may be in the middle of it


def connect(line: Line, parts: SplitResult, trusted: bool, silence: float) -> HTTPConnection:
    """A connection that sends requests to the server of this address and never connects again by itself."""
    host, secure = parts.hostname or "", parts.scheme == "https"
    if not _HOST.fullmatch(host) or parts.scheme not in (("https", "http") if trusted else ("https",)):
        raise MalformedError(f"a mirror leads to {parts.geturl()[:80]!a}, which is not https")
    port = parts.port or (443 if secure else 80)
    proxy = urlsplit(getproxies().get("https", "")) if secure and not proxy_bypass(host) else None
    behind = proxy is not None and proxy.hostname is not None
    found = [] if behind and trusted else _look_up(host, port, trusted)
    if proxy is not None and proxy.hostname is not None:
        sock = _reach(line, _look_up(proxy.hostname, proxy.port or 443, trusted=True), silence)
    else:
        sock = _reach(line, found, silence)
    try:
        if behind:
            _tunnel(sock, found[0][4][0] if found else host, port)
        if not secure:
            return _with_socket(HTTPConnection(host, port, timeout=silence), sock)
        context = ssl.create_default_context()
        sock = context.wrap_socket(sock, server_hostname=host, do_handshake_on_connect=False)
        line.hold(sock)
        sock.do_handshake()
        return _with_socket(HTTPSConnection(host, port, timeout=silence, context=context), sock)
    except BaseException:
        sock.close()
        raise


def is_public(address: str) -> bool:
    """Is this IP address one of the internet at large?"""
    return ip_address(address.partition("%")[0]).is_global


def _look_up(host: str, port: int, trusted: bool) -> list[Any]:
    """What ``getaddrinfo`` says, of which only public addresses count for who is not trusted."""
    found = [one for one in getaddrinfo(host, port, type=SOCK_STREAM) if trusted or is_public(str(one[4][0]))]
    if not found:
        raise MalformedError(f"a mirror leads to {host}, which is not a public address")
    return found


def _reach(line: Line, addresses: Sequence[Any], silence: float) -> socket:
    """Connected to the first of these that answers."""
    failed: OSError = ConnectionError("no address")
    for family, kind, protocol, _, address in addresses:
        sock = socket(family, kind, protocol)
        try:
            sock.settimeout(silence)
            line.hold(sock)
            sock.connect(address)
            line.hold(sock)  # cutting what is not connected yet is not sure to end it
            sock.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
        except OSError as error:
            sock.close()
            failed = error
        else:
            return sock
    raise failed


def _tunnel(sock: socket, host: str, port: int) -> None:
    """Have the proxy connect to there."""
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    sock.sendall(f"CONNECT {where} HTTP/1.1\r\nHost: {where}\r\n\r\n".encode("ascii"))
    said = b""
    while not said.endswith(b"\r\n\r\n"):
        byte = sock.recv(1)  # and not one more: what follows belongs to TLS
        if not byte or len(said) >= MAX_PROXY_ANSWER_BYTES:
            raise ConnectionError("the proxy does not answer")
        said += byte
    if not _OPENED.match(said):
        raise ConnectionError(f"the proxy says {said[:60]!r}")


def _with_socket(connection: HTTPConnection, sock: socket) -> HTTPConnection:
    connection.sock = sock
    connection.auto_open = 0  # never again by itself: that would go around the checks
    return connection
