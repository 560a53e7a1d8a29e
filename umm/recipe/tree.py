"""YAML text as a tree of plain data in which every value knows its line.

Rules:

1. Plain data only: text, numbers, true/false, null, lists, mappings with text keys. Any other tag is refused.
2. A mapping names each key once. ``<<`` merges work as in YAML 1.1, and a key written out beats a merged one.
3. Aliases are allowed, cycles are not, and the limits below hold after all aliases are written out.
4. One parser everywhere (PyYAML's own, never libyaml), so a recipe means the same on every machine.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import yaml
from yaml.constructor import SafeConstructor
from yaml.resolver import Resolver

from umm.errors import RecipeError
from umm.recipe.wording import shown

MAX_BYTES = 1 << 20  # of one recipe file, in UTF-8
MAX_NODES = 50_000  # values and keys of one document, aliases written out
MAX_DEPTH = 32  # lists and mappings inside one another
MAX_DOCUMENTS = 64  # in one file
MAX_DIGITS = 400  # of one number; also keeps int() clear of Python's own limit

Leaf = str | int | float | bool | None

_TAG = "tag:yaml.org,2002:"
_AS_TEXT = {"!", f"{_TAG}str", f"{_TAG}timestamp", f"{_TAG}merge", f"{_TAG}value"}


@dataclass(frozen=True)
class Node:
    """One value and the line it starts on.

    With aliases written out, ``size`` counts the nodes below and itself, ``height`` the levels of lists and
    mappings. ``plain`` marks text without quotes, which a reader that wants a number may take for one; ``span``
    says where in the file text stands, its anchor and tag included.
    """

    value: "Leaf | tuple[Node, ...] | Mapping[str, Pair]"
    line: int
    size: int = 1
    height: int = 0
    plain: bool = False
    span: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class Pair:
    """The value of a key, and the key's line."""

    line: int
    node: Node


def compose(text: str, file: str) -> tuple[Node, ...]:
    """The documents of a YAML text, empty ones left out. ``file`` names it in errors."""
    composer = _Composer(file)
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        raise composer.error(text.count("\n", 0, error.start) + 1, "the text is not valid Unicode") from None
    if size > MAX_BYTES:
        raise composer.error(1, f"the file has {size} bytes; a recipe may have {MAX_BYTES}")
    try:
        documents = tuple(composer.documents(yaml.parse(text, Loader=yaml.SafeLoader)))
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise composer.error(line, f"character U+{ord(text[error.position]):04X} may not appear in YAML") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = " ".join(str(error.problem or error.context).split())
        raise composer.error(mark.line + 1 if mark else 1, f"not valid YAML: {problem}") from None
    return tuple(d for d in documents if d.value is not None)


