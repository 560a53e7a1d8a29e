r"""Numbers for modules picked by patterns: peft's ``rank_pattern`` and ``alpha_pattern``.

A module takes the number of the first pattern that matches its whole name, or all that follows one of the
dots in it.

1. A plain name (characters, ``\.``, and ``.``, which stands for any character) is looked up together with all
   plain names of its shape: an adapter with a rank for each module has thousands of them.
2. Any other pattern is an `umm.checkpoint.expression`.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from umm.checkpoint.expression import LITERAL, Expression
from umm.errors import CheckpointError

MAX_PATTERNS = 20_000
"""The most patterns in a table: one for each module of a very large model."""

MAX_PATTERN_CHARACTERS = 512
"""The longest pattern."""

MAX_SHAPES = 1024
"""The most shapes of plain names in a table: look-ups made for one module."""

MAX_POSITIONS = 8192
"""The most characters and classes in a table's expressions: steps made for one character of a module's name."""

_PLAIN = re.compile(rf"(?P<anchor>\^?)(?P<name>(?:\.|{LITERAL})+)\$?")


class Shape(NamedTuple):
    """What plain names that one look-up finds have in common; any character may stand at ``gaps``."""

    length: int
    gaps: tuple[int, ...]
    anchored: bool


class Numbered(NamedTuple):
    """The number of a pattern after its place in the table, so that the first pattern is the least."""

    place: int
    number: Any


@dataclass(frozen=True)
class ModulePatterns:
    """A table of patterns and their numbers: plain names by length and shape, and expressions in order."""

    numbers: Mapping[str, Any] = field(default_factory=dict)
    _names: Mapping[int, Mapping[Shape, Mapping[str, Numbered]]] = field(default_factory=dict, repr=False)
    _expressions: tuple[tuple[Numbered, Expression], ...] = field(default=(), repr=False)

    @classmethod
    def parse(cls, numbers: Mapping[str, Any], where: str) -> "ModulePatterns":
        """The table ``numbers``; ``where`` begins the error if it is too large or a pattern is not understood."""
        if len(numbers) > MAX_PATTERNS:
            raise CheckpointError(f"{where} has {len(numbers)} patterns; the limit is {MAX_PATTERNS}.")
        names: dict[int, dict[Shape, dict[str, Numbered]]] = {}
        expressions: list[tuple[Numbered, Expression]] = []
        for place, (pattern, number) in enumerate(numbers.items()):
            if len(pattern) > MAX_PATTERN_CHARACTERS:
                raise CheckpointError(f"{where} has a pattern longer than {MAX_PATTERN_CHARACTERS} characters.")
            if plain := _PLAIN.fullmatch(pattern):
                name, shape = _name_and_shape(plain)
                alike = names.setdefault(shape.length, {}).setdefault(shape, {})
                alike.setdefault(name, Numbered(place, number))
            else:
                expressions.append((Numbered(place, number), Expression.parse(pattern, where)))
        if sum(map(len, names.values())) > MAX_SHAPES or sum(len(e.before) for _, e in expressions) > MAX_POSITIONS:
            raise CheckpointError(f"{where} has too many different patterns; write the names of the modules instead.")
        return cls(numbers, names, tuple(expressions))

    def number_of(self, module: str, default: Any) -> Any:
        """The number of the first pattern that matches ``module``, else of the one spelled so, else ``default``."""
        found = min(self._plain_matches(module), default=None)
        for numbered, expression in self._expressions:
            if found is not None and found.place < numbered.place:
                break
            if expression.matches(module):
                found = numbered
                break
        return self.numbers.get(module, default) if found is None else found.number

    def _plain_matches(self, module: str) -> Iterator[Numbered]:
        for start in (0, *(i + 1 for i, character in enumerate(module) if character == ".")):
            for shape, names in self._names.get(len(module) - start, {}).items():
                found = names.get(_masked(module[start:], shape.gaps))
                if found is not None and (start == 0 or not shape.anchored):
                    yield found


def _name_and_shape(plain: re.Match[str]) -> tuple[str, Shape]:
    """A plain name without its anchors and escapes, and its shape."""
    characters = re.findall(r"\\?.", plain["name"], re.DOTALL)
    gaps = tuple(i for i, character in enumerate(characters) if character == ".")
    return "".join(c[-1] for c in characters), Shape(len(characters), gaps, bool(plain["anchor"]))


def _masked(name: str, gaps: tuple[int, ...]) -> str:
    characters = list(name)
    for i in gaps:
        characters[i] = "."
    return "".join(characters)
