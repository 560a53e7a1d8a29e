"""Times and spans as people read them, in the zone of this machine."""

from datetime import datetime

_UNITS = ((24 * 3600, "d"), (3600, "h"), (60, "min"), (1, "s"))

SHORT = 12
"""Digits of an id that a list shows: enough to name it again."""


def lasting(seconds: float) -> str:
    """A span in its two largest units: ``1 d 2 h``, ``3 min 20 s``."""
    left = max(round(seconds), 0)
    parts = []
    for size, name in _UNITS:
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count} {name}")
        elif parts:
            break
    return " ".join(parts[:2]) or "0 s"


def local(at: float) -> str:
    """A moment with its zone: ``Fri 20 Nov 2026 18:00:05 CET``."""
    return f"{datetime.fromtimestamp(at).astimezone():%a %d %b %Y %H:%M:%S %Z}"


def stamp(at: float) -> str:
    """A moment in a log: ``2026-11-20 18:00:05``."""
    return f"{datetime.fromtimestamp(at):%Y-%m-%d %H:%M:%S}"


def ahead(at: float | None, now: float) -> str:
    """How long until then; nothing where there is no then."""
    if at is None:
        return ""
    return f"in {lasting(at - now)}" if at > now else f"{lasting(now - at)} ago"


def short(value: bytes | None) -> str:
    """The beginning of an id."""
    return "" if value is None else value.hex()[:SHORT]
