"""The road without a network: peers in one process, over lines that can be slow, lossy, or cut.

For tests and simulations of whatever stands on the exchange. Requests are answered by the same
:class:`protocol.exchange.server.Server` as on the real roads. Everything happens at the time of one clock and by dice
thrown from one seed, so a run repeats exactly.

Rules:

1. A message takes its line's ``delay`` and up to ``jitter`` more. Of a stream only the first message does: the others
   follow it closely, as on TCP.
2. A message is lost with probability ``loss``; of a stream the first one. Its sender hears nothing.
3. Across a partition, and to or from a place that is down, nothing passes: neither new messages nor the rest of a
   stream.
4. What hears nothing for ``STALL_SECONDS`` gives up with :class:`UnavailableError`.
"""

import random
from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import TypeVar

from protocol.blobs.chunks import MAX_BLOB_BYTES, ChunkList
from protocol.errors import BusyError, ForgedError, PeerError, UnavailableError, UsageError
from protocol.exchange import answers
from protocol.exchange.clock import Clock, within
from protocol.exchange.interface import STALL_SECONDS
from protocol.exchange.requests import ChunkListRequest, ChunksRequest, RecordsRequest
from protocol.exchange.server import Server
from protocol.identity import PublicKey

Item = TypeVar("Item")


@dataclass(frozen=True)
class Line:
    """One direction between two places; seconds, and a probability."""

    delay: float = 0.0
    jitter: float = 0.0
    loss: float = 0.0

    def __post_init__(self) -> None:
        if not (self.delay >= 0 and self.jitter >= 0 and 0 <= self.loss <= 1):
            raise UsageError(f"{self}: delays are not negative, and a loss is 0 to 1")


class Links:
    """All lines between named places."""

    def __init__(self, clock: Clock, seed: int = 0, line: Line | None = None) -> None:
        self.clock = clock
        self.usual = line or Line()
        """What a line is like unless it was set otherwise."""
        self._seed = seed
        self._lines: dict[tuple[str, str], Line] = {}
        self._dice: dict[tuple[str, str], random.Random] = {}
        self._groups: list[frozenset[str]] = []
        self._down: set[str] = set()

    def set(self, one: str, other: str, line: Line) -> None:
        """Change the lines between two places, both ways."""
        self._lines[one, other] = self._lines[other, one] = line

    def partition(self, *groups: Collection[str]) -> None:
        """Let nothing pass between these groups. Whoever is in none of them reaches nobody but the likes of him."""
        self._groups = [frozenset(group) for group in groups]

    def heal(self) -> None:
        """End the partition."""
        self._groups = []

    def down(self, place: str) -> None:
        """Let nothing pass to or from this place."""
        self._down.add(place)

    def up(self, place: str) -> None:
        """End that."""
        self._down.discard(place)

    def passes(self, source: str, target: str) -> bool:
        """Whether anything gets from one place to another now."""
        if source in self._down or target in self._down:
            return False
        return all((source in group) == (target in group) for group in self._groups)

    async def carry(self, source: str, target: str) -> None:
        """Return when a message has arrived; raise :class:`UnavailableError` when its sender has waited long enough."""
        line = self._lines.get((source, target), self.usual)
        dice = self.dice(source, target)
        lost, wait = dice.random() < line.loss, line.delay + line.jitter * dice.random()
        if not lost:
            await self.clock.sleep(wait)
        if lost or not self.passes(source, target):
            await self.silence(target)

    async def silence(self, target: str) -> None:
        """Wait for somebody who does not answer."""
        await self.clock.sleep(STALL_SECONDS)
        raise UnavailableError(f"{target} sent nothing for {STALL_SECONDS:g} s")

    def dice(self, source: str, target: str = "") -> random.Random:
        """Those of a line, or of a place. Each has its own, so that traffic elsewhere does not change its luck."""
        if (source, target) not in self._dice:
            self._dice[source, target] = random.Random(f"{self._seed}/{source}/{target}")  # noqa: S311 (not a secret)
        return self._dice[source, target]


@dataclass(frozen=True)
class Host:
    """Who serves at a place."""

    identity: PublicKey
    server: Server


class MemoryRoad:
    """Connects ``here``, the place of ``identity``, to the hosts by their places."""

    def __init__(self, links: Links, hosts: dict[str, Host], here: str, identity: PublicKey) -> None:
        self._links = links
        self._hosts = hosts
        self._here = here
        self._identity = identity

    async def connect(self, address: str, expected: PublicKey | None) -> "MemoryPeer":
        """See :class:`protocol.exchange.interface.Road`. An address is the name of a place."""
        await self._links.carry(self._here, address)
        host = self._hosts.get(address)
        if host is None:
            raise UnavailableError(f"nobody listens at {address}")
        await self._links.carry(address, self._here)
        if expected is not None and host.identity != expected:
            raise ForgedError(f"{address} is {host.identity.peer_id}, not {expected.peer_id}")
        return MemoryPeer(self._links, host, self._here, address, self._identity.id)


class MemoryPeer:
    """A host, as seen from ``here`` by the node with the id ``asking``."""

    def __init__(self, links: Links, host: Host, here: str, there: str, asking: bytes) -> None:
        self._links = links
        self._host = host
        self._here = here
        self._there = there
        self._asking = asking
        self._closed = False

    @property
    def address(self) -> str:
        """See :class:`protocol.exchange.interface.Peer`."""
        return self._there

    @property
    def identity(self) -> PublicKey:
        """See :class:`protocol.exchange.interface.Peer`."""
        return self._host.identity

    async def records(self, ids: Sequence[bytes]) -> list[bytes]:
        """See :class:`protocol.exchange.interface.Peer`."""
        request = RecordsRequest(tuple(ids))
        found = self._ask(self._host.server.records(self._asking, request))
        return await answers.records(found, request, self._there)

    async def chunk_list(self, blob_id: bytes, limit: int = MAX_BLOB_BYTES) -> ChunkList:
        """See :class:`protocol.exchange.interface.Peer`."""
        request = ChunkListRequest(blob_id)
        parts = self._ask(self._host.server.chunk_list(self._asking, request))
        return await answers.chunk_list(parts, request, limit, self._there)

    def chunks(self, blob_id: bytes, indices: Sequence[int]) -> AsyncGenerator[tuple[int, bytes], None]:
        """See :class:`protocol.exchange.interface.Peer`."""
        request = ChunksRequest(blob_id, tuple(indices))
        return answers.chunks(self._ask(self._host.server.chunks(self._asking, request)), request)

    async def close(self) -> None:
        """See :class:`protocol.exchange.interface.Peer`."""
        self._closed = True

    async def _ask(self, sent: AsyncGenerator[Item, None]) -> AsyncGenerator[Item, None]:
        """What the host sends, as it arrives here."""
        async with aclosing(sent):
            self._check_open()
            await self._links.carry(self._here, self._there)
            first = True
            while True:
                try:
                    answer = await within(self._links.clock, STALL_SECONDS, anext(sent))
                except StopAsyncIteration:
                    return
                except TimeoutError:
                    raise UnavailableError(f"{self._there} sent nothing for {STALL_SECONDS:g} s") from None
                except (BusyError, UnavailableError):
                    raise
                except PeerError as error:
                    raise answers.refusal(self._there, str(error)) from None
                if first:
                    await self._links.carry(self._there, self._here)
                elif not self._links.passes(self._there, self._here):
                    await self._links.silence(self._there)
                self._check_open()
                first = False
                yield answer

    def _check_open(self) -> None:
        if self._closed:
            raise UnavailableError(f"the connection to {self._there} is closed")
