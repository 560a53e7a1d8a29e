"""What a steward knows when it asks for its duties, and what a duty can be."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from protocol.ledger import Ledger
from protocol.records import Roster, RoundRecord


@dataclass(frozen=True)
class Situation:
    """Everything from which the duties of a steward follow, but the time."""

    ledger: Ledger
    revision: int
    me: bytes
    """This steward's point."""
    candidate: Roster | None
    """What it would list in a ballot now: complete, valid, within the caps. None: it does not know yet."""
    rosters: Callable[[bytes], Roster | None]
    """Rosters that are at hand, by blob id."""
    began: float
    """When agreement on this revision began, in seconds. Revision 0: ``reveal_closes`` and the skew of clocks."""
    ends: float | None
    """From then on it signs nothing more. Revision 0: ``roster_closes``."""


@dataclass(frozen=True)
class Say:
    """Sign this record, keep it, and only then let others have it. In order: a later one may rest on an earlier."""

    record: RoundRecord


@dataclass(frozen=True)
class Keep:
    """Have this roster's blob for whoever asks, before anything is said that follows in the duties."""

    roster: Roster


@dataclass(frozen=True)
class Fetch:
    """The blob of this roster is needed to go on; ``of`` is the steward who named it and should have it."""

    roster: bytes
    of: bytes


Duty: TypeAlias = Say | Keep | Fetch
