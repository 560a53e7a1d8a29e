"""A round file as plain data: TOML or YAML, bounded, one mapping."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from node.errors import UserError
from umm.errors import RecipeError

MAX_FILE_BYTES = 32 * 1024
"""A round record has at most 16 KiB; the rest is comments, and a recipe that becomes a blob."""

MAX_LINE = 4096
"""Characters of a line of TOML: the parser's time grows with the square of the dots in one. A minute for 60,000."""

MAX_DEPTH = 32
"""Tables and lists inside one another."""

MAX_REASON = 200
"""Characters of what the parser has to say."""

ENDINGS = (".toml", ".yaml", ".yml")


def read(file: Path) -> dict[str, Any]:
    """What a round file says."""
    if file.suffix.lower() not in ENDINGS:
        raise UserError(f"{file} has another ending than a round file has: {', '.join(ENDINGS)}")
    try:
        with file.open("rb") as opened:
            data = opened.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise UserError(f"the round file {file} cannot be read: {error.strerror}") from None
    return parse(data, file.name)


def parse(data: bytes, name: str) -> dict[str, Any]:
    """What these bytes of a round file say; ``name`` is that of the file, and its ending tells the language."""
    if len(data) > MAX_FILE_BYTES:
        raise UserError(f"{name} has more than {MAX_FILE_BYTES} bytes; it cannot be a round file")
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise UserError(f"{name} is not UTF-8 text") from None
    return _toml(text, name) if name.lower().endswith(".toml") else _yaml(text, name)


def _toml(text: str, name: str) -> dict[str, Any]:
    for number, line in enumerate(text.split("\n"), 1):
        if len(line) > MAX_LINE:
            raise UserError(f"{name}, line {number}: {len(line)} characters; put a recipe as long into a file")
    try:
        found = tomllib.loads(text)
        if _depth(found) <= MAX_DEPTH:
            return found
    except RecursionError:
        pass
    except ValueError as error:  # also of a number of thousands of digits
        raise UserError(f"{name} is not TOML: {str(error)[:MAX_REASON]}") from None
    raise UserError(f"{name} is nested too deeply for a round file")


def _depth(value: object) -> int:
    """Levels of tables and lists, counted without going down them."""
    depth, level = 0, [value]
    while level and depth <= MAX_DEPTH:
        depth += 1
        level = [inner for one in level for inner in _inner(one)]
    return depth


def _inner(value: object) -> list[object]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _yaml(text: str, name: str) -> dict[str, Any]:
    from umm.recipe.tree import compose

    try:
        documents = compose(text, name)
    except RecipeError as error:
        raise UserError(str(error)) from None
    if len(documents) != 1:
        raise UserError(f"{name} holds {len(documents)} documents; a round file is one")
    found = _plain(documents[0])
    if not isinstance(found, dict):
        raise UserError(f"{name} is not a mapping; a round file has lines such as `title: My round`")
    return found


def _plain(node: Any) -> Any:
    if isinstance(node.value, Mapping):
        return {key: _plain(pair.node) for key, pair in node.value.items()}
    if isinstance(node.value, tuple):
        return [_plain(item) for item in node.value]
    return node.value
