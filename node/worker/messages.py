"""What a child process says, one JSON object a line: progress as often as it likes, then a result or a fault.

The parent believes none of it: a line is bounded, strictly parsed, and of one of the three forms. What a result holds
is checked against the job (``jobs.read_answer``).
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from node.worker.jobs import JobError
from protocol.errors import MalformedError
from protocol.strict import CONTROL_CHARACTER, canonical, parse_object

MAX_LINE_BYTES = 4 * 2**20
"""The longest result: the leaves of ``MAX_ONLY`` tensors."""

MAX_MESSAGE_CHARACTERS = 4000
"""Of a fault."""

MAX_WHAT_CHARACTERS = 40

MAX_PROGRESS = 2**63 - 1


class FaultKind(StrEnum):
    """Whose fault it is that there is no result."""

    BUG = "bug"
    INPUT = "input"
    JOB = "job"
    MACHINE = "machine"
    MEMORY = "memory"


@dataclass(frozen=True)
class Progress:
    """So much is done of so much of ``what``."""

    done: int
    total: int
    what: str


@dataclass(frozen=True)
class Result:
    """The job is done; the answer is not checked yet."""

    answer: Mapping[str, Any]


@dataclass(frozen=True)
class Fault:
    """The job is not done, and why."""

    kind: FaultKind
    message: str


Message = Progress | Result | Fault


def write_message(message: Message) -> bytes:
    """A line."""
    match message:
        case Result(answer):
            body: Mapping[str, Any] = {"result": dict(answer)}
        case Progress():
            body = {"progress": asdict(message)}
        case Fault(kind, text):
            body = {"fault": {"kind": kind.value, "message": printable(text)}}
    return canonical(body) + b"\n"


def read_message(line: bytes) -> Message:
    """The message in a line, or a :class:`JobError`."""
    try:
        given = parse_object(line, MAX_LINE_BYTES, "a line of the child process")
    except MalformedError as error:
        raise JobError(str(error)) from None
    ((form, body),) = given.items() if len(given) == 1 else [("", None)]
    if isinstance(body, dict):
        if form == "result":
            return Result(body)
        if form == "progress" and body.keys() == {"done", "total", "what"}:
            return _progress(**body)
        if form == "fault" and body.keys() == {"kind", "message"}:
            return _fault(**body)
    raise JobError("a line of the child process is neither progress nor a result nor a fault")


def printable(text: str) -> str:
    """A fault's text on one line that cannot steer a terminal, and not too long."""
    lines = "; ".join(line.strip() for line in text.splitlines() if line.strip())
    safe = CONTROL_CHARACTER.sub("?", lines).encode("utf-8", "replace").decode()
    return safe if len(safe) <= MAX_MESSAGE_CHARACTERS else safe[: MAX_MESSAGE_CHARACTERS - 1] + "…"


def _progress(done: object, total: object, what: object) -> Progress:
    numbers = [n for n in (done, total) if isinstance(n, int) and not isinstance(n, bool) and 0 <= n <= MAX_PROGRESS]
    if len(numbers) != 2 or not isinstance(what, str) or len(what) > MAX_WHAT_CHARACTERS:
        raise JobError("the child process reports progress that is none")
    return Progress(numbers[0], numbers[1], what)


def _fault(kind: object, message: object) -> Fault:
    if kind not in list(FaultKind) or not isinstance(message, str) or len(message) > MAX_MESSAGE_CHARACTERS:
        raise JobError("the child process reports a fault that is none")
    return Fault(FaultKind(str(kind)), message)
