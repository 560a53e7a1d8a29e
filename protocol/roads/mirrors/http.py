"""Ranges of files from a web server, with the standard library's client in a few threads.

Rules:

1. An answer is what was asked for, or refused (``answers``).
2. At most ``MAX_REDIRECTS`` redirects, never from https to http. What was sent along for one host (a token) is not
   shown to another. Where a file was found is remembered until it fails.
3. Bytes have to come: ``silence`` seconds at most between two arrivals, ``PIECE_SECONDS`` for each piece.
4. Unless trusted, only https, and only to public addresses (``connect``).
5. Up to ``CONNECTIONS`` threads share the idle connections and where files were found: each takes what is there at
   that moment, and never looks first.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import Any, TypeVar
from urllib.parse import quote, urljoin, urlsplit

from protocol.errors import MalformedError, PeerError, UnavailableError
from protocol.exchange.interface import STALL_SECONDS
from protocol.roads.mirrors.answers import file_size
from protocol.roads.mirrors.connect import Line, connect
from protocol.roads.mirrors.files import PIECE_BYTES

CONNECTIONS = 4
"""Requests to one mirror at a time."""

MAX_REDIRECTS = 5

PIECE_SECONDS = 30.0
"""For one piece: a server that drips is a dead one."""

OPEN_SECONDS = 30.0
"""For looking up, connecting, proxy, TLS, redirects and headers together."""

Result = TypeVar("Result")


@dataclass(eq=False)
class _Answer:
    """A request on its way; its line is there to be cut from another thread."""

    line: Line = field(default_factory=Line)
    connection: HTTPConnection | None = None
    response: HTTPResponse | None = None
    origin: tuple[str, str] = ("", "")
    abandoned: bool = False
    """Left to its thread, which ends it."""

    def work(self, work: Callable[..., Result], *arguments: object) -> Result:
        """Run in a thread. What fails, or comes after the line was cut, is closed right there."""
        try:
            result = work(*arguments)
            self.line.check()
        except BaseException:
            self.close()
            raise
        return result

    def close(self) -> None:
        """Nothing more is read."""
        if self.response is not None:
            self.response.close()
        if self.connection is not None:
            self.connection.close()


@dataclass
class HttpFiles:
    """Files below ``base``, which ends with a slash."""

    base: str
    trusted: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)
    silence: float = STALL_SECONDS
    piece_seconds: float = PIECE_SECONDS
    open_seconds: float = OPEN_SECONDS

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
                    size = await self._off_loop(answer, self.open_seconds, self._begin, answer, name, 0, None)
                    self._sizes[name] = size
                finally:
                    self._end(answer)
        return self._sizes[name]

    async def read(self, name: str, start: int, length: int) -> AsyncGenerator[bytes, None]:
        """See :class:`protocol.roads.mirrors.files.Files`."""
        async with self._slots:
            answer = _Answer()
            try:
                total = await self._off_loop(answer, self.open_seconds, self._begin, answer, name, start, length)
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
            answer.line.cut()
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
        job = self._threads.submit(partial(answer.work, work, *arguments))
        thread = asyncio.wrap_future(job)
        try:
            async with asyncio.timeout(seconds):
                return await asyncio.shield(thread)
        except TimeoutError:  # ours, or the socket's: an OSError, which is not turned into a PeerError below
            raise UnavailableError(f"{self.base} brings too little, or nothing") from None
        except (OSError, HTTPException, ValueError) as error:  # ValueError: a host or port that cannot be one
            raise UnavailableError(f"{self.base} broke off or cannot be reached: {_words(error)}") from None
        finally:
            if not thread.done():
                answer.abandoned = True
                answer.line.cut()
                thread.add_done_callback(_forget)
                job.add_done_callback(lambda _: answer.close())  # it may have ended well a moment before the cut

    def _end(self, answer: _Answer) -> None:
        """Keep the connection for the next request if the answer was read to its end."""
        self._open.discard(answer)
        connection, response = answer.connection, answer.response
        if connection is None or answer.abandoned:
            return
        idle = self._idle.setdefault(answer.origin, [])
        if response is not None and response.isclosed() and not self._closed and len(idle) < CONNECTIONS:
            idle.append(connection)
        else:
            answer.close()

    def _begin(self, answer: _Answer, name: str, start: int, length: int | None) -> int:
        """Ask for a range, following redirects; the size of the file. Without a length, for its first byte."""
        known = self._found.get(name)
        if known is not None:
            try:
                return self._follow(answer, name, known, start, length)
            except (PeerError, OSError, HTTPException, ValueError):
                self._found.pop(name, None)  # signed addresses expire; another thread may have found out as well
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
        answer.response = None
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        if answer.connection is not None and answer.origin != origin:
            answer.connection.close()
            answer.connection = None
        kept, answer.origin = answer.connection or self._kept(origin), origin
        if kept is not None:
            with suppress(ConnectionError, HTTPException):  # it may have been closed meanwhile
                return _asked(answer, kept, target, headers)
        return _asked(answer, connect(answer.line, parts, self.trusted, self.silence), target, headers)

    def _kept(self, origin: tuple[str, str]) -> HTTPConnection | None:
        """A connection to there that is idle, if any."""
        with suppress(LookupError):
            return self._idle[origin].pop()
        return None


def _asked(answer: _Answer, connection: HTTPConnection, target: str, headers: Mapping[str, str]) -> HTTPResponse:
    """What the server says over this connection."""
    answer.connection = connection
    answer.line.hold(connection.sock)
    try:
        connection.request("GET", target, headers=headers)
        answer.response = connection.getresponse()
    except (ConnectionError, HTTPException):
        connection.close()
        raise
    return answer.response


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


def _forget(thread: "asyncio.Future[Any]") -> None:
    """Nobody waits for this thread any more; its error was told already."""
    if not thread.cancelled():
        thread.exception()


def _words(error: BaseException) -> str:
    return ascii(str(error) or type(error).__name__)[1:121]
