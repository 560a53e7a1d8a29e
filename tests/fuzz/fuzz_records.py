"""Payloads, rosters and proofs of double-signing, from any bytes."""

import contextlib

from protocol.errors import PeerError
from protocol.ledger import Equivocation
from protocol.records import REGISTRY, Record, Roster


def one(data: bytes) -> None:
    """The payload type, a line feed, the payload; a payload without a type is tried as every kind."""
    first, _, rest = data.partition(b"\n")
    tries = [(first.decode("utf-8", "replace"), rest)]
    tries += [(kind.payload_type, data) for kind in REGISTRY.values()] if data.startswith(b"{") else []
    for payload_type, payload in tries:
        with contextlib.suppress(PeerError):
            assert Record.parse(payload_type, payload).payload() == payload
    with contextlib.suppress(PeerError):
        assert Roster.parse(data).encode() == data
    with contextlib.suppress(PeerError):
        Equivocation.parse(data).check()
