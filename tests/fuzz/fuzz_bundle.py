"""Bundles and statements of any bytes."""

import contextlib

from protocol.errors import ProtocolError
from protocol.modelsigning import Bundle, Statement


def one(data: bytes) -> None:
    """Parse a bundle with the statement in it, and a bare statement; what is accepted is what is written."""
    with contextlib.suppress(ProtocolError):
        bundle = Bundle.parse(data)
        assert Bundle.parse(bundle.encode()) == bundle
        Statement.parse(bundle.payload)
    with contextlib.suppress(ProtocolError):
        statement = Statement.parse(data)
        assert Statement.parse(statement.payload()) == statement
