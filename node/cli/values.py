"""Values that people type, and numbers as they read them: sizes and counts."""

from typing import Any

import click

from node.errors import UserError
from node.sizes import read_size

_NAMES = ("B", "KB", "MB", "GB", "TB")
_COUNTS = ((10**12, "trillion"), (10**9, "billion"), (10**6, "million"))


class Count(click.ParamType[int]):
    """A positive whole number."""

    name = "N"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """What was typed, or the default."""
        text = str(value)
        if not (text.isascii() and text.isdecimal()) or int(text) < 1:
            self.fail(f"{text!r} is not a number; give 1 or more", param, ctx)
        return int(text)


class Size(click.ParamType[int]):
    """A number of bytes: 512M and 512MiB in powers of 1024, 512MB in powers of 1000."""

    name = "SIZE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """What was typed, or the default."""
        try:
            size = read_size(str(value), "it")
        except UserError as error:
            self.fail(str(error), param, ctx)
        if not size:
            self.fail(f"{value!r} is nothing; give 1 byte or more", param, ctx)
        return size


COUNT = Count()
SIZE = Size()


def spelled(amount: float) -> str:
    """Bytes for people: 2.2 GB."""
    unit = 0
    while round(amount, 1) >= 1000 and unit < len(_NAMES) - 1:
        amount, unit = amount / 1000, unit + 1
    return f"{amount:.0f} {_NAMES[unit]}" if unit == 0 else f"{amount:.1f} {_NAMES[unit]}"


def counted(number: int) -> str:
    """A count for people: 12,345 or 1.1 billion."""
    for unit, name in _COUNTS:
        if number >= unit:
            return f"{number / unit:.1f} {name}"
    return f"{number:,}"


def plural(number: int, noun: str) -> str:
    """``1 thread``, ``2 threads``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
