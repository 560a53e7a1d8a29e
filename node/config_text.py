"""A file of settings to begin with: every setting with what it means and its default, all commented out.

What a setting means stands once, in ``node.config`` under its field; it is read from there.
"""

import ast
import inspect
import json
from collections.abc import Iterator, Sequence
from typing import Any

from node import config

HEAD = """\
# The settings of this node. Those that begin with # are the defaults; take the # away to change one.
# A variable wins over this file, UMM_NETWORK_BOOTSTRAP for example, and a flag over both.
# What holds now, and why: umm config show --origin
"""

SIZES = ((10**12, "TB"), (10**9, "GB"), (10**6, "MB"))


def text(bootstrap: Sequence[str] = ()) -> str:
    """The file, with these bootstrap addresses written in."""
    parts = [HEAD]
    for table, known in config.TABLES.items():
        notes = dict(_notes(table.capitalize()))
        parts.append(f"\n[{table}]\n{_comment(notes.get('', ''))}")
        for name, field in known.items():
            given = table == "network" and name == "bootstrap" and bootstrap
            line = f"{name} = {toml(tuple(bootstrap))}" if given else f"# {name} = {toml(field.default)}"
            parts.append(f"\n{_comment(notes.get(name, ''))}{line}\n")
    return "".join(parts)


def _notes(class_name: str) -> Iterator[tuple[str, str]]:
    """The docstring of a class of settings under no name, and the text below each of its fields."""
    for node in ast.walk(ast.parse(inspect.getsource(config))):
        if not isinstance(node, ast.ClassDef) or node.name != class_name:
            continue
        yield "", ast.get_docstring(node) or ""
        for field, note in zip(node.body, node.body[1:], strict=False):
            match field, note:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(said))):
                    yield name, inspect.cleandoc(said)


def _comment(note: str) -> str:
    return "".join(f"# {line}\n" for line in note.splitlines())


def toml(value: Any) -> str:
    """A value in TOML: JSON spells texts, lists of them and booleans the same way."""
    if isinstance(value, int) and not isinstance(value, bool):
        return next((f'"{value // unit}{name}"' for unit, name in SIZES if value and value % unit == 0), str(value))
    return json.dumps(value, ensure_ascii=False)
