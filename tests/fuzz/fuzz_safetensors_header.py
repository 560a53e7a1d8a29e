"""The head of a weight file, at a mirror or in a folder that somebody else wrote."""

from protocol.blobs.safetensors_header import PREFIX_BYTES, parse_header
from protocol.errors import PeerError


def one(data: bytes) -> None:
    """The tensors that come out tile the file behind its header."""
    try:
        entries = parse_header(data, len(data), "fuzzed")
    except PeerError:
        return
    at = PREFIX_BYTES + int.from_bytes(data[:PREFIX_BYTES], "little")
    for entry in sorted(entries, key=lambda e: (e.start, e.size)):
        assert entry.start == at
        assert entry.size >= 0
        at += entry.size
    assert at == len(data)
