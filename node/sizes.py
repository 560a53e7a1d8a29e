"""Sizes as people write them: ``512``, ``"2GB"``, ``"1.5 GiB"``."""

import re
from fractions import Fraction

from node.errors import UserError

MAX_SIZE = 2**60

MAX_SHOWN = 60
"""Characters of somebody's value that an error repeats."""

_SIZE = re.compile(r"(\d{1,19}(?:\.\d{1,9})?)\s*([KMGT]?)(i?B)?", re.IGNORECASE | re.ASCII)


def read_size(value: int | str, what: str) -> int:
    """A number of bytes: GB are 10^9, G and GiB are 2^30."""
    if isinstance(value, str):
        matched = _SIZE.fullmatch(value.strip())
        if matched is None:
            raise UserError(f"{what} is a number or a size such as 500MB or 2GiB, not {shown(value)}")
        power = " KMGT".index(matched[2].upper() or " ")
        step = 1000 if (matched[3] or "").upper() == "B" else 1024
        value = int(Fraction(matched[1]) * step**power)
    if not 0 <= value <= MAX_SIZE:
        raise UserError(f"{what} is 0 to {MAX_SIZE}, not {shown(value)}")
    return value


def shown(value: object) -> str:
    """A value of somebody else, shortened and safe to print."""
    try:
        text = ascii(value)
    except ValueError:  # Python prints no number of thousands of digits
        text = "a number too long to show"
    except RecursionError:
        text = "brackets within brackets too deep to show"
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"
