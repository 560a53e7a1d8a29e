"""Any bytes are a dictionary of the swarm with few enough entries, or one of the room's own errors."""

from protocol.errors import PeerError
from protocol.swarm.dictionary import SUBKEY_BYTES, read
from protocol.swarm.locations import MAX_DICTIONARY_ENTRIES


def one(data: bytes) -> None:
    """Read them."""
    try:
        entries = read(data)
    except PeerError:
        return
    assert len(entries) <= MAX_DICTIONARY_ENTRIES
    assert sum(SUBKEY_BYTES + len(entry.value) for entry in entries) < len(data)
