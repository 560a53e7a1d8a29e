"""A chunk list from a peer."""

from protocol.blobs.chunks import CHUNK_BYTES, ChunkList, blob_id
from protocol.errors import PeerError
from protocol.merkle import root


def one(data: bytes) -> None:
    """The list says no more than it holds, under its own name and under no other."""
    try:
        parsed = ChunkList.parse(data, _own_id(data))
    except PeerError:
        return
    assert parsed.encode() == data
    assert sum(parsed.chunk_length(i) for i in range(len(parsed.digests))) == parsed.size
    assert all(0 < parsed.chunk_length(i) <= CHUNK_BYTES for i in range(len(parsed.digests)))
    try:
        ChunkList.parse(data, bytes(32))
    except PeerError:
        return
    raise AssertionError("a list was believed under a name that is not its own")


def _own_id(data: bytes) -> bytes:
    digests = [data[i : i + 32] for i in range(8, len(data), 32)]
    return blob_id(int.from_bytes(data[:8], "little"), root(digests))
