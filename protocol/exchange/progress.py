"""What a download tells while it runs. Frozen values, handed to a callable that must not block."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Started:
    """The store was looked through: ``total_bytes`` are wanted, ``here_bytes`` of them need not be fetched."""

    blobs: int
    total_bytes: int
    here_bytes: int
    sources: int


@dataclass(frozen=True)
class Landed:
    """A chunk is verified and in the store; ``here_bytes`` counts everything that is."""

    blob_id: bytes
    index: int
    size: int
    source: str
    here_bytes: int
    total_bytes: int


@dataclass(frozen=True)
class Hindered:
    """A source was busy, stalled, broke off, or does not have something. Others go on."""

    source: str
    reason: str


@dataclass(frozen=True)
class Lost:
    """A source is not asked again in this download."""

    source: str
    reason: str


@dataclass(frozen=True)
class Finished:
    """Everything is in the store; ``fetched_bytes`` came over the roads, in ``seconds``."""

    fetched_bytes: int
    seconds: float


Event = Started | Landed | Hindered | Lost | Finished

Progress = Callable[[Event], None]


def quiet(_: Event) -> None:
    """For whoever does not want to know."""
