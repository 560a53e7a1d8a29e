"""Fault proofs of any bytes."""

import contextlib

from node.verify.fault import FaultProof
from protocol.errors import ProtocolError


def one(data: bytes) -> None:
    """Parse and check; what is accepted is written in the same bytes."""
    with contextlib.suppress(ProtocolError):
        proof = FaultProof.parse(data)
        assert proof.encode() == data
        proof.check()
