"""How much one peer, and all of them together, may ask of this node. Pure: ``now`` is passed in.

Rules:

1. A request is **admitted** when the peer and the node each have a request left in their buckets and a stream free.
   If not, it is refused with :class:`BusyError`, which says when to ask again. Refused requests take nothing from
   the buckets.
2. Bytes are **spent** before they are sent. What a bucket no longer holds is owed, and whoever spends next waits
   until the debt is paid off. Streams that would wait longer than ``longest_wait`` are refused instead: so what
   waits is bounded by the number of streams, and a client never takes a pause for a stall.
3. A peer whose buckets are full and who has no stream open is indistinguishable from a stranger, and forgotten. At
   most ``peers`` are remembered; when all of them are active, strangers are refused.

Keys cost nothing, so the limits for one peer are for fairness among the honest; it is the limits for all together
that protect this machine.
"""

import math
from collections import OrderedDict
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from protocol.errors import BusyError, UsageError

LONGEST_WAIT_SECONDS = 8.0
"""Less than ``interface.STALL_SECONDS``, or a polite pause would look like a stall."""

STREAM_RETRY_SECONDS = 1.0
"""When to ask again if all streams are taken: nobody knows when one ends."""


@dataclass(frozen=True)
class Rate:
    """So much a second on average, and so much at once after a rest."""

    per_second: float
    burst: float

    def __post_init__(self) -> None:
        if not (self.per_second > 0 and self.burst > 0):  # NaN fails this as well
            raise UsageError(f"a rate of {self.per_second} a second, {self.burst} at once; both are above 0")


UNLIMITED = Rate(math.inf, math.inf)


@dataclass(frozen=True)
class Limits:
    """What a node gives, in requests and bytes a second."""

    requests_per_peer: Rate = Rate(50, 200)
    requests: Rate = Rate(500, 2000)
    bytes_per_peer: Rate = UNLIMITED
    upload: Rate = UNLIMITED
    streams_per_peer: int = 8
    streams: int = 64
    peers: int = 4096
    longest_wait: float = LONGEST_WAIT_SECONDS


class Bucket:
    """Tokens that come back at a steady rate, up to a burst. Full at first."""

    def __init__(self, rate: Rate, now: float) -> None:
        self._rate = rate
        self._tokens = rate.burst
        self._at = now

    def take(self, amount: float, now: float) -> None:
        """Take tokens, into debt if need be."""
        if self._rate.per_second < math.inf:
            self._fill(now)
            self._tokens -= amount

    def until(self, amount: float, now: float) -> float:
        """Seconds until it holds this many tokens; 0 is without debt, so ``until(0, …)`` is how long the debt lasts."""
        if self._rate.per_second == math.inf:
            return 0.0
        self._fill(now)
        return max(0.0, (amount - self._tokens) / self._rate.per_second)

    def is_full(self, now: float) -> bool:
        """Whether it has rested long enough to be like new."""
        return self.until(self._rate.burst, now) == 0.0

    def _fill(self, now: float) -> None:
        if now > self._at:
            self._tokens = min(self._rate.burst, self._tokens + (now - self._at) * self._rate.per_second)
            self._at = now


class Account:
    """What one peer has left."""

    def __init__(self, limits: Limits, now: float) -> None:
        self.requests = Bucket(limits.requests_per_peer, now)
        self.bytes = Bucket(limits.bytes_per_peer, now)
        self.streams = 0

    def is_idle(self, now: float) -> bool:
        """Whether nothing tells it from a stranger's."""
        return self.streams == 0 and self.requests.is_full(now) and self.bytes.is_full(now)


class Budget:
    """What all peers have left; ask it before doing anything for one of them."""

    def __init__(self, limits: Limits, now: float) -> None:
        self.limits = limits
        self._requests = Bucket(limits.requests, now)
        self._upload = Bucket(limits.upload, now)
        self._streams = 0
        self._accounts: OrderedDict[bytes, Account] = OrderedDict()

    def admit(self, peer: bytes, now: float) -> "Ticket":
        """One more stream for a peer; to be closed. Raises :class:`BusyError`."""
        account = self._account(peer, now)
        if self._streams >= self.limits.streams:
            raise _busy(f"all {self.limits.streams} streams are taken", STREAM_RETRY_SECONDS)
        if account.streams >= self.limits.streams_per_peer:
            raise _busy(f"you have {account.streams} streams open already", STREAM_RETRY_SECONDS)
        wait = max(account.requests.until(1, now), self._requests.until(1, now))
        if wait > 0:
            raise _busy("too many requests", wait)
        account.requests.take(1, now)
        self._requests.take(1, now)
        account.streams += 1
        self._streams += 1
        return Ticket(self, account)

    def spend(self, account: Account, amount: int, now: float) -> float:
        """See :meth:`Ticket.spend`."""
        wait = max(account.bytes.until(0, now), self._upload.until(0, now))
        if wait > self.limits.longest_wait:
            raise _busy("everything this node may send is spoken for", wait)
        account.bytes.take(amount, now)
        self._upload.take(amount, now)
        return wait

    def give_back(self, account: Account) -> None:
        """See :meth:`Ticket.close`."""
        account.streams -= 1
        self._streams -= 1

    @property
    def remembered(self) -> int:
        """Peers that differ from strangers."""
        return len(self._accounts)

    @property
    def open_streams(self) -> int:
        """Tickets not yet closed."""
        return self._streams

    def _account(self, peer: bytes, now: float) -> Account:
        found = self._accounts.pop(peer, None)
        if found is None:
            self._make_room(now)
            found = Account(self.limits, now)
        self._accounts[peer] = found  # the one seen longest ago comes first
        return found

    def _make_room(self, now: float) -> None:
        """Forget idle ones, beginning with the one seen longest ago."""
        if len(self._accounts) < self.limits.peers:
            return
        for peer, account in list(self._accounts.items()):
            if account.is_idle(now):
                del self._accounts[peer]
                return
        raise _busy(f"{self.limits.peers} peers are served already", STREAM_RETRY_SECONDS)


class Ticket:
    """Leave to serve one request."""

    def __init__(self, budget: Budget, account: Account) -> None:
        self._budget = budget
        self._account: Account | None = account

    def spend(self, amount: int, now: float) -> float:
        """Count bytes about to be sent; the seconds to wait before sending them. Raises :class:`BusyError`."""
        if self._account is None:
            raise UsageError("this ticket is closed")
        return self._budget.spend(self._account, amount, now)

    def close(self) -> None:
        """Give the stream back. Closing twice is allowed."""
        if self._account is not None:
            self._budget.give_back(self._account)
            self._account = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _busy(why: str, wait: float) -> BusyError:
    return BusyError(f"the peer is busy: {why}; ask again in {wait:.1f} s", wait)
