"""JSON from strangers: one object, no repeated keys, no bombs.

Header, index and config of a model folder are all JSON that somebody else wrote. Python's parser keeps the
last of two equal keys, recurses as deep as it is led, turns three bytes into sixty and makes text that cannot
be written again; each of these is refused here, once.
"""

import json
import re

from umm.errors import CheckpointError

MAX_JSON_NODES = 4_194_304
"""Upper bound on commas and brackets in one document: about sixteen for each tensor that may exist."""

MAX_JSON_DEPTH = 32
"""Levels of nesting; real configs use about five."""

MAX_SHOWN_CHARACTERS = 80
"""How much of a stranger's text an error message repeats."""

_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")

JsonObject = dict[str, object]


def parse_object(data: bytes, where: str) -> JsonObject:
    """The one JSON object in ``data``, or a :class:`CheckpointError` that begins with ``where``."""
    if sum(data.count(mark) for mark in (b"{", b"[", b",")) > MAX_JSON_NODES:
        raise CheckpointError(f"{where} has more than {MAX_JSON_NODES} JSON values; no real model needs that")
    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=_without_repeats)
    except UnicodeDecodeError as error:
        raise CheckpointError(f"{where} is not UTF-8 text (byte {error.start}); fetch it again") from error
    except RecursionError as error:
        raise CheckpointError(f"{where} is nested deeper than {MAX_JSON_DEPTH} levels") from error
    except _RepeatedKeyError as error:
        raise CheckpointError(f"{where} has the key {shown(error.key)} twice in one object") from error
    except ValueError as error:
        raise CheckpointError(f"{where} is not valid JSON ({shown_plain(str(error))}); fetch it again") from error
    if not isinstance(value, dict):
        raise CheckpointError(f"{where} must hold a JSON object, not a {type(value).__name__}")
    _refuse_depth(value, where)
    if _SURROGATE.search(data):
        _refuse_half_pairs(value, where)
    return value


def shown(text: str) -> str:
    """A stranger's text, quoted, escaped and cut to a length fit for one line."""
    return repr(shown_plain(text))


def shown_plain(text: str) -> str:
    """A stranger's text cut to a length fit for one line."""
    return text if len(text) <= MAX_SHOWN_CHARACTERS else text[:MAX_SHOWN_CHARACTERS] + "…"


class _RepeatedKeyError(ValueError):
    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


def _without_repeats(pairs: list[tuple[str, object]]) -> JsonObject:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        raise _RepeatedKeyError(next(k for k, _ in pairs if k in seen or seen.add(k)))  # type: ignore[func-returns-value]
    return found


def _refuse_depth(value: JsonObject, where: str) -> None:
    """Walk level by level rather than by recursion, so that the check cannot itself overflow."""
    level: list[object] = [value]
    for _ in range(MAX_JSON_DEPTH):
        level = [
            child
            for node in level
            for child in (node.values() if isinstance(node, dict) else node)  # type: ignore[attr-defined]
            if isinstance(child, dict | list)
        ]
        if not level:
            return
    raise CheckpointError(f"{where} is nested deeper than {MAX_JSON_DEPTH} levels")


def _refuse_half_pairs(value: JsonObject, where: str) -> None:
    """Half of a surrogate pair can only be written as an escape; no text with one has bytes."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise CheckpointError(f"{where} holds half a surrogate pair, which is not Unicode text") from error
