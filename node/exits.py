"""How ``umm`` ends: the exit codes, and which error has which. Part of the interface: they keep their meaning."""

from enum import IntEnum

from node import errors as node
from protocol import errors as protocol


class Exit(IntEnum):
    """What a script learns."""

    OK = 0
    ERROR = 1
    """What was asked could not be done; the message says why."""
    USAGE = 2
    """The command line itself is wrong."""
    UNVERIFIED = 3
    """What was checked is not what it claims to be."""
    UNREACHABLE = 4
    """Nobody answered: the daemon is not running, or no peer has what is needed."""
    TEMPORARY = 75
    """Not now; the same command may work later (``EX_TEMPFAIL``)."""
    INTERRUPTED = 130
    """Ctrl-C."""


_SPECIAL: tuple[tuple[type[BaseException], Exit], ...] = (
    (node.VerificationError, Exit.UNVERIFIED),
    (protocol.ForgedError, Exit.UNVERIFIED),
    (node.UnreachableError, Exit.UNREACHABLE),
    (protocol.UnavailableError, Exit.UNREACHABLE),
    (node.BusyError, Exit.TEMPORARY),
    (protocol.BusyError, Exit.TEMPORARY),
    (KeyboardInterrupt, Exit.INTERRUPTED),
)


def exit_of(error: BaseException) -> Exit:
    """The code for any error of this program; of several that came together, the first one's that says most."""
    if isinstance(error, BaseExceptionGroup):
        codes = [exit_of(inner) for inner in error.exceptions]
        return next((code for code in codes if code is not Exit.ERROR), Exit.ERROR)
    return next((code for kind, code in _SPECIAL if isinstance(error, kind)), Exit.ERROR)
