"""The forms that a field of a record can have: how its value is spelled in JSON, and what it may be.

A form reads one JSON value strictly and writes it back; ``path`` names the field in errors (``round.stewards[3]``).
Every value has one spelling: digests and keys in lower-case hexadecimal, decimals without a superfluous zero, lists
that mean a set in ascending order and without a repetition.
"""

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, TypeAlias

from protocol import location
from protocol.errors import MalformedError
from protocol.identity.public import POINT_BYTES
from protocol.strict import CONTROL_CHARACTER

DIGEST_BYTES = 32

MAX_DECIMAL_DIGITS = 18
"""Before the point, and again after it."""

MAX_COUNT = 2**53 - 1
"""The largest integer in a record: exact in every language's JSON."""

MAX_SHOWN = 40
"""Characters of somebody's value that an error repeats."""

_DECIMAL = re.compile(
    rf"-?(0|[1-9][0-9]{{0,{MAX_DECIMAL_DIGITS - 1}}})(\.[0-9]{{0,{MAX_DECIMAL_DIGITS - 1}}}[1-9])?", re.ASCII
)
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_HEX = re.compile(r"(?:[0-9a-f]{2})*")

_JSON_NAMES = {str: "text", int: "an integer", bool: "true or false", list: "a list", dict: "an object"}


class Form(ABC):
    """How one value is spelled and what it may be."""

    @abstractmethod
    def read(self, value: object, path: str) -> Any:
        """The value that this JSON spells."""

    def write(self, value: Any) -> Any:
        """The JSON of a value that was read or checked."""
        return value

    def check(self, value: Any, path: str) -> Any:
        """The value as it is kept, given by a caller and not by JSON."""
        return self.read(value, path)


@dataclass(frozen=True)
class Hex(Form):
    """``low`` to ``high`` bytes, in lower-case hexadecimal."""

    low: int
    high: int

    def read(self, value: object, path: str) -> bytes:
        """Bytes."""
        text = _typed(value, str, path)
        if not 2 * self.low <= len(text) <= 2 * self.high or not _HEX.fullmatch(text):
            wanted = str(2 * self.low) if self.low == self.high else f"{2 * self.low} to {2 * self.high}"
            raise MalformedError(f"{path} is {shown(text)}; it takes {wanted} lower-case hexadecimal digits")
        return bytes.fromhex(text)

    def write(self, value: bytes) -> str:
        """Hexadecimal digits."""
        return value.hex()

    def check(self, value: Any, path: str) -> bytes:
        """Bytes of an allowed length."""
        if not isinstance(value, bytes):
            raise MalformedError(f"{path} must be bytes, not {type(value).__name__}")
        return self.read(value.hex(), path)


@dataclass(frozen=True)
class PointForm(Hex):
    """A public key by its compressed point. Whether it lies on the curve shows when it is used."""

    low: int = POINT_BYTES
    high: int = POINT_BYTES

    def read(self, value: object, path: str) -> bytes:
        """33 bytes."""
        point = super().read(value, path)
        if point[0] not in (2, 3):
            raise MalformedError(
                f"{path} is no compressed point: it begins with {point[:1].hex()} and not with 02 or 03"
            )
        return point


@dataclass(frozen=True)
class Text(Form):
    """1 to ``high`` characters that can be printed, no space at the ends, matching ``pattern`` when there is one."""

    high: int
    pattern: str = ".*"
    meaning: str = "text"

    def read(self, value: object, path: str) -> str:
        """Text."""
        text: str = _typed(value, str, path)
        if not 0 < len(text) <= self.high:
            raise MalformedError(f"{path} has {len(text)} characters; 1 to {self.high} are allowed")
        if text != text.strip(" "):
            raise MalformedError(f"{path} begins or ends with a space: {shown(text)}")
        if CONTROL_CHARACTER.search(text) or _SURROGATE.search(text):
            raise MalformedError(f"{path} holds a control character or half of a character: {shown(text)}")
        if not re.fullmatch(self.pattern, text, re.ASCII | re.DOTALL):
            raise MalformedError(f"{path} is {shown(text)}, which is not {self.meaning}")
        return text


@dataclass(frozen=True)
class DecimalForm(Form):
    """A number as text: no exponent, no sign of plus, no zero that could be left out. One number, one spelling."""

    negative: bool = True

    def read(self, value: object, path: str) -> str:
        """The text, kept as it is."""
        text: str = _typed(value, str, path)
        if not _DECIMAL.fullmatch(text) or text == "-0":
            raise MalformedError(f'{path} is {shown(text)}, which is not a decimal such as "12" or "-0.25"')
        if text.startswith("-") and not self.negative:
            raise MalformedError(f"{path} is {text}; it cannot be negative")
        return text


