"""How much a node does for each peer of the swarm, and whom it no longer listens to.

Rules:

1. Every key asked for and every entry offered costs one unit. A peer has ``BURST`` units and gets ``RATE`` a second.
2. Who offers an entry that is not what it claims to be could have known: it offers in vain for ``BAN_SECONDS``. Its
   questions are still answered.
3. At most ``MAX_PEERS`` are remembered, those that came last.
"""

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass

RATE = 2_000.0
"""Units a second for each peer; the cost of one is about a tenth of a millisecond."""

BURST = 32_768.0
"""Units; enough to publish eight thousand pointers at once."""

BAN_SECONDS = 60.0

MAX_PEERS = 4096


@dataclass(slots=True)
class _Account:
    units: float
    seen: float
    banned_until: float = float("-inf")


class Guard:
    """The accounts of all peers."""

    def __init__(self) -> None:
        self._accounts: OrderedDict[Hashable, _Account] = OrderedDict()

    def spend(self, peer: Hashable, units: int, now: float) -> bool:
        """Whether the peer may have this done; if so it is paid for."""
        account = self._account(peer, now)
        account.units = min(BURST, account.units + max(0.0, now - account.seen) * RATE)
        account.seen = now
        if units > account.units:
            return False
        account.units -= units
        return True

    def ban(self, peer: Hashable, now: float) -> None:
        """Rule 2."""
        self._account(peer, now).banned_until = now + BAN_SECONDS

    def banned(self, peer: Hashable, now: float) -> bool:
        """Whether what this peer offers is refused unseen."""
        account = self._accounts.get(peer)
        return account is not None and now < account.banned_until

    def _account(self, peer: Hashable, now: float) -> _Account:
        account = self._accounts.setdefault(peer, _Account(BURST, now))
        self._accounts.move_to_end(peer)
        if len(self._accounts) > MAX_PEERS:
            self._accounts.popitem(last=False)
        return account
