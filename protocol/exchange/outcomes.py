"""How a request to a peer can end, and which error means which end."""

from dataclasses import dataclass

from protocol.errors import (
    BusyError,
    ForgedError,
    MalformedError,
    ProtocolError,
    TooLargeError,
    TooNewError,
    TooOldError,
    UnavailableError,
)


@dataclass(frozen=True)
class Whole:
    """The answer ended in order; whether everything came is for the asker to see."""


@dataclass(frozen=True)
class Lacks:
    """The peer does not have the blob, or cannot be asked: roads do not tell these two apart."""


@dataclass(frozen=True)
class Busy:
    """The peer has no capacity now; ``retry_after`` is in seconds."""

    retry_after: float


@dataclass(frozen=True)
class Broke:
    """The peer died, hung, or is not reached."""

    reason: str


@dataclass(frozen=True)
class Forged:
    """The peer sent what no honest peer sends."""

    reason: str


Outcome = Whole | Lacks | Busy | Broke | Forged


def outcome_of(error: ProtocolError, asked_for_list: bool) -> Outcome:
    """What an error of a road says about the peer.

    Chunks that it lacks are left out of an answer, without an error. A blob that is too large is whose id commits to
    too many bytes: whoever named it is to blame, not who has it.
    """
    match error:
        case BusyError():
            return Busy(error.retry_after)
        case UnavailableError() | TooLargeError() if asked_for_list:
            return Lacks()
        case TooOldError() | TooNewError():
            return Broke(str(error))
        case ForgedError() | MalformedError():
            return Forged(f"sent what it should not have: {error}")
    return Broke(str(error))
