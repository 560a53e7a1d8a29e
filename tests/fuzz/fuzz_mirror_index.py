"""The index of a mirror's weight files, of any bytes."""

import contextlib

from protocol.errors import PeerError
from protocol.roads.mirrors.places import SHARD_NAME, parse_index


def one(data: bytes) -> None:
    """Parse an index; whatever is accepted names plain files."""
    with contextlib.suppress(PeerError):
        assert all(SHARD_NAME.fullmatch(file) for file in parse_index(data, "the index").values())