@dataclass(frozen=True)
class Integer(Form):
    """A whole number from ``low`` to ``high``."""

    low: int
    high: int = MAX_COUNT

    def read(self, value: object, path: str) -> int:
        """An integer."""
        number: int = _typed(value, int, path)
        if not self.low <= number <= self.high:
            raise MalformedError(f"{path} is {number}; {self.low} to {self.high} are allowed")
        return number


@dataclass(frozen=True)
class Choice(Form):
    """One word of an enumeration."""

    words: type[StrEnum]

    def read(self, value: object, path: str) -> StrEnum:
        """A member."""
        word = _typed(value, str, path)
        try:
            return self.words(word)
        except ValueError:
            known = ", ".join(self.words)
            raise MalformedError(f"{path} is {shown(word)}; it is one of: {known}") from None

    def write(self, value: StrEnum) -> str:
        """The word."""
        return value.value

    def check(self, value: Any, path: str) -> StrEnum:
        """A member, whether given as such or by its word."""
        return self.read(value.value if isinstance(value, self.words) else value, path)


@dataclass(frozen=True)
class Many(Form):
    """``low`` to ``high`` values of one form; with ``ascending`` they are a set, with one order and no repetition."""

    item: Form
    high: int
    low: int = 1
    ascending: bool = True

    def read(self, value: object, path: str) -> tuple[Any, ...]:
        """A tuple."""
        listed: list[object] = _typed(value, list, path)
        self._check_length(len(listed), path)
        return self._ordered(tuple(self.item.read(v, f"{path}[{i}]") for i, v in enumerate(listed)), path)

    def write(self, value: tuple[Any, ...]) -> list[Any]:
        """A list."""
        return [self.item.write(v) for v in value]

    def check(self, value: Any, path: str) -> tuple[Any, ...]:
        """A tuple, whether given as such or as a list."""
        if not isinstance(value, tuple | list):
            raise MalformedError(f"{path} must be a tuple, not {type(value).__name__}")
        self._check_length(len(value), path)
        return self._ordered(tuple(self.item.check(v, f"{path}[{i}]") for i, v in enumerate(value)), path)

    def _check_length(self, length: int, path: str) -> None:
        if not self.low <= length <= self.high:
            raise MalformedError(f"{path} lists {length} values; {self.low} to {self.high} are allowed")

    def _ordered(self, values: tuple[Any, ...], path: str) -> tuple[Any, ...]:
        for i in range(1, len(values) if self.ascending else 0):
            if not values[i - 1] < values[i]:
                found = "repeats a value" if values[i - 1] == values[i] else "is not in ascending order"
                raise MalformedError(f"{path}[{i}] {found}: {shown(self.item.write(values[i]))}")
        return values


Digest: TypeAlias = Annotated[bytes, Hex(DIGEST_BYTES, DIGEST_BYTES)]
"""32 bytes: a record id, a blob id, a root, a seed."""

Point: TypeAlias = Annotated[bytes, PointForm()]
"""A key, by its compressed point."""

Decimal: TypeAlias = Annotated[str, DecimalForm()]

MAX_TIME = 253_402_300_799
"""The last second of the year 9999."""

Time: TypeAlias = Annotated[int, Integer(0, MAX_TIME)]
"""Seconds since 1970 in UTC, without leap seconds."""

LOCATION = Text(location.MAX_CHARACTERS, location.PATTERN, location.MEANING)

LICENCE = Text(64, r"[A-Za-z0-9][A-Za-z0-9.+-]*", "the identifier of a licence, such as Apache-2.0")

WORD = Text(40, r"[a-z0-9]+(-[a-z0-9]+)*", "a word of lower-case letters, digits and hyphens")

MAX_LOCATIONS = 8


def shown(value: object) -> str:
    """A value of somebody else, shortened and safe to print."""
    text = ascii(value)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"


def _typed(value: object, wanted: type, path: str) -> Any:
    if type(value) is not wanted:
        found = "null" if value is None else _JSON_NAMES.get(type(value), type(value).__name__)
        raise MalformedError(f"{path} must be {_JSON_NAMES[wanted]}, not {found}")
    return value
