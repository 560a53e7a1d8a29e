"""The recipes in a source checkout of mergekit: example files, and YAML blocks in its README and docs.

A block with a merge method is a recipe. A block that only sets the tokenizer or chat template is a
fragment: it is completed to a linear merge of the models it names and one more. Other blocks (mixtures of
experts, evolution, blocks with ``...`` in them) are no recipes of this language.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

BLOCK = re.compile(r"^```ya?ml\n(.*?)^```", re.MULTILINE | re.DOTALL)
FRAGMENTS = {"tokenizer", "tokenizer_source", "chat_template"}
PLACES = ("model", "base_model", "source", "tokenizer_source")  # keys whose value is a model
ELLIPSIS = re.compile(r"(^|\s)\.\.\.(\s|$)")
EXTRA = "another-model"  # takes part in every completed fragment, as its base


@dataclass(frozen=True)
class Found:
    """A recipe as it is written, and the models that it names."""

    where: str
    text: str
    documents: tuple[Mapping[str, Any], ...]
    completed: bool = False

    @property
    def models(self) -> list[str]:
        """Every model, in order of first mention; results of earlier documents are not models."""
        own = {d["name"] for d in self.documents if "name" in d}
        named = [name for d in self.documents for name in _named(d) if name not in own]
        return list(dict.fromkeys(named))

    @property
    def layers(self) -> int:
        """How many layers the models need."""
        ends = [
            source["layer_range"][1]
            for d in self.documents
            for part in d.get("slices", ())
            for source in part["sources"]
        ]
        return max(ends, default=4)

    @property
    def tokens(self) -> dict[str, Mapping[str, Any]]:
        """Tokens that the tokenizer rules speak of."""
        rules = [(d.get("tokenizer") or {}).get("tokens") or {} for d in self.documents]
        return {token: rule for each in rules for token, rule in each.items()}

    @property
    def tokenizers_differ(self) -> bool:
        """The recipe says how to bring different tokenizers together."""
        return any({"tokenizer", "tokenizer_source"} & d.keys() for d in self.documents)


def search(source: Path) -> list[Found]:
    """All recipes of a checkout."""
    found = [
        r for f in sorted((source / "examples").glob("*.y*ml")) for r in _read(f"examples/{f.name}", f.read_text())
    ]
    for page in (source / "README.md", *sorted((source / "docs").glob("*.md"))):
        for number, block in enumerate(BLOCK.findall(page.read_text()), 1):
            found += _read(f"{page.name}, block {number}", block)
    return found


def _read(where: str, text: str) -> Iterator[Found]:
    if ELLIPSIS.search(text):
        return
    documents = tuple(d for d in yaml.safe_load_all(text) if isinstance(d, dict))
    if documents and all("merge_method" in d for d in documents):
        yield Found(where, text, documents)
    elif len(documents) == 1 and documents[0] and documents[0].keys() <= FRAGMENTS:
        models = list(dict.fromkeys([EXTRA, *_named(documents[0]), "one-more-model"]))
        rest = {
            "models": [{"model": m, "parameters": {"weight": 1.0}} for m in models],
            "merge_method": "linear",
            "base_model": EXTRA,
            "dtype": "bfloat16",
        }
        completed = f"{text}{yaml.safe_dump(rest, sort_keys=False)}"
        yield Found(where, completed, (documents[0] | rest,), completed=True)


def _named(value: Any, key: str = "") -> Iterator[str]:
    """Strings in the places where the language has models."""
    if isinstance(value, Mapping):
        for inner, content in value.items():
            yield from _named(content, inner)
    elif isinstance(value, list):
        for content in value:
            yield from _named(content, key)
    elif isinstance(value, str) and key in PLACES and value not in ("union", "base"):
        yield value
