"""Any bytes are a pointer that encodes to the same bytes, or one of the room's own errors."""

from protocol.errors import PeerError
from protocol.pointer import Pointer


def one(data: bytes) -> None:
    """Parse them."""
    try:
        pointer = Pointer.parse(data)
    except PeerError:
        return
    assert pointer.encode() == data
