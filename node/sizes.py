"""Sizes as people write them: ``512``, ``"2GB"``, ``"1.5 GiB"``."""

import re

from node.errors import UserError

MAX_SIZE = 2**60

_SIZE = re.compile(r"(\d{1,18}(?:\.\d{1,9})?)\s*([KMGT]?)(i?B)?", re.IGNORECASE | re.ASCII)


def read_size(value: int | str, what: str) -> int:
    """A number of bytes: GB are 10^9, G and GiB are 2^30."""
    if isinstance(value, str):
        matched = _SIZE.fullmatch(value.strip())
        if matched is None:
            raise UserError(f"{what} is a size such as 500MB or 2GiB, not {value!r}")
        power = " KMGT".index(matched[2].upper() or " ")
        step = 1000 if (matched[3] or "").upper() == "B" else 1024
        value = int(float(matched[1]) * step**power)
    if not 0 <= value <= MAX_SIZE:
        raise UserError(f"{what} is 0 to {MAX_SIZE}, not {value}")
    return value