@dataclass
class _Composer:
    """Turns PyYAML's parse events into nodes, checking each limit as soon as it is passed."""

    file: str
    anchors: dict[str, Node | None] = field(default_factory=dict)
    resolver: Resolver = field(default_factory=Resolver)
    constructor: SafeConstructor = field(default_factory=SafeConstructor)

    def error(self, line: int, problem: str) -> RecipeError:
        return RecipeError(f"{self.file}, line {line}: {problem}")

    def documents(self, events: Iterator[yaml.Event]) -> Iterator[Node]:
        count = 0
        for event in events:
            if not isinstance(event, yaml.DocumentStartEvent):
                continue
            count += 1
            if count > MAX_DOCUMENTS:
                raise self.error(_line(event), f"more than {MAX_DOCUMENTS} documents in one file")
            self.anchors = {}
            yield self._node(next(events), events, MAX_DEPTH)

    def _node(self, event: yaml.Event, events: Iterator[yaml.Event], depth: int) -> Node:
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, depth)
        anchor = getattr(event, "anchor", None)
        if anchor is not None:
            self.anchors[anchor] = None  # not complete yet: an alias to it now would be a cycle
        if isinstance(event, yaml.ScalarEvent):
            node = self._scalar(event)
        else:
            if depth == 0:
                raise self._too_deep(event)
            is_list = isinstance(event, yaml.SequenceStartEvent)
            self._require_tag(event, "seq" if is_list else "map")
            compose = self._sequence if is_list else self._mapping
            node = compose(_line(event), events, depth - 1)
        if anchor is not None:
            self.anchors[anchor] = node
        return node

    def _too_deep(self, event: yaml.Event) -> RecipeError:
        return self.error(_line(event), f"nested deeper than {MAX_DEPTH} levels (aliases written out)")

    def _alias(self, event: yaml.AliasEvent, depth: int) -> Node:
        if event.anchor not in self.anchors:
            raise self.error(_line(event), f"alias *{shown(event.anchor)} has no anchor before it")
        node = self.anchors[event.anchor]
        if node is None:
            raise self.error(_line(event), f"alias *{shown(event.anchor)} contains itself")
        if node.height > depth:
            raise self._too_deep(event)
        return node

    def _sequence(self, line: int, events: Iterator[yaml.Event], depth: int) -> Node:
        items: list[Node] = []
        size, height = 1, 1
        while not isinstance(event := next(events), yaml.SequenceEndEvent):
            items.append(self._node(event, events, depth))
            size = self._grown(size, items[-1], _line(event))
            height = max(height, items[-1].height + 1)
        return Node(tuple(items), line, size, height)

    def _mapping(self, line: int, events: Iterator[yaml.Event], depth: int) -> Node:
        pairs: dict[str, Pair] = {}
        merged: dict[str, Pair] = {}
        size, height = 1, 1
        while not isinstance(event := next(events), yaml.MappingEndEvent):
            key = self._node(event, events, depth)
            value = self._node(next(events), events, depth)
            size = self._grown(size + 1, value, key.line)
            height = max(height, value.height + 1)
            if key.value == "<<" and key.plain:
                for name, pair in self._merged(value).items():
                    merged.setdefault(name, pair)
                continue
            if not isinstance(key.value, str):
                raise self.error(_line(event), f"the key {shown(key.value)} is not text; write it in quotes")
            if key.value in pairs:
                first = pairs[key.value].line
                raise self.error(_line(event), f"{shown(key.value)}: the key is already set on line {first}")
            pairs[key.value] = Pair(_line(event), value)
        return Node(merged | pairs, line, size, height)

    def _merged(self, node: Node) -> Mapping[str, Pair]:
        """The pairs that ``<<: node`` brings in: one mapping, or a list of them of which the first wins."""
        pairs: dict[str, Pair] = {}
        for source in node.value if isinstance(node.value, tuple) else (node,):
            if not isinstance(source.value, Mapping):
                raise self.error(node.line, "<<: only mappings can be merged")
            pairs = dict(source.value) | pairs
        return pairs

    def _grown(self, size: int, child: Node, line: int) -> int:
        size += child.size
        if size > MAX_NODES:
            raise self.error(line, f"more than {MAX_NODES} values in one document (aliases written out)")
        return size

    def _scalar(self, event: yaml.ScalarEvent) -> Node:
        text, line = event.value, _line(event)
        tag = event.tag or self._implied_tag(event)
        if any("\ud800" <= c <= "\udfff" for c in text):
            raise self.error(line, "the text holds half a surrogate pair, which is no character")
        if tag in _AS_TEXT:
            return Node(text, line, plain=event.style is None and event.tag is None, span=_span(event))
        if tag == f"{_TAG}null":
            return Node(None, line)
        return Node(self._literal(tag, text, line), line)

    def _implied_tag(self, event: yaml.ScalarEvent) -> str:
        tag = self.resolver.resolve(yaml.ScalarNode, event.value, event.implicit)  # type: ignore[no-untyped-call]
        return str(tag)

    def _literal(self, tag: str, text: str, line: int) -> int | float | bool:
        read = {
            f"{_TAG}bool": self.constructor.construct_yaml_bool,
            f"{_TAG}int": self.constructor.construct_yaml_int,
            f"{_TAG}float": self.constructor.construct_yaml_float,
        }.get(tag)
        if read is None:
            raise self.error(line, f"the tag {shown(tag)} is not plain data")
        if len(text) > MAX_DIGITS:
            raise self.error(line, f"a number of more than {MAX_DIGITS} digits")
        try:
            value: int | float | bool = read(yaml.ScalarNode(tag, text))
        except (ValueError, KeyError, IndexError, OverflowError):
            raise self.error(line, f"{shown(text)} is not a {tag.removeprefix(_TAG)}") from None
        if isinstance(value, float) and not math.isfinite(value):
            raise self.error(line, f"{shown(text)} is not a finite number")
        return value

    def _require_tag(self, event: yaml.Event, kind: str) -> None:
        tag = getattr(event, "tag", None)
        if tag not in (None, "!", _TAG + kind):
            raise self.error(_line(event), f"the tag {shown(tag)} is not plain data")


def _span(event: yaml.Event) -> tuple[int, int]:
    """The characters that an event comes from."""
    return (event.start_mark.index, event.end_mark.index) if event.start_mark and event.end_mark else (0, 0)


def _line(event: yaml.Event) -> int:
    """The 1-based line an event starts on."""
    return event.start_mark.line + 1 if event.start_mark else 1
