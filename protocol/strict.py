"""JSON that leaves no room for two readings.

Rules:

1. At most ``limit`` bytes, UTF-8 without a byte order mark, one object, nothing behind it but white space.
2. No key twice, no ``NaN`` or ``Infinity``, no floats: numbers are integers within 64 bits signed, and no ``-0``.
3. Strings, keys among them, hold no lone surrogate and, being printed, no control character.
4. At most ``MAX_DEPTH`` levels, and ``MAX_NODES`` commas, colons and opening brackets outside of strings: about one for
   each value. Both are counted before the parser builds anything, in time that grows with the length alone.

``canonical`` writes such objects in one way: keys sorted by code point, no spaces, UTF-8. Signed bytes are kept as they
came and never written anew. Two more spellings that everybody needs are here: base64, and how an error message
repeats what a stranger wrote.
"""

import base64
import json
import re
from collections.abc import Mapping
from typing import Any, NoReturn

from protocol.errors import MalformedError, TooLargeError

MAX_DEPTH = 8
"""Nested objects and arrays."""

MAX_NODES = 65_536
"""Values in one document, as rule 4 counts them."""

MAX_INTEGER = 2**63 - 1

MAX_DIGITS = 20
"""Characters of the longest number, the sign included."""

MAX_SHOWN_CHARACTERS = 80
"""How much of a stranger's text an error message repeats."""

CONTROL_CHARACTER = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""What may not be printed: nothing in a record may steer a terminal or turn text around."""

_STRING = re.compile(rb'"[^"]*"?')
"""A string whose escapes are gone; the last one may be cut off."""

_BRACKET = re.compile(rb"[\[\]{}]")

JsonObject = dict[str, Any]


def parse_object(data: bytes, limit: int, what: str) -> JsonObject:
    """The one object in ``data``; ``what`` names it in errors."""
    if len(data) > limit:
        raise TooLargeError(f"{what} is {len(data)} bytes long; at most {limit} are allowed")
    _check_structure(data, what)
    try:
        value = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=lambda pairs: _unique(pairs, what),
            parse_float=lambda number: _refuse(what, f"the number {number[:40]}; only integers are allowed"),
            parse_constant=lambda name: _refuse(what, f"the number {name}; only integers are allowed"),
            parse_int=lambda digits: _integer(digits, what),
        )
    except UnicodeDecodeError as error:
        raise MalformedError(f"{what} is not UTF-8 (byte {error.start})") from None
    except json.JSONDecodeError as error:
        raise MalformedError(f"{what} is not JSON: {error.msg} at character {error.pos}") from None
    if not isinstance(value, dict):
        raise MalformedError(f"{what} is not a JSON object")
    _check_texts(value, what)
    return value


def canonical(value: Mapping[str, Any]) -> bytes:
    """The one spelling of an object."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8")


def to_base64(data: bytes) -> str:
    """Standard base64 (RFC 4648, section 4) with its padding."""
    return base64.b64encode(data).decode("ascii")


def from_base64(text: str, what: str, limit: int) -> bytes:
    """At most ``limit`` bytes behind standard base64, in the one spelling that ``to_base64`` gives them."""
    if len(text) > 4 * -(-limit // 3):
        raise TooLargeError(f"{what} has {len(text)} characters of base64, for at most {limit} bytes")
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        data = b""
    if to_base64(data) != text:
        raise MalformedError(f"{what} is not base64 in its one spelling (standard alphabet, padded): {shown(text)}")
    if len(data) > limit:
        raise TooLargeError(f"{what} has {len(data)} bytes; at most {limit} are allowed")
    return data


def shown(value: object) -> str:
    """A stranger's text, or what stands in its place, quoted, escaped and cut to a length fit for one line."""
    if isinstance(value, str):
        return ascii(value if len(value) <= MAX_SHOWN_CHARACTERS else value[:MAX_SHOWN_CHARACTERS] + "...")
    return ascii(value)[:MAX_SHOWN_CHARACTERS]


def _check_structure(data: bytes, what: str) -> None:
    """Refuse what would make the parser recurse deep or build much.

    Escapes are dropped first, pairs of backslashes before quotes, so that a quote is always an end of a string. Where
    this reads bytes other than JSON does, the parser has stopped with an error before.
    """
    bare = _STRING.sub(b"", data.replace(b"\\\\", b"").replace(b'\\"', b""))
    if sum(bare.count(mark) for mark in (b",", b":", b"[", b"{")) > MAX_NODES:
        raise TooLargeError(f"{what} holds more than {MAX_NODES} values")
    depth = 0
    for bracket in _BRACKET.finditer(bare):
        depth += 1 if bracket.group() in b"[{" else -1
        if depth > MAX_DEPTH:
            raise MalformedError(f"{what} is nested deeper than {MAX_DEPTH} levels")
        if depth <= 0:
            return  # the parser goes no further either


def _unique(pairs: list[tuple[str, Any]], what: str) -> JsonObject:
    found = dict(pairs)
    if len(found) != len(pairs):
        _refuse(what, "a key twice")
    return found


def _integer(digits: str, what: str) -> int:
    if len(digits) > MAX_DIGITS or not -MAX_INTEGER - 1 <= int(digits) <= MAX_INTEGER or digits == "-0":
        _refuse(what, f"the number {digits[:40]}; integers are within 64 bits")
    return int(digits)


def _check_texts(value: JsonObject, what: str) -> None:
    pending: list[Any] = [value]
    while pending:
        node = pending.pop()
        if isinstance(node, dict):
            pending += [*node.keys(), *node.values()]
        elif isinstance(node, list):
            pending += node
        elif isinstance(node, str):
            _check_text(node, what)


def _check_text(text: str, what: str) -> None:
    if CONTROL_CHARACTER.search(text):
        _refuse(what, f"a control character in {shown(text)}")
    if not text.isascii():
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            _refuse(what, f"a lone surrogate in {shown(text)}")


def _refuse(what: str, found: str) -> NoReturn:
    raise MalformedError(f"{what} holds {found}")
