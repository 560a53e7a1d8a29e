"""A Round: everything that was agreed before anyone offered anything, signed by its convener."""

from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Annotated

from protocol.blobs.chunks import MAX_BLOB_BYTES, ChunkList
from protocol.errors import MalformedError
from protocol.identity import PublicKey
from protocol.records.fields import Fields
from protocol.records.forms import (
    LICENCE,
    LOCATION,
    MAX_COUNT,
    MAX_LOCATIONS,
    WORD,
    Choice,
    DecimalForm,
    Digest,
    Integer,
    Many,
    Point,
    PointForm,
    Text,
    Time,
)
from protocol.records.record import Record, record

MAX_TITLE = 120
"""Characters."""

MAX_DESCRIPTION = 2_000
"""Characters."""

MAX_RECIPE = 6_000
"""Characters of a recipe that stands in the record; a longer one is a blob."""

MAX_STEWARDS = 31
"""Ten liars among them: the signatures of a quorum still fit into a Result."""

MAX_ALLOWED_KEYS = 128
"""Keys of an allow-list."""

MAX_CONTRIBUTIONS_PER_KEY = 64
MAX_CONTRIBUTIONS = 100_000

MAX_LICENCES = 32
MAX_DOMAINS = 64

SKEW_SECONDS = 3.0
"""How far two honest clocks may be apart; more fails to join the swarm at all."""

MAX_ROUND_SECONDS = 366 * 24 * 3600
"""From the first commitment to the deadline of the merge."""


class Kind(StrEnum):
    """What a contribution can be."""

    ADAPTER = "adapter"
    CHECKPOINT = "checkpoint"
    DELTA = "delta"
    DISTRIBUTIONS = "distributions"


class Phase(StrEnum):
    """Where a round is by the clock."""

    ANNOUNCED = "announced"
    COMMIT = "commit"
    REVEAL = "reveal"
    ROSTER = "roster"
    MERGE = "merge"
    CLOSED = "closed"


@dataclass(frozen=True, kw_only=True)
class Base(Fields):
    """The model that all deltas are measured from: what it is, and at least one place to get it."""

    noun = "base"

    root: Digest
    manifest: Digest | None = None
    locations: Annotated[tuple[str, ...], Many(LOCATION, MAX_LOCATIONS, ascending=False)] = ()
    result: Digest | None = None
    """The Result or Revision that made it, when an earlier round did: the lineage."""

    def _check(self) -> None:
        if self.manifest is None and not self.locations:
            raise MalformedError("the base is nowhere: it needs a manifest or a location")


@dataclass(frozen=True, kw_only=True)
class Recipe(Fields):
    """What to merge and how, in one line of canonical text or in a blob. This room does not read it."""

    noun = "recipe"

    text: Annotated[str | None, Text(MAX_RECIPE)] = None
    blob: Digest | None = None

    def _check(self) -> None:
        if (self.text is None) == (self.blob is None):
            raise MalformedError("the recipe is either text or a blob")

    @property
    def digest(self) -> bytes:
        """The blob id of its bytes, wherever they are: a recipe is the same one as text and as a blob."""
        return self.blob or ChunkList.of((self.text or "").encode()).id


@dataclass(frozen=True, kw_only=True)
class Schedule(Fields):
    """When what is over; each time is the first second after its window.

    ``roster_closes`` binds those who sign, not those who receive: after it honest stewards sign nothing more to agree
    on the first roster, and still take what others signed.
    """

    noun = "schedule"

    commit_opens: Time
    commit_closes: Time
    reveal_closes: Time
    roster_closes: Time
    merge_closes: Time

    def _check(self) -> None:
        named = list(self.plain().items())
        for (earlier, before), (later, after) in pairwise(named):
            if after <= before:
                raise MalformedError(f"schedule.{later} is {after}; it must be after {earlier}, which is {before}")
        if self.reveal_closes <= self.reveal_opens:
            raise MalformedError(
                f"schedule.reveal_closes leaves nobody time to reveal: that begins {2 * SKEW_SECONDS:.0f} s after "
                "commit_closes, so that nobody's clock lets a copy in"
            )
        if self.merge_closes - self.commit_opens > MAX_ROUND_SECONDS:
            raise MalformedError(f"the schedule takes more than {MAX_ROUND_SECONDS} seconds")

    @property
    def reveal_opens(self) -> float:
        """When contributors publish: late enough that every honest clock has closed the commitments."""
        return self.commit_closes + 2 * SKEW_SECONDS

    def phase(self, now: float) -> Phase:
        """Where the round is at ``now``, in seconds."""
        ends = (self.commit_opens, self.commit_closes, self.reveal_closes, self.roster_closes, self.merge_closes)
        return list(Phase)[sum(now >= end for end in ends)]


@dataclass(frozen=True, kw_only=True)
class Admission(Fields):
    """Who may contribute, what, and how much. What is left out is not restricted."""

    noun = "admission"

    keys: Annotated[tuple[bytes, ...], Many(PointForm(), MAX_ALLOWED_KEYS)] = ()
    contributions_per_key: Annotated[int, Integer(1, MAX_CONTRIBUTIONS_PER_KEY)]
    contributions: Annotated[int, Integer(1, MAX_CONTRIBUTIONS)]
    bytes_each: Annotated[int, Integer(1, MAX_BLOB_BYTES)]
    bytes_total: Annotated[int, Integer(1, MAX_COUNT)]
    max_norm: Annotated[str | None, DecimalForm(negative=False)] = None
    """Of a whole delta: the Euclidean norm over all tensors."""
    licences: Annotated[tuple[str, ...], Many(LICENCE, MAX_LICENCES)] = ()
    domains: Annotated[tuple[str, ...], Many(WORD, MAX_DOMAINS)] = ()

    def _check(self) -> None:
        _check_points(self.keys, "admission.keys")


@record("round")
@dataclass(frozen=True, kw_only=True)
class Round(Record):
    """One scheduled merge; its author is the convener, its id the name of the round."""

    title: Annotated[str, Text(MAX_TITLE)]
    description: Annotated[str | None, Text(MAX_DESCRIPTION)] = None
    base: Base
    recipe: Recipe
    tolerance: Annotated[str | None, DecimalForm(negative=False)] = None
    """Allowed difference from a recomputation when the recipe's method is not exact; without it every bit counts."""
    seed: Digest
    kinds: Annotated[tuple[Kind, ...], Many(Choice(Kind), len(Kind))]
    prompts: Digest | None = None
    """The blob of the prompt set that distributions are made on."""
    stewards: Annotated[tuple[bytes, ...], Many(PointForm(), MAX_STEWARDS)]
    schedule: Schedule
    admission: Admission

    def _check(self) -> None:
        if (Kind.DISTRIBUTIONS in self.kinds) != (self.prompts is not None):
            raise MalformedError("a round has prompts if and only if it accepts distributions")
        _check_points(self.stewards, "round.stewards")

    @property
    def faults(self) -> int:
        """Stewards that may lie or fall silent without harm: the largest f with 3f + 1 stewards or fewer."""
        return (len(self.stewards) - 1) // 3

    @property
    def quorum(self) -> int:
        """Stewards that decide; any two quorums share one that is honest. With 3f + 1 stewards it is 2f + 1."""
        return (len(self.stewards) + self.faults) // 2 + 1


def _check_points(points: tuple[Point, ...], path: str) -> None:
    """A key that lies on no curve could never sign; a round must not wait for it."""
    for index, point in enumerate(points):
        try:
            PublicKey.from_point(point)
        except MalformedError as error:
            raise MalformedError(f"{path}[{index}]: {error}") from None
