"""Lineages of any bytes."""

import contextlib

from node import lineage
from protocol.errors import ProtocolError


def one(data: bytes) -> None:
    """Parse; what is accepted is written in the same bytes."""
    with contextlib.suppress(ProtocolError):
        assert lineage.encode(lineage.parse(data)) == data
