"""Values that people type, and numbers as they read them: sizes and counts."""

import argparse
import re

_UNITS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}
_NAMES = ("B", "KB", "MB", "GB", "TB")
_COUNTS = ((10**12, "trillion"), (10**9, "billion"), (10**6, "million"))


def count(text: str) -> int:
    """A positive whole number."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number; give 1 or more")
    return int(text)


def size(text: str) -> int:
    """A number of bytes: 512M and 512MiB in powers of 1024, 512MB in powers of 1000."""
    match = re.fullmatch(r"(\d+)([KMGT]?)(i?B)?", text.strip(), re.IGNORECASE)
    if not match or int(match[1]) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size; write for example 512M or 2G")
    step = 1000 if (match[3] or "").upper() == "B" else 1024
    return int(match[1]) * int(step ** _UNITS[match[2].upper()])


def spelled(amount: float) -> str:
    """Bytes for people: 2.2 GB."""
    unit = 0
    while round(amount, 1) >= 1000 and unit < len(_NAMES) - 1:
        amount, unit = amount / 1000, unit + 1
    return f"{amount:.0f} {_NAMES[unit]}" if unit == 0 else f"{amount:.1f} {_NAMES[unit]}"


def counted(number: int) -> str:
    """A count for people: 12,345 or 1.1 billion."""
    for unit, name in _COUNTS:
        if number >= unit:
            return f"{number / unit:.1f} {name}"
    return f"{number:,}"


def plural(number: int, noun: str) -> str:
    """``1 thread``, ``2 threads``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
