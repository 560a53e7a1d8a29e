"""Errors of the program itself, beside those of ``umm.errors`` and ``protocol.errors``; ``exits`` maps all to codes.

Each message says what was found, where, and what to do about it.
"""


class NodeError(Exception):
    """An error to show a person as one message, without a traceback."""


class UserError(NodeError):
    """The caller asked for something that cannot be."""


class MachineFault(NodeError):
    """This machine cannot do what was asked: a disk, a permission, a child process that died."""


class UnreachableError(NodeError):
    """Nobody answered: the daemon is not running, or no peer has what is needed."""


class VerificationError(NodeError):
    """What was checked is not what it claims to be."""


class BusyError(NodeError):
    """Not now; the same again later may work."""
