"""How errors show what they found and what would have been right."""

import difflib
from collections.abc import Iterable, Mapping

SHOWN = 60  # characters of a foreign text that an error repeats
CLOSE = 0.5  # similarity from which a name is offered as what was meant


def shown(value: object) -> str:
    """A value as an error repeats it: short, on one line, without control characters."""
    if isinstance(value, tuple | list):
        return "a list"
    if isinstance(value, Mapping):
        return "a mapping"
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    text = text if len(text) <= SHOWN else text[:SHOWN] + "…"
    return text if text.isprintable() and text else repr(text)


def nearest(name: str, names: Iterable[str]) -> str | None:
    """The name that was probably meant."""
    close = difflib.get_close_matches(name[:SHOWN].lower(), list(names), n=1, cutoff=CLOSE)
    return close[0] if close else None


def suggestion(name: str, names: Iterable[str]) -> str:
    """``; did you mean x? Valid: x, y``, to end an error about a name."""
    valid = sorted(names)
    close = nearest(name, valid)
    meant = f"; did you mean {close}?" if close else "."
    return f"{meant} Valid: {', '.join(valid)}"


def listed(names: Iterable[str]) -> str:
    """``a, b and c``."""
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last
