r"""Regular expressions of strangers, matched with the names of modules in time linear in the name.

Python's matcher goes back and tries again, which for some expressions takes time exponential in their length.
Here an expression is a Glushkov automaton, whose states are the characters and classes written in it (its
positions): all positions that a match can have reached move on together, so none is tried twice.

1. A name matches when the expression matches all of it, or all that follows one of its dots, as in peft.
2. Names are read from their end, where those of one layer differ, so that most are given up early.
3. Python's matcher still decides about single characters (``\d``, ``[a-z]``): they mean what they mean to
   peft.
4. What such an automaton cannot do is refused: look-around, back-references, counted repetition, flags, and
   anchors inside of an expression.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import reduce
from operator import or_
from typing import NamedTuple

from umm.checkpoint.strict import shown
from umm.errors import CheckpointError

MAX_GROUP_DEPTH = 16
"""Levels of groups in one expression."""

LITERAL = r"\\[^A-Za-z0-9]|[^\\^$.|?*+()\[\]{}]"
"""What stands for one character: itself, or after a backslash if it means something else alone."""

_CLASS = r"\[\^?(?:[A-Za-z0-9]-[A-Za-z0-9]|[A-Za-z0-9_.]|\\[dDwW.\-])+-?\]|\\[dDwW]|\."
_TOKEN = re.compile(
    rf"(?P<atom>{LITERAL}|{_CLASS})|(?P<repeat>[*+?])\??|(?P<open>\((?:\?:)?)|(?P<close>\))"
    r"|(?P<either>\|)|(?P<start>\^)|(?P<end>\$)"
)


class Part(NamedTuple):
    """The positions (one bit each) that a part of an expression begins and ends with; whether it may be
    nothing.
    """

    first: int = 0
    last: int = 0
    empty: bool = True


@dataclass(frozen=True)
class Expression:
    """An expression that can be matched backwards.

    ``last`` holds the positions that can end a name, ``before[p]`` those that can precede position p, ``first``
    those that can begin a name and ``inner`` those that can also follow a dot in it.
    """

    first: int
    inner: int
    last: int
    empty: bool
    before: tuple[int, ...]
    atoms: Mapping[re.Pattern[str], int]
    _fitting: dict[str, int] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def parse(cls, text: str, where: str) -> "Expression":
        """The expression ``text``; ``where`` begins the error if it is not understood."""
        parser = _Parser(text, where)
        branches = parser.branches()
        inner = [part for anchored, part in branches if not anchored]
        return cls(
            first=_union(part.first for _, part in branches),
            inner=_union(part.first for part in inner),
            last=_union(part.last for _, part in branches),
            empty=any(part.empty for part in inner),
            before=tuple(parser.before),
            atoms=parser.atoms,
        )

    def matches(self, name: str) -> bool:
        """Whether the expression matches all of ``name``, or all that follows one of the dots in it."""
        if self.empty and name.endswith("."):
            return True
        state = self.last
        for i in range(len(name) - 1, -1, -1):
            reached = state & self._positions_for(name[i])
            if reached & (self.first if i == 0 else self.inner if name[i - 1] == "." else 0):
                return True
            state = _union(self.before[p] for p in _bits(reached))
            if not state:
                break
        return False

    def _positions_for(self, character: str) -> int:
        found = self._fitting.get(character)
        if found is None:
            found = _union(positions for atom, positions in self.atoms.items() if atom.fullmatch(character))
            self._fitting[character] = found
        return found


class _Parser:
    """Reads an expression once, from left to right, and numbers its positions."""

    def __init__(self, text: str, where: str) -> None:
        self.before: list[int] = []
        self.atoms: dict[re.Pattern[str], int] = {}
        self._text, self._where = text, where
        self._at = 0

    def branches(self) -> list[tuple[bool, Part]]:
        """The alternatives of the whole expression; True with those that match from a name's beginning only."""
        found: list[tuple[bool, Part]] = []
        while not found or self._take("either"):
            anchored = self._take("start") is not None
            found.append((anchored, self._sequence(0)))
            self._take("end")
        if self._at < len(self._text):
            raise self._refusal()
        return found

    def _sequence(self, depth: int) -> Part:
        whole = Part()
        while (part := self._piece(depth)) is not None:
            self._join(whole.last, part.first)
            whole = Part(
                whole.first | (part.first if whole.empty else 0),
                part.last | (whole.last if part.empty else 0),
                whole.empty and part.empty,
            )
        return whole

    def _piece(self, depth: int) -> Part | None:
        """A character, a class or a group, and how often it may stand; None where the sequence ends."""
        if atom := self._take("atom"):
            part = self._position(atom)
        elif self._take("open"):
            part = self._group(depth + 1)
        else:
            return None
        repeat = self._take("repeat")
        if repeat in ("*", "+"):
            self._join(part.last, part.first)
        return part._replace(empty=True) if repeat in ("*", "?") else part

    def _group(self, depth: int) -> Part:
        if depth > MAX_GROUP_DEPTH:
            raise self._refusal()
        parts = [self._sequence(depth)]
        while self._take("either"):
            parts.append(self._sequence(depth))
        if not self._take("close"):
            raise self._refusal()
        first, last, empty = zip(*parts, strict=True)
        return Part(_union(first), _union(last), any(empty))

    def _position(self, atom: str) -> Part:
        try:
            pattern = re.compile(atom)
        except re.error as error:
            raise self._refusal() from error
        bit = 1 << len(self.before)
        self.before.append(0)
        self.atoms[pattern] = self.atoms.get(pattern, 0) | bit
        return Part(bit, bit, False)

    def _join(self, left: int, right: int) -> None:
        for position in _bits(right):
            self.before[position] |= left

    def _take(self, kind: str) -> str | None:
        token = _TOKEN.match(self._text, self._at)
        if token is None or token.lastgroup != kind:
            return None
        self._at = token.end()
        return token[kind]

    def _refusal(self) -> CheckpointError:
        return CheckpointError(
            f"{self._where} has the pattern {shown(self._text)}, which is not understood at character "
            f"{self._at + 1}. Characters, classes, groups, `|`, `*`, `+` and `?` are; write the names of the "
            "modules instead."
        )


def _union(sets: Iterable[int]) -> int:
    return reduce(or_, sets, 0)


def _bits(positions: int) -> Iterator[int]:
    while positions:
        lowest = positions & -positions
        yield lowest.bit_length() - 1
        positions ^= lowest
