"""Who sent forged bytes, so that nothing is asked of them again. In memory; a node may keep it longer.

A peer is known by its key, a mirror by its address. At most ``MAX_GRUDGES`` are held; the oldest is forgotten first.
"""

from collections import OrderedDict

from protocol.exchange.interface import Peer

MAX_GRUDGES = 4096


class Grudges:
    """Shared by all downloads of a node."""

    def __init__(self) -> None:
        self._reasons: OrderedDict[bytes, str] = OrderedDict()

    def __len__(self) -> int:
        return len(self._reasons)

    def hold(self, peer: Peer, reason: str) -> None:
        """Remember what a peer did."""
        self._reasons[_key(peer)] = reason
        while len(self._reasons) > MAX_GRUDGES:
            self._reasons.popitem(last=False)

    def against(self, peer: Peer) -> str | None:
        """What this peer did, if anything."""
        return self._reasons.get(_key(peer))

    def forgive(self, peer: Peer) -> None:
        """Let it try again: an operator's decision."""
        self._reasons.pop(_key(peer), None)


def _key(peer: Peer) -> bytes:
    return peer.identity.id if peer.identity is not None else peer.address.encode()
