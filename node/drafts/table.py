"""Fields of a round file, taken one by one: each of one type, and none that is not known."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from difflib import get_close_matches
from typing import Any

from node.errors import UserError
from node.sizes import MAX_SIZE, read_size, shown

MAX_LISTED = 4096
"""Values in a list; the record that comes of it allows fewer."""

_DIGEST = re.compile(r"[0-9a-f]{64}")
_DECIMAL = re.compile(r"-?\d{1,18}(\.\d{1,18})?", re.ASCII)


@dataclass(frozen=True)
class Table:
    """A mapping out of a round file. ``path`` leads to it in errors: ``schedule.``, or nothing at the top."""

    values: Mapping[str, Any]
    where: str
    path: str = ""

    @classmethod
    def of(cls, value: object, known: Iterable[str], where: str, path: str = "") -> "Table":
        """Refuse what is not a mapping or has a field that is not known."""
        names = list(known)
        if not isinstance(value, dict):
            raise UserError(f"{where}: {path.removesuffix('.') or 'the file'} is not a table of settings")
        for name in value:
            if name not in names:
                near = get_close_matches(str(name), names, 1)
                meant = f"did you mean {path}{near[0]}?" if near else f"there are: {', '.join(names)}"
                raise UserError(f"{where}: there is no setting {path}{shown(name)}; {meant}")
        return cls(value, where, path)

    def __contains__(self, name: str) -> bool:
        return self.values.get(name) is not None

    def fault(self, name: str, problem: str) -> UserError:
        """An error about one field."""
        return UserError(f"{self.where}: {self.path}{name} {problem}")

    def table(self, name: str, known: Iterable[str]) -> "Table":
        """An inner table; one that is not there is empty."""
        return Table.of(self.values.get(name, {}), known, self.where, f"{self.path}{name}.")

    def text(self, name: str) -> str | None:
        """Text that is not empty."""
        value = self.values.get(name)
        if value is None:
            return None
        if not isinstance(value, str) or not value.strip():
            raise self.fault(name, f"is text, not {shown(value)}")
        return value.strip()

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of texts, none twice; a text alone is a list of one."""
        value = self.values.get(name)
        listed = [value] if isinstance(value, str) else [] if value is None else value
        if not isinstance(listed, list) or not all(isinstance(item, str) and item.strip() for item in listed):
            raise self.fault(name, f"is a list of texts, not {shown(value)}")
        if len(listed) > MAX_LISTED:
            raise self.fault(name, f"lists {len(listed)} values; at most {MAX_LISTED} are allowed")
        found = [item.strip() for item in listed]
        if len(set(found)) != len(found):
            twice = next(item for item in found if found.count(item) > 1)
            raise self.fault(name, f"names {shown(twice)} twice")
        return tuple(found)

    def count(self, name: str, default: int) -> int:
        """A whole number."""
        value = self.values.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_SIZE:
            raise self.fault(name, f"is a whole number, not {shown(value)}")
        return value

    def size(self, name: str, default: int) -> int:
        """A number of bytes, such as 500MB."""
        value = self.values.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise self.fault(name, f"is a number or a size such as 500MB, not {shown(value)}")
        return read_size(value, f"{self.where}: {self.path}{name}")

    def decimal(self, name: str) -> str | None:
        """A number, in the one spelling that records have."""
        value = self.values.get(name)
        if value is None:
            return None
        is_number = isinstance(value, int | float) and not isinstance(value, bool) and -MAX_SIZE < value < MAX_SIZE
        text = repr(value) if is_number else value
        if not isinstance(text, str) or not _DECIMAL.fullmatch(text.strip()):
            raise self.fault(name, f"is a decimal number such as 12.5, not {shown(value)}")
        found = f"{Decimal(text.strip()):f}"
        found = found.rstrip("0").rstrip(".") if "." in found else found
        return "0" if found == "-0" else found

    def digest(self, name: str) -> bytes | None:
        """32 bytes as 64 digits."""
        text = self.text(name)
        if text is None:
            return None
        digits = text.removeprefix("blake3:").lower()
        if not _DIGEST.fullmatch(digits):
            raise self.fault(name, f"is 64 hexadecimal digits, not {shown(text)}")
        return bytes.fromhex(digits)
