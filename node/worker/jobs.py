"""What a child process can be asked to do, and what it answers: both strict, since neither side believes the other.

An order is one line of JSON: ``{"job": {"job": "merge", …}, "memory_bytes": n, "cpu_seconds": n}``. Paths are absolute.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Annotated, Any, ClassVar, get_args, get_type_hints

from protocol.errors import MalformedError
from protocol.records.contribution import MAX_REASON, Fault
from protocol.records.forms import DecimalForm
from protocol.records.round import Kind
from protocol.strict import shown

MAX_ORDER_BYTES = 4 * 2**20
"""A recipe and the names of the tensors to merge."""

MAX_RECIPE_CHARACTERS = 2**20

MAX_PATH_CHARACTERS = 4096

MAX_ONLY = 8192
"""Tensors that are merged by themselves in one job; all of a model is a whole merge."""

MAX_NAME_CHARACTERS = 1024

MAX_THREADS = 1024

MAX_CHUNKS_CHARACTERS = 64 * 2**14
"""Digests of the chunks of one tensor, as they fit into an answer: of up to 16 GiB."""

HEX = re.compile("[0-9a-f]*")

Reader = Callable[[object], Any]
"""A value from JSON, or a ``ValueError`` that says what it should be."""


class JobError(ValueError):
    """An order or an answer that is not what it should be."""


# -- values ----------------------------------------------------------------------------------------------------


def _text(limit: int) -> Reader:
    def read(value: object) -> str:
        if not isinstance(value, str) or not 0 < len(value) <= limit:
            raise ValueError(f"text of 1 to {limit} characters")
        return value

    return read


def _path(value: object) -> Path:
    path = Path(_text(MAX_PATH_CHARACTERS)(value))
    if not path.is_absolute() or "\0" in str(path):
        raise ValueError("an absolute path")
    return path


def _only(value: object) -> frozenset[str]:
    if not isinstance(value, list) or not 0 < len(value) <= MAX_ONLY or len(set(map(str, value))) != len(value):
        raise ValueError(f"a list of 1 to {MAX_ONLY} names, none twice")
    return frozenset(map(_text(MAX_NAME_CHARACTERS), value))


def _whole(high: int) -> Reader:
    def read(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= high:
            raise ValueError(f"a whole number up to {high}")
        return value

    return read


def _decimal(value: object) -> str:
    try:
        return str(DecimalForm(negative=False).read(value, "it"))
    except MalformedError:
        raise ValueError("a decimal as text") from None


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("true or false")
    return value


def _one_of(*words: str) -> Reader:
    def read(value: object) -> str:
        if value not in words:
            raise ValueError(f"one of {', '.join(words)}")
        return str(value)

    return read


def _hexadecimal(low: int, high: int) -> Reader:
    def read(value: object) -> str:
        if not isinstance(value, str) or not low <= len(value) <= high or len(value) % 64 or not HEX.fullmatch(value):
            raise ValueError("digests in hexadecimal")
        return value

    return read


def _or_nothing(reader: Reader) -> Reader:
    return lambda value: None if value is None else reader(value)


def _each(reader: Reader) -> Reader:
    def read(value: object) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise ValueError("an object")
        return {name: reader(item) for name, item in value.items()}

    return read


DIGEST = _hexadecimal(64, 64)
COUNT = _whole(2**63 - 1)
THREADS = _whole(MAX_THREADS)


# -- jobs ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Check:
    """Whether a contribution may be merged: its architecture, its values, how far it is from the base."""

    name: ClassVar[str] = "check"
    answer: ClassVar[Mapping[str, Reader]] = {
        "ok": _flag,
        "fault": _or_nothing(_one_of(*Fault)),
        "reason": _or_nothing(_text(MAX_REASON)),
        "norm": _or_nothing(_decimal),
    }

    base: Annotated[Path, _path]
    contribution: Annotated[Path, _path]
    kind: Annotated[str, _one_of(Kind.ADAPTER, Kind.CHECKPOINT, Kind.DELTA)]
    max_norm: Annotated[str | None, _or_nothing(_decimal)] = None
    threads: Annotated[int, THREADS] = 0


@dataclass(frozen=True, kw_only=True)
class Encode:
    """An exact delta of an expert."""

    name: ClassVar[str] = "encode"
    answer: ClassVar[Mapping[str, Reader]] = {"norm": _decimal, "raw_bytes": COUNT, "packed_bytes": COUNT}

    base: Annotated[Path, _path]
    expert: Annotated[Path, _path]
    out: Annotated[Path, _path]
    threads: Annotated[int, THREADS] = 0


@dataclass(frozen=True, kw_only=True)
class Decode:
    """The expert that a delta makes of the base."""

    name: ClassVar[str] = "decode"
    answer: ClassVar[Mapping[str, Reader]] = {}

    base: Annotated[Path, _path]
    delta: Annotated[Path, _path]
    out: Annotated[Path, _path]
    only: Annotated[frozenset[str] | None, _or_nothing(_only)] = None


@dataclass(frozen=True, kw_only=True)
class Merge:
    """A whole merge into ``out``; or, of the tensors in ``only``, their leaves (and the digests of their chunks)."""

    name: ClassVar[str] = "merge"
    answer: ClassVar[Mapping[str, Reader]] = {
        "root": _or_nothing(DIGEST),
        "tensors": _each(DIGEST),
        "files": _each(DIGEST),
        "chunks": _each(_hexadecimal(0, MAX_CHUNKS_CHARACTERS)),
    }

    recipe: Annotated[str, _text(MAX_RECIPE_CHARACTERS)]
    out: Annotated[Path | None, _or_nothing(_path)] = None
    only: Annotated[frozenset[str] | None, _or_nothing(_only)] = None
    chunks: Annotated[bool, _flag] = False
    threads: Annotated[int, THREADS] = 0

    def __post_init__(self) -> None:
        if (self.out is None) == (self.only is None):
            raise JobError("a merge has either out, the folder for all of it, or only, the tensors to merge again")
        if self.chunks and self.only is None:
            raise JobError("chunks are told of the tensors in only")


Job = Check | Encode | Decode | Merge
JOBS: Mapping[str, type[Job]] = {kind.name: kind for kind in get_args(Job)}


@dataclass(frozen=True)
class Order:
    """A job, and what it may take."""

    job: Job
    memory_bytes: int
    cpu_seconds: int


def read_job(value: object) -> Job:
    """The job that a JSON object spells."""
    given = _object(value, "a job")
    kind = JOBS.get(str(given.get("job")))
    if kind is None:
        raise JobError(f"the job {shown(given.get('job'))} is unknown; there are {', '.join(JOBS)}")
    hints = get_type_hints(kind, include_extras=True)
    known = {f.name: f for f in fields(kind)}
    if unknown := sorted(given.keys() - known.keys() - {"job"}):
        raise JobError(f"the job {kind.name} has no field {shown(unknown[0])}; it has {', '.join(known)}")
    if missing := [n for n, f in known.items() if f.default is MISSING and n not in given]:
        raise JobError(f"the job {kind.name} lacks the field {missing[0]}")
    return kind(**{n: _read(get_args(hints[n])[1], given[n], f"{kind.name}.{n}") for n in known if n in given})


def read_answer(job: type[Job], value: object) -> dict[str, Any]:
    """An answer to a job of that kind."""
    given = _object(value, "an answer")
    if given.keys() != job.answer.keys():
        raise JobError(f"the answer to {job.name} has the fields {shown(', '.join(sorted(given)))}")
    return {name: _read(read, given[name], f"{job.name}.{name}") for name, read in job.answer.items()}


def write_order(job: Mapping[str, Any], memory_bytes: int, cpu_seconds: int) -> bytes:
    """The line that a child process reads."""
    order = {"job": dict(job), "memory_bytes": memory_bytes, "cpu_seconds": cpu_seconds}
    line = json.dumps(order, allow_nan=False).encode() + b"\n"
    if len(line) > MAX_ORDER_BYTES:
        raise JobError(f"a job of {len(line)} bytes; the limit is {MAX_ORDER_BYTES}")
    return line


def read_order(line: bytes) -> Order:
    """The order in a line."""
    if len(line) > MAX_ORDER_BYTES or not line.endswith(b"\n"):
        raise JobError(f"an order is one line of at most {MAX_ORDER_BYTES} bytes, ended by a line break")
    try:
        given = _object(json.loads(line), "an order")
    except (ValueError, RecursionError):
        raise JobError("an order is one JSON object on a line") from None
    if given.keys() != {"job", "memory_bytes", "cpu_seconds"}:
        raise JobError("an order has job, memory_bytes and cpu_seconds")
    limits = [_read(COUNT, given[name], name) for name in ("memory_bytes", "cpu_seconds")]
    return Order(read_job(given["job"]), *limits)


def _object(value: object, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise JobError(f"{what} is a JSON object, not {type(value).__name__}")
    return value


def _read(read: Reader, value: object, where: str) -> Any:
    try:
        return read(value)
    except ValueError as error:
        raise JobError(f"{where} is {error}, not {shown(value)}") from None
