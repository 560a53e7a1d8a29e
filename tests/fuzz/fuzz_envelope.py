"""Envelopes: what is accepted is verified, and is the same after it was written."""

from protocol.envelope import Envelope, pae
from protocol.errors import PeerError


def one(data: bytes) -> None:
    """Parse; then write and parse again."""
    try:
        found = Envelope.parse(data)
    except PeerError:
        return
    found.public.verify_raw(found.sig, pae(found.payload_type, found.payload))
    assert Envelope.parse(found.encode()) == found
