"""What one check found."""

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARN = "warn"
    """It works, and less well than it could."""
    FAIL = "fail"
    """It does not work."""


@dataclass(frozen=True)
class Finding:
    """One answer: what was looked at, how it is, and what to do if that is not well."""

    name: str
    state: State
    found: str
    fix: str = ""

    def __post_init__(self) -> None:
        if (self.state is State.OK) == bool(self.fix):
            raise ValueError(f"{self.name}: there is a fix if and only if something is to be fixed")


def ok(name: str, found: str) -> Finding:
    """Nothing to do."""
    return Finding(name, State.OK, found)


def warn(name: str, found: str, fix: str) -> Finding:
    """Worth doing."""
    return Finding(name, State.WARN, found, fix)


def fail(name: str, found: str, fix: str) -> Finding:
    """To be done first."""
    return Finding(name, State.FAIL, found, fix)
