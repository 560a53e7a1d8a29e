"""A place in a recipe file: a value, the path of keys that leads to it, and its line.

Every reader takes a place and asks it for what it expects; what does not fit is an error that names line and
path.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import NoReturn

from umm.errors import RecipeError
from umm.methods import METHODS
from umm.recipe.tree import Leaf, Node
from umm.recipe.wording import listed, nearest, shown

# Numbers that PyYAML takes for text, because YAML 1.1 wants a dot and a signed exponent: 1e-5.
BARE_NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)[eE][-+]?\d+")


class Shape(Enum):
    """Each kind of mapping in the language: what errors call it, and its keys."""

    RECIPE = (
        "a recipe",
        "name merge_method models slices modules base_model parameters dtype out_dtype tokenizer "
        "tokenizer_source chat_template seed",
    )
    MODULE = ("a module", "models slices parameters")
    MODEL = ("an entry of models", "model parameters id")
    SLICE = ("a slice", "sources base_model parameters residual_weight")
    SOURCE = ("a slice's source", "model layer_range parameters id")
    REFERENCE = ("a model reference", "model lora override_architecture")
    FOLDER = ("a model path", "path revision")
    TOKENIZER = ("tokenizer", "source tokens pad_to_multiple_of")
    TOKEN = ("a token rule", "source force")
    ZERO = ("a token source of kind zero", "kind")
    MODEL_TOKEN = ("a token source of kind model_token", "kind model token token_id")
    CONDITION = ("a condition", "value filter")
    TABLE = ("a per-layer table", "layers other")

    def __init__(self, title: str, keys: str) -> None:
        self.title = title
        self.keys = tuple(keys.split())


@dataclass
class Sheet:
    """The document that places belong to: its file's name and the warnings met so far."""

    file: str
    notes: list[tuple[int, str]] = field(default_factory=list)

    def warnings(self) -> tuple[str, ...]:
        """The warnings as sentences, by line, each once."""
        return tuple(dict.fromkeys(f"line {line}: {text}" for line, text in sorted(self.notes)))


@dataclass(frozen=True)
class Place:
    """Where a reader stands."""

    node: Node
    sheet: Sheet
    line: int
    path: str = ""

    @property
    def value(self) -> Leaf | tuple[Node, ...] | Mapping[str, object]:
        """What is written here."""
        return self.node.value

    def fail(self, problem: str) -> NoReturn:
        """Refuse what is written here."""
        where = f"{self.path}: " if self.path else ""
        raise RecipeError(f"{self.sheet.file}, line {self.line}: {where}{problem}")

    def warn(self, text: str) -> None:
        """Accept what is written here, but tell the author something about it."""
        self.sheet.notes.append((self.line, text))

    def entries(self) -> dict[str, "Place"]:
        """The keys of a mapping, whatever they are."""
        if not isinstance(self.node.value, Mapping):
            self.fail(f"expected a mapping, found {shown(self.value)}")
        return {
            key: Place(pair.node, self.sheet, pair.line, _joined(self.path, key))
            for key, pair in self.node.value.items()
        }

    def keys(self, shape: Shape) -> dict[str, "Place"]:
        """The keys of a mapping of that shape; a key set to null counts as absent."""
        if not isinstance(self.node.value, Mapping):
            self.fail(f"expected {shape.title} with {listed(shape.keys)}, found {shown(self.value)}")
        entries = self.entries()
        for key, place in entries.items():
            if key not in shape.keys:
                place.fail(_unknown(key, shape))
        return {key: place for key, place in entries.items() if place.value is not None}

    def items(self) -> "Iterator[Place]":
        """The items of a list, of which there must be one."""
        if not isinstance(self.node.value, tuple):
            self.fail(f"expected a list, found {shown(self.value)}")
        if not self.node.value:
            self.fail("the list is empty")
        for index, node in enumerate(self.node.value):
            yield Place(node, self.sheet, node.line, f"{self.path}[{index}]")

    def text(self) -> str:
        """Text that is not empty."""
        value = self.node.value
        if isinstance(value, bool | int | float):
            self.fail(f"expected text, found {shown(value)}; write it in quotes")
        if not isinstance(value, str):
            self.fail(f"expected text, found {shown(value)}")
        if not value:
            self.fail("the text is empty")
        return value

    def word(self) -> str:
        """Text on one line without control characters: a name or a path."""
        value = self.text()
        if not value.isprintable():
            self.fail(f"{shown(value)} holds characters that cannot be printed")
        return value

    def whole(self, low: int, high: int) -> int:
        """A whole number in a closed range."""
        value = self.node.value
        if isinstance(value, bool) or not isinstance(value, int):
            self.fail(f"expected a whole number, found {shown(value)}")
        if not low <= value <= high:
            self.fail(f"{shown(value)} is outside {low} … {high}")
        return value

    def flag(self) -> bool:
        """True or false; the numbers 1 and 0 will do."""
        value = self.node.value
        if not isinstance(value, bool | int | float) or value not in (0, 1):
            self.fail(f"expected true or false, found {shown(value)}")
        return bool(value)

    def number(self) -> float:
        """A finite number; whole numbers stay whole."""
        value = self.node.value
        if isinstance(value, str) and self.node.plain and BARE_NUMBER.fullmatch(value):
            value = float(value)
        if isinstance(value, str) and BARE_NUMBER.fullmatch(value + "e0"):
            self.fail(f"expected a number, found the text {value!r}; remove the quotes")
        if isinstance(value, bool) or not isinstance(value, int | float):
            self.fail(f"expected a number, found {shown(value)}")
        if abs(value) > MOST:
            self.fail(f"{shown(value)} is too large for a number")
        return value or 0  # no negative zero: equal recipes have equal bytes


MOST = 1e300  # magnitude of a number; keeps float() and interpolation finite


def _joined(path: str, key: str) -> str:
    return f"{path}.{shown(key)}" if path else shown(key)


def _unknown(key: str, shape: Shape) -> str:
    """Why ``key`` is wrong in a mapping of that shape, and what would be right."""
    valid = f" Valid: {', '.join(shape.keys)}"
    problem = f"unknown key in {shape.title}"
    if close := nearest(key, shape.keys):
        return f"{problem}; did you mean {close}?{valid}"
    homes = [other.title for other in Shape if key in other.keys]
    if homes:
        return f"{problem}; it is a key of {listed(homes)}.{valid}"
    if any(m.parameter(key) for m in METHODS.values()) and "parameters" in shape.keys:
        return f"{problem}; it is a parameter of merge methods: put it under parameters here.{valid}"
    return f"{problem}.{valid}"
