"""Strict JSON: what is accepted means the same to Python's parser, and survives being written canonically."""

import json

from protocol.errors import MalformedError
from protocol.strict import canonical, parse_object

LIMIT = 1 << 16


def one(data: bytes) -> None:
    """Parse; then hold the outcome against a lenient parser."""
    try:
        value = parse_object(data, LIMIT, "input")
    except MalformedError:
        return
    assert value == json.loads(data)
    assert parse_object(canonical(value), LIMIT, "input") == value
