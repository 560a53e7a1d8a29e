"""The JSON in and beside weight files: much longer than a record, and as hostile.

Such documents have one entry for every tensor, so the limits of ``strict`` do not fit. Rules:

1. At most ``MAX_JSON_BYTES`` of UTF-8 that begin with ``{``, as the reference implementation of safetensors wants.
2. At most ``MAX_MARKS`` brackets and commas, counted before parsing: they bound what the parser allocates.
3. One object, no key twice in any object, no floats, nothing nested deeper than the parser's own limit.
"""

import json
from typing import Any

from protocol.errors import MalformedError, TooLargeError
from protocol.strict import JsonObject, shown

MAX_JSON_BYTES = 16 * 2**20
"""A header or an index. The longest public ones take about a quarter of it."""

MAX_MARKS = 2**21
"""Brackets and commas in one document; an entry of a header has about eight."""


def parse(data: bytes, where: str) -> JsonObject:
    """The object in ``data``; ``where`` begins every error message."""
    check_size(data, where)
    try:
        found = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_without_repeats,
            parse_float=_no_float,
            parse_constant=_no_float,
        )
    except UnicodeDecodeError as error:
        raise MalformedError(f"{where} is not UTF-8 text (byte {error.start})") from None
    except RecursionError:
        raise MalformedError(f"{where} is nested too deep") from None
    except ValueError as error:
        raise MalformedError(f"{where} is not what it should be: {shown(str(error))}") from None
    if not isinstance(found, dict):  # never: it begins with a bracket
        raise MalformedError(f"{where} does not hold a JSON object")
    return found


def check_size(data: bytes, where: str) -> None:
    """Refuse what is too long or would make the parser build too much: rules 1 and 2."""
    if len(data) > MAX_JSON_BYTES:
        raise TooLargeError(f"{where} is {len(data)} bytes long; the limit is {MAX_JSON_BYTES}")
    if not data.startswith(b"{"):
        raise MalformedError(f"{where} does not begin with '{{'")
    if sum(data.count(mark) for mark in (b"{", b"[", b",")) > MAX_MARKS:
        raise TooLargeError(f"{where} has more than {MAX_MARKS} brackets and commas")


def _without_repeats(pairs: list[tuple[str, Any]]) -> JsonObject:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("it has a key twice in one object")
    return found


def _no_float(number: str) -> None:
    raise ValueError(f"it has the number {number[:20]} where only integers are allowed")
