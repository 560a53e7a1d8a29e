"""Claims files of any bytes."""

import contextlib

from protocol import claims
from protocol.errors import ProtocolError


def one(data: bytes) -> None:
    """Parse; what is accepted is written in the same bytes."""
    with contextlib.suppress(ProtocolError):
        assert claims.encode(claims.parse(data)) == data
