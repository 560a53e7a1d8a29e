"""A manifest from a peer."""

from protocol.blobs.manifest import MAX_TOTAL_BYTES, Manifest
from protocol.errors import PeerError


def one(data: bytes) -> None:
    """What parses is written in one way only, and its names are fit to become files."""
    try:
        manifest = Manifest.parse(data)
    except PeerError:
        return
    assert manifest.encode() == data
    assert manifest.total_bytes <= MAX_TOTAL_BYTES
    assert sum(manifest.blobs.values()) <= manifest.total_bytes
    assert len(manifest.root) == len(manifest.id) == 32
    assert not any(c in file.name for file in manifest.files for c in "/\\\0")
    assert manifest.tensors
