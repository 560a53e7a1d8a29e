"""Durations and times as people write them: ``2h``, ``1d 12h``, ``2026-12-01T12:00:00+01:00``."""

import math
import re
from dataclasses import dataclass
from datetime import date, datetime
from datetime import time as time_of_day

from node.control.orders import Times
from node.drafts.table import Table
from node.errors import UserError
from node.sizes import shown

MAX_SECONDS = 366 * 24 * 3600
"""Of one duration; a whole round takes no longer."""

MAX_CHARACTERS = 40

UNITS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 24 * 3600, "w": 7 * 24 * 3600}

PHASES = {"commit": "24h", "reveal": "6h", "roster": "1h", "merge": "24h"}
"""In their order, and how long each takes when nothing is said."""

FIELDS = ("opens", *PHASES)

_PART = re.compile(r"(\d{1,9}(?:\.\d{1,3})?)\s*([a-z]+)", re.ASCII)

_EXAMPLE = "a duration such as 2h or 1d 12h, or a time such as 2026-12-01T12:00:00+01:00"


@dataclass(frozen=True)
class Lasting:
    """So many seconds after whatever was before."""

    seconds: int


@dataclass(frozen=True)
class At:
    """This moment."""

    time: int


def duration(text: str) -> int | None:
    """Seconds; None if it is not a duration."""
    rest, total = text.strip().lower(), 0.0
    if not rest or len(rest) > MAX_CHARACTERS:
        return None
    while rest:
        matched = _PART.match(rest)
        if matched is None or matched[2] not in UNITS:
            return None
        total += float(matched[1]) * UNITS[matched[2]]
        rest = rest[matched.end() :].lstrip()
    return math.ceil(total)


def moment(value: object, what: str) -> Lasting | At:
    """A duration or a time. A time without its zone means another moment to everybody, and is refused."""
    if isinstance(value, str):
        seconds = duration(value)
        if seconds is not None:
            if seconds > MAX_SECONDS:
                raise UserError(f"{what} is {value}; a round takes at most {MAX_SECONDS // UNITS['d']} days")
            return Lasting(seconds)
        value = _time(value.strip(), what)
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise UserError(f"{what} lacks the zone: write {value.isoformat()}Z, or +01:00 in place of the Z")
        return At(_seconds(value, what))
    if isinstance(value, date | time_of_day):
        raise UserError(f"{what} is a whole time with its zone, such as 2026-12-01T12:00:00+01:00, not {value}")
    raise UserError(f"{what} is {_EXAMPLE}, not {shown(value)}")


def schedule(table: Table, now: float) -> Times:
    """When each phase is over, from ``opens`` and what each of the phases says."""
    opens = table.values.get("opens", "now")
    began = math.ceil(now) if opens == "now" else _after(math.ceil(now), opens, table, "opens")
    ends, before, earlier = [], began, "opens"
    for phase, usual in PHASES.items():
        end = _after(before, table.values.get(phase, usual), table, phase)
        if end <= before:
            raise table.fault(phase, f"would end before {earlier} does; let every phase last some time")
        ends.append(end)
        before, earlier = end, phase
    if ends[0] <= now:
        raise table.fault("commit", "is over already, so that nobody could commit; choose a later time")
    return Times(
        commit_opens=began, commit_closes=ends[0], reveal_closes=ends[1], roster_closes=ends[2], merge_closes=ends[3]
    )


def _after(before: int, value: object, table: Table, name: str) -> int:
    match moment(value, f"{table.where}: {table.path}{name}"):
        case Lasting(seconds):
            return before + seconds
        case At(time):
            return time


def _time(text: str, what: str) -> datetime:
    if len(text) > MAX_CHARACTERS or "T" not in text.upper().replace(" ", "T"):
        raise UserError(f"{what} is {_EXAMPLE}, not {shown(text)}")
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise UserError(f"{what} is {_EXAMPLE}, not {shown(text)}") from None


def _seconds(value: datetime, what: str) -> int:
    try:
        seconds = math.ceil(value.timestamp())
    except (OverflowError, ValueError):
        raise UserError(f"{what} is no time that a clock will show: {value}") from None
    if seconds < 0:
        raise UserError(f"{what} is before 1970: {value}")
    return seconds
