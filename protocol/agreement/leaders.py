"""Who leads an attempt: the stewards take turns, in an order that nobody chose."""

from blake3 import blake3

from protocol.field import field, number
from protocol.records import Round, Signed

LEADER_DOMAIN = b"umm/leader/1"

REVISION_BYTES = 4


def turns(round_: Signed[Round], revision: int) -> tuple[bytes, ...]:
    """The stewards in the order in which they lead, ascending by ``H(domain, round, revision, point)``."""
    prefix = field(LEADER_DOMAIN) + field(round_.id) + number(revision, REVISION_BYTES)
    return tuple(sorted(round_.record.stewards, key=lambda point: blake3(prefix + field(point)).digest()))


def leader(round_: Signed[Round], revision: int, attempt: int) -> bytes:
    """The point of the steward who proposes in this attempt."""
    order = turns(round_, revision)
    return order[attempt % len(order)]
