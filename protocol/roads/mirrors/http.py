"""Ranges of files from a web server, with the standard library's client in a few threads.

Rules:

1. An answer is what was asked for, or refused (``answers``).
2. At most ``MAX_REDIRECTS`` redirects, never from https to http. What was sent along for one host (a token) is not
   shown to another. Where a file was found is remembered until it fails.
3. Bytes have to come: ``silence`` seconds at most between two arrivals, ``PIECE_SECONDS`` for each piece.
4. Unless trusted, only https, and only to public addresses.
"""

import asyncio
import ipaddress
import ssl
from collections.abc import AsyncGenerator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from socket import SHUT_RDWR, socket
from typing import Any, TypeVar
from urllib.parse import SplitResult, quote, urljoin, urlsplit
from urllib.request import getproxies, proxy_bypass

from protocol.errors import MalformedError, PeerError, UnavailableError
from protocol.exchange.interface import STALL_SECONDS
from protocol.roads.mirrors.answers import file_size
from protocol.roads.mirrors.files import PIECE_BYTES

CONNECTIONS = 4
"""Requests to one mirror at a time."""

MAX_REDIRECTS = 5

PIECE_SECONDS = 30.0
"""For one piece: a server that drips is a dead one."""

OPEN_SECONDS = 30.0
"""For connecting, redirects and headers together."""

Result = TypeVar("Result")


@dataclass(eq=False)
class _Answer:
    """A request on its way; the connection is there to be cut off from another thread."""

    connection: HTTPConnection | None = None
    sock: socket | None = None
    response: HTTPResponse | None = None
    origin: tuple[str, str] = ("", "")

    def cut(self) -> None:
        """End whatever a thread is waiting for."""
        if self.sock is not None:
            with suppress(OSError):
                self.sock.shutdown(SHUT_RDWR)


