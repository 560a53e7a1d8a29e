"""A roster: the agreed list of contributions, as the blob that ballots, votes and attestations name.

Bytes: the ids in ascending order, 32 bytes each, no id twice, nothing else.
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Self

from protocol.blobs.chunks import ChunkList
from protocol.errors import MalformedError, TooLargeError
from protocol.records.forms import DIGEST_BYTES
from protocol.records.round import MAX_CONTRIBUTIONS

MAX_ROSTER_BYTES = DIGEST_BYTES * MAX_CONTRIBUTIONS
"""3 200 000."""


@dataclass(frozen=True)
class Roster:
    """Contribution ids, ascending."""

    contributions: tuple[bytes, ...]

    def __post_init__(self) -> None:
        if len(self.contributions) > MAX_CONTRIBUTIONS:
            raise TooLargeError(f"a roster of {len(self.contributions)} ids; at most {MAX_CONTRIBUTIONS} are allowed")
        if any(len(contribution) != DIGEST_BYTES for contribution in self.contributions):
            raise MalformedError(f"a contribution id in the roster is not {DIGEST_BYTES} bytes long")
        if any(a >= b for a, b in pairwise(self.contributions)):
            raise MalformedError("the roster's ids are not in ascending order, each once")

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """The roster in a blob."""
        if len(data) > MAX_ROSTER_BYTES:
            raise TooLargeError(f"a roster of {len(data)} bytes; at most {MAX_ROSTER_BYTES} are allowed")
        if len(data) % DIGEST_BYTES:
            raise MalformedError(f"a roster of {len(data)} bytes, which is no multiple of {DIGEST_BYTES}")
        return cls(tuple(data[i : i + DIGEST_BYTES] for i in range(0, len(data), DIGEST_BYTES)))

    def encode(self) -> bytes:
        """The bytes of the blob."""
        return b"".join(self.contributions)

    @cached_property
    def id(self) -> bytes:
        """The blob id: what ballots, votes, attestations and results call it."""
        return ChunkList.of(self.encode()).id
