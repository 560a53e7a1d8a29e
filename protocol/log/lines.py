"""How numbers, bytes and hashes are spelled in a line of a note: in one way only."""

import base64
import re

from protocol.errors import MalformedError
from protocol.merkle import HASH_BYTES, MAX_LEAVES

NUMBER = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)


def number(text: str, what: str) -> int:
    """A count of leaves in decimal, without leading zeroes."""
    if not NUMBER.fullmatch(text) or int(text) > MAX_LEAVES:
        raise MalformedError(f"{what} is {text[:40]!a}, not a number from 0 to {MAX_LEAVES}")
    return int(text)


def to_base64(data: bytes) -> str:
    """Standard base64 (RFC 4648, section 4) with its padding."""
    return base64.b64encode(data).decode("ascii")


def from_base64(text: str, what: str) -> bytes:
    """The bytes behind standard base64; no other alphabet, no padding left out, no bits that do not count."""
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        raise MalformedError(f"{what} is not base64: {text[:60]!a}") from None
    if to_base64(data) != text:
        raise MalformedError(f"{what} is not base64 as it is written: {text[:60]!a}")
    return data


def hash_of(text: str, what: str) -> bytes:
    """A hash in base64."""
    data = from_base64(text, what)
    if len(data) != HASH_BYTES:
        raise MalformedError(f"{what} is {len(data)} bytes long, not {HASH_BYTES}")
    return data
