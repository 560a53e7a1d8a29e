"""Errors to gRPC and back: the same class with the same message on the other side.

Rules:

1. Errors of the other rooms become those of ``node.errors`` here, by whose fault they are.
2. What was not foreseen gets a reference; the traceback is in the log beside it, and never on the wire.
3. An answer without our own detail was made by gRPC itself; its code says what happened.
"""

import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import protocol.roads.grpc  # noqa: F401 (before grpc itself: it sets how loud that is)

# isort: split
import grpc
from google.protobuf.message import DecodeError

import protocol.errors as facts
import umm.errors as maths
from node import errors
from node.control.control_pb2 import Fault
from node.errors import BusyError, MachineFault, NodeError, UnreachableError, UserError, VerificationError

DETAIL = "umm-fault-bin"
"""The trailing metadata that holds a ``Fault``."""

MAX_MESSAGE_CHARACTERS = 2000

MAX_HEADER_BYTES = 16 * 1024
"""A message of four bytes a character, in base64, with room for the rest."""

FOREIGN: tuple[tuple[type[Exception], type[NodeError]], ...] = (
    (facts.UsageError, UserError),
    (facts.ForgedError, VerificationError),
    (facts.MalformedError, UserError),
    (facts.RuleError, UserError),
    (facts.BusyError, BusyError),
    (facts.UnavailableError, UnreachableError),
    (facts.EnvironmentFault, MachineFault),
    (facts.ProtocolError, NodeError),
    (maths.RecipeError, UserError),
    (maths.CheckpointError, UserError),
    (maths.EnvironmentFault, MachineFault),
    (maths.UmmError, NodeError),
)
"""The first that fits."""

CODES: dict[type[NodeError], grpc.StatusCode] = {
    UserError: grpc.StatusCode.INVALID_ARGUMENT,
    MachineFault: grpc.StatusCode.FAILED_PRECONDITION,
    UnreachableError: grpc.StatusCode.NOT_FOUND,
    VerificationError: grpc.StatusCode.DATA_LOSS,
    BusyError: grpc.StatusCode.RESOURCE_EXHAUSTED,
    NodeError: grpc.StatusCode.UNKNOWN,
}
"""For whoever speaks to a node without this program."""

_TOO_LARGE = "larger than max"
"""How gRPC words a message beyond its limit; it has the same code as a busy server."""


@dataclass(frozen=True)
class Refusal:
    """What a server answers instead of an answer."""

    code: grpc.StatusCode
    details: str
    metadata: tuple[tuple[str, bytes], ...]


def as_node_error(error: BaseException) -> NodeError | None:
    """An error of any room as one of this; None for what nobody foresaw."""
    if isinstance(error, BaseExceptionGroup):
        found = [as_node_error(one) for one in error.exceptions]
        return next((one for one in found if one is not None), None) if None not in found else None
    if isinstance(error, NodeError):
        return error
    for foreign, own in FOREIGN:
        if isinstance(error, foreign):
            return own(str(error))
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return MachineFault(f"{where}{error.strerror}")
    return None


def refusal(error: NodeError) -> Refusal:
    """How an error travels."""
    kind = next(one for one in type(error).__mro__ if one in CODES)
    message = _harmless(str(error))
    detail = Fault(kind=kind.__name__, message=message)
    short = message.splitlines()[0][:200] if message else ""
    return Refusal(CODES[kind], short, ((DETAIL, detail.SerializeToString()),))


def unforeseen() -> tuple[str, Refusal]:
    """A reference to put into the log, and the answer that names it."""
    reference = secrets.token_hex(4)
    message = f"the node failed in a way that nobody foresaw; the log has the details beside {reference}: umm log"
    detail = Fault(kind=NodeError.__name__, message=message)
    return reference, Refusal(grpc.StatusCode.INTERNAL, message, ((DETAIL, detail.SerializeToString()),))


def error_of(code: grpc.StatusCode, details: str, metadata: Iterable[tuple[str, str | bytes]], where: str) -> NodeError:
    """What a client raises; ``where`` names the node in what gRPC has to say."""
    for name, value in metadata:
        if name == DETAIL and isinstance(value, bytes) and (found := _said(value)) is not None:
            return found
    said = _harmless(details)
    match code:
        case grpc.StatusCode.RESOURCE_EXHAUSTED if _TOO_LARGE in details:
            return UserError(f"{where} was sent more than it takes, or sent more than we take: {said}")
        case grpc.StatusCode.RESOURCE_EXHAUSTED:
            return BusyError(f"{where} has too much to do; try again in a moment ({said})")
        case grpc.StatusCode.UNIMPLEMENTED:
            return UserError(f"{where} does not know this order, it runs another version; restart it: umm node")
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            return UnreachableError(f"{where} did not answer in time; look at: umm log")
        case grpc.StatusCode.UNAVAILABLE | grpc.StatusCode.CANCELLED:
            return UnreachableError(f"{where} is not there any more ({said}); if it should be, start it: umm node")
    return NodeError(f"{where} answered {code.name.lower()}: {said}")


def _said(detail: bytes) -> NodeError | None:
    """The error in a detail, if it is one that this version knows how to read."""
    try:
        found = Fault.FromString(detail)
    except DecodeError:
        return None
    return _KINDS.get(found.kind, NodeError)(_harmless(found.message))


def _harmless(text: str) -> str:
    """Short enough, and without half characters."""
    shown = text if len(text) <= MAX_MESSAGE_CHARACTERS else f"{text[: MAX_MESSAGE_CHARACTERS - 1]}…"
    return shown.encode("utf-8", "replace").decode()


def _own(kind: type[NodeError]) -> Iterator[type[NodeError]]:
    yield kind
    for sub in kind.__subclasses__():
        if sub.__module__ == errors.__name__:
            yield from _own(sub)


_KINDS = {kind.__name__: kind for kind in _own(NodeError)}
