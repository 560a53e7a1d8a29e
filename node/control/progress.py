"""How a long order goes, and how each of them ends."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a piece of work is. ``total`` is 0 as long as it is not known."""

    what: str
    """A few words for people: ``hashing the base``."""
    done: int
    total: int
    unit: str
    """``B`` for bytes, or a plural: ``tensors``."""


@dataclass(frozen=True, kw_only=True)
class Opened:
    """The round is signed and announced."""

    round: bytes


@dataclass(frozen=True, kw_only=True)
class Offered:
    """The contribution is signed and will be said when it is time; after a dry run it only could be."""

    contribution: bytes | None
    """None after a dry run."""
    kind: str
    root: bytes
    size: int
    norm: str | None
    next: str
    """A sentence: what happens when."""


@dataclass(frozen=True, kw_only=True)
class Pulled:
    """The model is in its folder, with its lineage beside it."""

    folder: Path
    root: bytes
    manifest: bytes
    round: bytes | None
    revision: int | None
    fetched_bytes: int
    """That came from others; the rest was here."""
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Materialised:
    """What was asked for is in the folder."""

    folder: Path
    root: bytes
    fetched_bytes: int
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Revising:
    """The stewards were asked for this revision."""

    revision: int
