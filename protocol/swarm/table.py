"""The nodes that we know, each at the one place that follows from its key.

Rules:

1. A peer's place is the SHA-1 of what its peer id says of its key, which libp2p has proven. What a node says of its own
   place, or others of theirs, counts for nothing: whoever wants to be next to a key must look for a key pair.
2. A peer is one node, and a place has one peer. There are at most ``MAX_ROUTED``.
"""

from protocol import hivemind_light  # isort: skip  # noqa: F401  # before hivemind

from hivemind.dht.routing import DHTID, RoutingTable
from hivemind.p2p import PeerID

BUCKET_NODES = 20
"""Kademlia's k: nodes in a bucket, and in an answer."""

DEPTH_MODULO = 5
"""hivemind's default: how far buckets split."""

MAX_ROUTED = 4096
"""Nodes in the routing table."""

PLACE_BYTES = 20

PEER_ID_BYTES = range(34, 43)
"""A hash of 32 bytes behind its kind and length, or a whole small key. The time that hivemind takes to write one in
base58 grows with the square of its length: one of 4 MB stopped a node for an hour."""

_HEAD_BYTES = 2


def place_of(peer: PeerID) -> DHTID:
    """Rule 1."""
    return DHTID.generate(source=peer.to_bytes()[_HEAD_BYTES:])


def named(raw: bytes) -> PeerID | None:
    """The peer with this id, if one can have it."""
    return PeerID(raw) if len(raw) in PEER_ID_BYTES else None


class Table(RoutingTable):  # type: ignore[misc]
    """hivemind's routing table, with limits."""

    def __init__(self, own: DHTID) -> None:
        super().__init__(own, BUCKET_NODES, DEPTH_MODULO)

    @property
    def peers(self) -> list[PeerID]:
        """All of them."""
        return list(self.peer_id_to_uid)

    def heard(self, peer: PeerID) -> PeerID | None:
        """It is there. Returns whom to ask for a sign of life, because there is no room for both."""
        place = place_of(peer)
        known = self.get(node_id=place)
        if place == self.node_id or known not in (None, peer) or (known is None and self.is_full):
            return None
        silent = self.add_or_update_node(place, peer)
        return None if silent is None else silent[1]

    def silent(self, peer: PeerID) -> None:
        """It did not answer."""
        place = self.get(peer_id=peer)
        if place is not None:
            del self[place]

    @property
    def is_full(self) -> bool:
        """Whether nobody else gets in."""
        return len(self.uid_to_peer_id) >= MAX_ROUTED
