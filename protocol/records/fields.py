"""A group of named fields, read from and written to JSON by what its annotations say.

Rules:

1. A field without a default must be there; one that is not known must not.
2. A field with a default is left out when it has that value, and is never null or an empty list: nothing has two
   spellings.
3. A group is checked when it is built, whether from JSON or by a caller, so that none exists that is not valid.
"""

import types
from dataclasses import MISSING, Field, dataclass, fields
from enum import StrEnum
from typing import Any, ClassVar, Self, Union, get_args, get_origin, get_type_hints

from protocol.errors import MalformedError
from protocol.records.forms import Choice, Form, shown


class Fields:
    """Frozen dataclasses inherit from it; ``noun`` begins the path in their errors."""

    noun: ClassVar[str] = "record"
    _slots: ClassVar[dict[str, "Slot"]]

    def __post_init__(self) -> None:
        for name, slot in self.slots().items():
            given = getattr(self, name)
            if not slot.may_be_absent or given != slot.default:
                object.__setattr__(self, name, slot.form.check(given, f"{self.noun}.{name}"))
        self._check()

    def _check(self) -> None:
        """Refuse combinations that no single field shows."""

    @classmethod
    def slots(cls) -> dict[str, "Slot"]:
        """The fields by name; the annotations are read once."""
        if "_slots" not in cls.__dict__:
            hints = get_type_hints(cls, include_extras=True)
            found: tuple[Field[Any], ...] = fields(cls)  # type: ignore[arg-type]  # every subclass is a dataclass
            cls._slots = {f.name: Slot(_form(hints[f.name]), f.default is not MISSING, f.default) for f in found}
        return cls._slots

    @classmethod
    def read(cls, value: object, path: str) -> Self:
        """The group that this JSON spells."""
        if not isinstance(value, dict):
            raise MalformedError(f"{path} must be an object")
        known = cls.slots()
        if unknown := sorted(value.keys() - known.keys()):
            raise MalformedError(f"{path} has the unknown field {shown(unknown[0])}")
        if missing := [name for name, slot in known.items() if not slot.may_be_absent and name not in value]:
            raise MalformedError(f"{path} lacks the field {missing[0]}")
        return cls(**{name: known[name].form.read(item, f"{path}.{name}") for name, item in value.items()})

    def plain(self) -> dict[str, Any]:
        """The group as JSON's own types."""
        values = [(name, slot, getattr(self, name)) for name, slot in self.slots().items()]
        return {n: s.form.write(v) for n, s, v in values if not s.may_be_absent or v != s.default}


@dataclass(frozen=True)
class Part(Form):
    """A group within a group."""

    group: type[Fields]

    def read(self, value: object, path: str) -> Fields:
        """The inner group."""
        return self.group.read(value, path)

    def write(self, value: Fields) -> dict[str, Any]:
        """An object."""
        return value.plain()

    def check(self, value: Any, path: str) -> Fields:
        """An inner group is valid since it was built."""
        if not isinstance(value, self.group):
            raise MalformedError(f"{path} must be {self.group.__name__}, not {type(value).__name__}")
        return value


@dataclass(frozen=True)
class Slot:
    """One field: its form, and what it is when it is absent."""

    form: Form
    may_be_absent: bool
    default: Any


def _form(hint: Any) -> Form:
    """The form that an annotation states."""
    if stated := [data for data in getattr(hint, "__metadata__", ()) if isinstance(data, Form)]:
        return stated[0]
    if get_origin(hint) in (Union, types.UnionType):
        return _form(next(member for member in get_args(hint) if member is not type(None)))
    return Choice(hint) if issubclass(hint, StrEnum) else Part(hint)
