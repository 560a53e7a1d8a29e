"""YAML as plain data, and plain data as YAML that reads back the same."""

import sys
from collections.abc import Mapping
from typing import Any

import yaml

from umm.recipe.tree import Node


def plain(node: Node) -> Any:
    """What was written, with aliases written out."""
    if isinstance(node.value, tuple):
        return [plain(item) for item in node.value]
    if isinstance(node.value, Mapping):
        return {key: plain(pair.node) for key, pair in node.value.items()}
    return node.value


def block(document: Mapping[str, Any]) -> str:
    """For people to read: one key a line."""
    return yaml.dump(dict(document), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=sys.maxsize)


def line(document: Mapping[str, Any]) -> str:
    """All of it on one line of ASCII."""
    made = yaml.dump(dict(document), Dumper=_Dumper, sort_keys=False, default_flow_style=True, width=sys.maxsize)
    return made.strip()


class _Dumper(yaml.SafeDumper):
    """Writes equal values out each time: nobody has to look for an anchor."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - PyYAML's interface
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    """Text of several lines in quotes, where a line break is an escape and none is lost."""
    style = '"' if any(not c.isprintable() for c in value) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)
