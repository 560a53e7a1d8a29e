"""How much a node does for each peer of the swarm, and whom it no longer listens to.

Rules:

1. Every key asked for and every entry offered costs one unit. A peer has ``RATE.burst`` units and gets
   ``RATE.per_second``.
2. Who offers an entry that is not what it claims to be could have known: it offers in vain for ``BAN_SECONDS``. Its
   questions are still answered.
3. At most ``MAX_PEERS`` are remembered. Forgotten is only who is like a stranger: not banned, and with all its units.
   When nobody is, strangers have to wait: ids cost nothing, and new ones must not wash away what the old ones did.
"""

from collections import OrderedDict
from collections.abc import Hashable

from protocol.exchange.budget import Bucket, Rate

RATE = Rate(per_second=2_000, burst=32_768)
"""Units for each peer: one costs about a tenth of a millisecond, and the burst publishes eight thousand pointers."""

BAN_SECONDS = 60.0

MAX_PEERS = 4096


class _Account:
    """What one peer has left."""

    def __init__(self, now: float) -> None:
        self.units = Bucket(RATE, now)
        self.banned_until = float("-inf")

    def idle_in(self, now: float) -> float:
        """Seconds until nothing tells it from a stranger's."""
        return max(self.units.until(RATE.burst, now), self.banned_until - now)


class Guard:
    """The accounts of all peers."""

    def __init__(self) -> None:
        self._accounts: OrderedDict[Hashable, _Account] = OrderedDict()
        self._full_until = float("-inf")

    def spend(self, peer: Hashable, units: int, now: float) -> bool:
        """Whether the peer may have this done; if so it is paid for."""
        account = self._account(peer, now)
        if account is None or account.units.until(units, now) > 0:
            return False
        account.units.take(units, now)
        return True

    def ban(self, peer: Hashable, now: float) -> None:
        """Rule 2. Whose offer was looked at has an account."""
        account = self._account(peer, now)
        if account is not None:
            account.banned_until = now + BAN_SECONDS

    def banned(self, peer: Hashable, now: float) -> bool:
        """Whether what this peer offers is refused unseen."""
        account = self._accounts.get(peer)
        return account is not None and now < account.banned_until

    @property
    def remembered(self) -> int:
        """Peers that have an account."""
        return len(self._accounts)

    def _account(self, peer: Hashable, now: float) -> _Account | None:
        """The peer's, or a new one if there is room."""
        if peer not in self._accounts:
            if not self._has_room(now):
                return None
            self._accounts[peer] = _Account(now)
        self._accounts.move_to_end(peer)
        return self._accounts[peer]

    def _has_room(self, now: float) -> bool:
        """Rule 3; forgets the one idle account seen longest ago. When there is none, it looks again when there is."""
        if len(self._accounts) < MAX_PEERS:
            return True
        if now < self._full_until:
            return False
        soonest = float("inf")
        for peer, account in self._accounts.items():
            wait = account.idle_in(now)
            if wait <= 0:
                del self._accounts[peer]
                return True
            soonest = min(soonest, wait)
        self._full_until = now + soonest
        return False
