"""How numbers and hashes are spelled in a line of a note: in one way only."""

import re

from protocol.errors import MalformedError
from protocol.merkle import HASH_BYTES, MAX_LEAVES
from protocol.strict import from_base64, shown

NUMBER = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)


def number(text: str, what: str) -> int:
    """A count of leaves in decimal, without leading zeroes."""
    if not NUMBER.fullmatch(text) or int(text) > MAX_LEAVES:
        raise MalformedError(f"{what} is {shown(text)}, not a number from 0 to {MAX_LEAVES}")
    return int(text)


def hash_of(text: str, what: str) -> bytes:
    """A hash in base64."""
    data = from_base64(text, what, HASH_BYTES)
    if len(data) != HASH_BYTES:
        raise MalformedError(f"{what} is {len(data)} bytes long, not {HASH_BYTES}")
    return data
