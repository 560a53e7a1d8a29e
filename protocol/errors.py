"""Every error this room raises, split by whose fault it is.

::

    ProtocolError
    ├── UsageError           the caller asked for something that cannot be: a wrong argument, a missing passphrase
    ├── PeerError            whoever made these bytes
    │   ├── MalformedError   they do not parse: nonsense, a field too many, a value out of range
    │   │   ├── TooLargeError  they exceed a limit; nothing was allocated for them
    │   │   ├── TooOldError    a version that is no longer spoken
    │   │   └── TooNewError    a version from the future: update this program
    │   ├── ForgedError      they parse but do not prove what they claim: a signature or a digest is wrong
    │   ├── RuleError        they are genuine, but a rule of the round refuses them
    │   ├── BusyError        the peer has no capacity for us now
    │   └── UnavailableError nobody reachable has what was asked for
    └── EnvironmentFault     this machine: disk full, permission, no network

Each message says what was found, where, and what to do about it.
"""


class ProtocolError(Exception):
    """An error to show a person as one message, without a traceback."""


class UsageError(ProtocolError):
    """The caller's mistake."""


class PeerError(ProtocolError):
    """The fault of whoever made the bytes or promised to serve them."""


class MalformedError(PeerError):
    """Bytes that are not what they should be."""


class TooLargeError(MalformedError):
    """Bytes beyond a limit."""


class TooOldError(MalformedError):
    """A version that is no longer spoken."""


class TooNewError(MalformedError):
    """A version that this program does not know yet."""


class ForgedError(PeerError):
    """Bytes that do not prove what they claim."""


class RuleError(PeerError):
    """A genuine record that a rule refuses; ``rule`` names it."""

    def __init__(self, rule: str, message: str) -> None:
        super().__init__(message)
        self.rule = rule


class BusyError(PeerError):
    """No capacity now; ``retry_after`` is in seconds."""

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class UnavailableError(PeerError):
    """Nobody reachable has it; the message lists what was tried."""


class EnvironmentFault(ProtocolError):
    """This machine cannot do what was asked."""
