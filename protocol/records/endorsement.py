"""A signature over a record of which every word stands in the record that carries it.

So a Result and a Lock prove themselves: nothing has to be looked up, and what their quorum signed elsewhere later
changes nothing about what it signed here.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated

from protocol.errors import MalformedError
from protocol.identity.public import MAX_SIGNATURE_BYTES
from protocol.records.fields import Fields, Part
from protocol.records.forms import Hex, Many, Point
from protocol.records.record import RoundRecord, Signed
from protocol.records.round import MAX_STEWARDS

MIN_SIGNATURE_BYTES = 8
"""Two integers of one byte in DER."""


@dataclass(frozen=True, kw_only=True)
class Endorsement(Fields):
    """A steward's signature over its Attestation or Vote."""

    noun = "endorsement"

    author: Point
    signature: Annotated[bytes, Hex(MIN_SIGNATURE_BYTES, MAX_SIGNATURE_BYTES)]


ENDORSEMENTS = Many(Part(Endorsement), MAX_STEWARDS, ascending=False)


def endorsements(signed: Iterable[Signed[RoundRecord]]) -> tuple[Endorsement, ...]:
    """The form in which a Result carries attestations and a Lock votes: ascending by author."""
    made = [Endorsement(author=one.record.author, signature=one.envelope.sig) for one in signed]
    return tuple(sorted(made, key=lambda e: e.author))


def check_authors(carried: tuple[Endorsement, ...], path: str) -> None:
    """Refuse any other order, and an author twice."""
    if any(a.author >= b.author for a, b in pairwise(carried)):
        raise MalformedError(f"{path} are not in ascending order of their authors, each once")
