"""Keys and peer ids as strangers send them."""

from contextlib import suppress

from protocol.errors import PeerError
from protocol.identity import PublicKey
from protocol.identity.libp2p import parse_peer_id, peer_id_of


def one(data: bytes) -> None:
    """Every reader of a key: refused, or the one spelling of it."""
    with suppress(PeerError):
        assert PublicKey.from_point(data).point == data
    with suppress(PeerError):
        assert PublicKey.from_der(data).der == data
    text = data.decode("latin-1")
    with suppress(PeerError):
        assert peer_id_of(parse_peer_id(text)) == text
