"""What to call models in public: no folder of the machine that merged, and never one name for two models.

A model is called by its name on the hub or by the last part of its path. Where two would be called the same, the later
one gets a number (``chat-2``), in the recipe's text and in its digest alike, so that what a card shows can be run.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import PurePath

from yaml import ScalarNode
from yaml.resolver import Resolver

from umm.recipe.model import ModelRef, Recipe, Slice, TokenizerRule
from umm.recipe.tree import Node, compose

Names = Mapping[str, str]
"""The public name of every folder that a recipe names."""

HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)
"""``organisation/name``, as the hub has it."""

HUB_CACHE = "models--"
"""The hub's cache calls the folder of ``org/name`` ``models--org--name``."""

SOURCES = ("source", "tokenizer_source")
"""Keys where a model may stand, or one of the words ``base`` and ``union``."""

WORDS = ("base", "union")
REFERENCES = frozenset({"model", "base_model", "lora", *SOURCES})
"""Keys of a recipe whose text is a model; in the long form of a model, ``path`` is one too."""

PLAIN = re.compile(r"\w[\w./@+-]*", re.ASCII)
"""Text that YAML takes without quotes anywhere, if it does not read it as a number or the like."""

PROPERTIES = re.compile(r"(?:[&!]\S*\s+)*")
"""The anchor and tag before a YAML scalar."""


def public_name(path: str) -> str:
    """What to call a model in public: its name on the hub, or the last part of its path."""
    parts = PurePath(path.replace("\\", "/")).parts
    if cached := next((p for p in parts if p.startswith(HUB_CACHE)), None):
        return cached.removeprefix(HUB_CACHE).replace("--", "/")
    if HUB_NAME.fullmatch(path):
        return path
    return next((p for p in reversed(parts) if p not in ("/", ".", "..", "~")), "model")


def public_names(text: str, recipe: Recipe) -> Names:
    """A name of its own for every folder in a recipe and in the text that it was read from.

    What is public as it stands keeps its name, results of other documents among them.
    """
    documents = compose(text, "recipe")
    paths = [path for ref in _references(recipe) for path in folders(ref)]
    paths += [path for mention in _mentions(documents) for path in mention.paths]
    found = {path: path for path in paths if public_name(path) == path}
    taken = {*found, *(name for d in documents if (name := _document_name(d)))}
    for path in dict.fromkeys(paths):
        if path not in found:
            found[path] = _free(public_name(path), taken)
            taken.add(found[path])
    return found


def public_text(text: str, names: Names) -> str:
    """The recipe's text with every model called by its public name, and otherwise as its author wrote it."""
    spans = {m.node.span: m for m in _mentions(compose(text, "recipe")) if m.named(names) != m.node.value}
    for (start, end), mention in sorted(spans.items(), reverse=True):
        properties = PROPERTIES.match(text, start, end)
        at = properties.end() if properties else start
        after = "\n" if text[at:end].endswith("\n") else ""  # a block scalar ends with its line
        text = text[:at] + _scalar(mention.named(names), mention.key, text[at]) + after + text[end:]
    return text


def public_recipe(recipe: Recipe, names: Names) -> Recipe:
    """The recipe with every model called by its public name: what others can check."""

    def public(ref: ModelRef) -> ModelRef:
        adapter, mark, revision = (ref.adapter or "").partition("@")
        return ModelRef(names[ref.path], ref.revision, f"{names[adapter]}{mark}{revision}" if adapter else None)

    def piece(part: Slice) -> Slice:
        inputs = tuple(replace(i, model=public(i.model)) for i in part.inputs)
        return replace(part, inputs=inputs, base=part.base and public(part.base))

    def tokenizer(rule: TokenizerRule) -> TokenizerRule:
        source = public(rule.source) if isinstance(rule.source, ModelRef) else rule.source
        tokens = {text: replace(t, model=t.model and public(t.model)) for text, t in rule.tokens.items()}
        return replace(rule, source=source, tokens=tokens)

    return replace(
        recipe,
        base=recipe.base and public(recipe.base),
        inputs=tuple(replace(i, model=public(i.model)) for i in recipe.inputs),
        slices=tuple(piece(s) for s in recipe.slices),
        tokenizer=recipe.tokenizer and tokenizer(recipe.tokenizer),
    )


def folders(ref: ModelRef) -> list[str]:
    """The folders of a model: its own and its adapter's."""
    return [ref.path, *([ref.adapter.partition("@")[0]] if ref.adapter else [])]


def _references(recipe: Recipe) -> list[ModelRef]:
    rule = recipe.tokenizer
    found = list(recipe.models())
    if rule:
        found += [rule.source] if isinstance(rule.source, ModelRef) else []
        found += [t.model for t in rule.tokens.values() if t.model]
    return found


def _document_name(document: Node) -> str | None:
    pair = document.value.get("name") if isinstance(document.value, Mapping) else None
    return pair.node.value if pair and isinstance(pair.node.value, str) else None


def _free(name: str, taken: set[str]) -> str:
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name}-{number}"
    return free


# -- models in the text ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Mention:
    """A place in a recipe's text that names a model: ``parts`` are folders, revisions and the marks between them."""

    node: Node
    key: str
    parts: tuple[str, ...]

    @property
    def paths(self) -> list[str]:
        """The folders named here."""
        return [part for k, part in enumerate(self.parts) if self._is_folder(k)]

    def named(self, names: Names) -> str:
        """The same with public names."""
        return "".join(names[part] if self._is_folder(k) else part for k, part in enumerate(self.parts))

    def _is_folder(self, k: int) -> bool:
        return k == 0 or self.parts[k - 1] == "+"


def _mentions(documents: tuple[Node, ...]) -> Iterator[_Mention]:
    for document in documents:
        yield from _below(document, long_form=False)


def _below(node: Node, *, long_form: bool) -> Iterator[_Mention]:
    """The mentions in a value; ``long_form`` if it is a model written as a mapping, whose parts are taken literally."""
    if isinstance(node.value, tuple):
        for item in node.value:
            yield from _below(item, long_form=False)
    if not isinstance(node.value, Mapping):
        return
    for key, pair in node.value.items():
        value = pair.node.value
        is_model = key in REFERENCES
        if not isinstance(value, str):
            is_long = is_model and isinstance(value, Mapping) and "kind" not in value
            yield from _below(pair.node, long_form=is_long)
        elif key == "path":
            yield _Mention(pair.node, key, (value,))
        elif is_model and not (key in SOURCES and value in WORDS):
            marks = "([@])" if long_form and key not in SOURCES else "([@+])"
            yield _Mention(pair.node, key, tuple(re.split(marks, value)))


def _scalar(value: str, key: str, mark: str) -> str:
    """A name as YAML, in the quotes that the path had, whose first character was ``mark``."""
    if mark == "'":
        spelled = "'" + value.replace("'", "''") + "'"
    elif mark == '"' or not _is_plain(value):
        spelled = json.dumps(value, ensure_ascii=False)
    else:
        spelled = value
    return f"{{model: {spelled}}}" if key in SOURCES and value in WORDS else spelled


def _is_plain(value: str) -> bool:
    tag = Resolver().resolve(ScalarNode, value, (True, False))  # type: ignore[no-untyped-call]
    return PLAIN.fullmatch(value) is not None and tag == "tag:yaml.org,2002:str"
