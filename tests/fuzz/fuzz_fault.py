"""Fault proofs of any bytes."""

import contextlib

from node.verify import fault_file
from protocol.errors import ProtocolError


def one(data: bytes) -> None:
    """Parse and check; what is accepted is written in the same bytes."""
    with contextlib.suppress(ProtocolError):
        proof = fault_file.parse(data)
        assert proof.encode() == data
        proof.check()