@dataclass
class HttpFiles:
    """Files below ``base``, which ends with a slash."""

    base: str
    trusted: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)
    silence: float = STALL_SECONDS
    piece_seconds: float = PIECE_SECONDS

    def __post_init__(self) -> None:
        if not self.trusted and not self.base.startswith("https://"):
            raise MalformedError(f"{self.base} is not https; only an operator may name other mirrors")
        self._threads = ThreadPoolExecutor(CONNECTIONS, "mirror")
        self._slots = asyncio.Semaphore(CONNECTIONS)
        self._idle: dict[tuple[str, str], list[HTTPConnection]] = {}
        self._found: dict[str, str] = {}
        self._sizes: dict[str, int] = {}
        self._open: set[_Answer] = set()
        self._closed = False

    async def size(self, name: str) -> int:
        """See :class:`protocol.roads.mirrors.files.Files`; known from the range of its first byte."""
        if name not in self._sizes:
            async with self._slots:
                answer = _Answer()
                try:
                    self._sizes[name] = await self._off_loop(answer, OPEN_SECONDS, self._begin, answer, name, 0, None)
                finally:
                    self._end(answer)
        return self._sizes[name]

    async def read(self, name: str, start: int, length: int) -> AsyncGenerator[bytes, None]:
        """See :class:`protocol.roads.mirrors.files.Files`."""
        async with self._slots:
            answer = _Answer()
            try:
                total = await self._off_loop(answer, OPEN_SECONDS, self._begin, answer, name, start, length)
                if self._sizes.setdefault(name, total) != total:
                    raise MalformedError(f"{self.base}{name} had {self._sizes[name]} bytes and now has {total}")
                while length:
                    data = await self._off_loop(answer, self.piece_seconds, _piece, answer, min(length, PIECE_BYTES))
                    length -= len(data)
                    yield data
            finally:
                self._end(answer)

    async def close(self) -> None:
        """See :class:`protocol.roads.mirrors.files.Files`."""
        self._closed = True
        for answer in self._open:
            answer.cut()
        for connection in [one for idle in self._idle.values() for one in idle]:
            connection.close()
        self._idle.clear()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _off_loop(
        self, answer: _Answer, seconds: float, work: Callable[..., Result], *arguments: object
    ) -> Result:
        """Run blocking work in a thread; however this ends, the thread does not go on waiting."""
        if self._closed:
            raise UnavailableError(f"the mirror {self.base} is closed")
        self._open.add(answer)
        thread = asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)
        try:
            async with asyncio.timeout(seconds):
                return await asyncio.shield(thread)
        except TimeoutError:  # ours, or the socket's: an OSError, which is not turned into a PeerError below
            raise UnavailableError(f"{self.base} brings too little, or nothing") from None
        except (OSError, HTTPException, ValueError) as error:  # ValueError: a host or port that cannot be one
            raise UnavailableError(f"{self.base} broke off or cannot be reached: {_words(error)}") from None
        finally:
            if not thread.done():
                answer.cut()
                thread.add_done_callback(_forget)

    def _end(self, answer: _Answer) -> None:
        """Keep the connection for the next request if the answer was read to its end."""
        self._open.discard(answer)
        connection, response = answer.connection, answer.response
        if connection is None:
            return
        idle = self._idle.setdefault(answer.origin, [])
        if response is not None and response.isclosed() and not self._closed and len(idle) < CONNECTIONS:
            idle.append(connection)
        else:
            answer.cut()
            connection.close()

    def _begin(self, answer: _Answer, name: str, start: int, length: int | None) -> int:
        """Ask for a range, following redirects; the size of the file. Without a length, for its first byte."""
        known = self._found.get(name)
        if known is not None:
            try:
                return self._follow(answer, name, known, start, length)
            except (PeerError, OSError, HTTPException, ValueError):
                del self._found[name]  # signed addresses expire
        return self._follow(answer, name, self.base + quote(name), start, length)

    def _follow(self, answer: _Answer, name: str, url: str, start: int, length: int | None) -> int:
        for _ in range(MAX_REDIRECTS + 1):
            response = self._request(answer, url, start, length)
            if response.status not in (301, 302, 303, 307, 308):
                total = file_size(response, url, start, length)
                self._found[name] = url
                if length is None and response.status == 206:
                    response.read(PIECE_BYTES)  # the one byte; the connection can then be used again
                return total
            response.read(PIECE_BYTES)
            url = self._redirected(url, response)
        raise UnavailableError(f"{self.base}{name} redirects more than {MAX_REDIRECTS} times")

    def _redirected(self, url: str, response: HTTPResponse) -> str:
        target = urljoin(url, response.getheader("Location", ""))
        if urlsplit(url).scheme == "https" and urlsplit(target).scheme != "https":
            raise MalformedError(f"{self.base} redirects from https to {target[:80]!a}")
        return target

    def _request(self, answer: _Answer, url: str, start: int, length: int | None) -> HTTPResponse:
        parts = urlsplit(url)
        origin = (parts.scheme, parts.netloc)
        headers = {"Range": f"bytes={start}-{start + (length or 1) - 1}", "Accept-Encoding": "identity"}
        headers["User-Agent"] = "umm"
        if origin == _origin(self.base):
            headers |= self.headers
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        if answer.connection is not None and answer.origin != origin:
            answer.connection.close()
            answer.connection = None
        idle = self._idle.get(origin)
        reused = answer.connection or (idle.pop() if idle else None)
        for connection in (reused, None):
            answer.connection, answer.origin = connection or self._connect(parts), origin
            answer.sock = answer.connection.sock
            try:
                answer.connection.request("GET", target, headers=headers)
                answer.response = answer.connection.getresponse()
                return answer.response
            except (ConnectionError, HTTPException):
                answer.connection.close()
                if connection is None:  # a kept one may have been closed meanwhile; a new one was not
                    raise
        raise AssertionError("a new connection either answers or raises")

    def _connect(self, parts: SplitResult) -> HTTPConnection:
        host, secure = parts.hostname, parts.scheme == "https"
        if not host or parts.scheme not in (("https", "http") if self.trusted else ("https",)):
            raise MalformedError(f"{self.base} leads to {parts.geturl()[:80]!a}, which is not https")
        proxy = urlsplit(getproxies().get("https", "")) if secure and not proxy_bypass(host) else None
        if proxy is not None and proxy.hostname:
            tunnel = HTTPSConnection(proxy.hostname, proxy.port or 443, timeout=self.silence, context=_tls())
            tunnel.set_tunnel(host, parts.port or 443)
            return _connected(tunnel)
        if not secure:
            return _connected(HTTPConnection(host, parts.port, timeout=self.silence))
        connection = _connected(HTTPSConnection(host, parts.port, timeout=self.silence, context=_tls()))
        if not self.trusted and not is_public(connection.sock.getpeername()[0]):
            connection.close()
            raise MalformedError(f"{self.base} leads to {host}, which is not a public address")
        return connection


def is_public(address: str) -> bool:
    """Is this IP address one of the internet at large?"""
    return ipaddress.ip_address(address.partition("%")[0]).is_global


def _connected(connection: HTTPConnection) -> HTTPConnection:
    """Connected now, and never again by itself: that would go around the checks."""
    connection.connect()
    connection.auto_open = 0
    return connection


def _piece(answer: _Answer, size: int) -> bytes:
    """The next ``size`` bytes."""
    if answer.response is None:
        raise ConnectionError("no answer")
    data = answer.response.read(size)
    if len(data) < size:
        raise ConnectionError("the answer ended early")
    return data


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc


def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


def _forget(thread: "asyncio.Future[Any]") -> None:
    """Nobody waits for this thread any more; its error was told already."""
    if not thread.cancelled():
        thread.exception()


def _words(error: BaseException) -> str:
    return ascii(str(error) or type(error).__name__)[1:121]
