"""The child process: one order from standard input, messages to standard output, and whose fault it is if it fails."""

import errno
import os
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from typing import Any

from node.worker import limits
from node.worker.jobs import MAX_ORDER_BYTES, Check, Decode, Encode, Job, JobError, Merge, Order, read_order
from node.worker.messages import Fault, FaultKind, Message, Progress, Result, write_message
from umm.errors import CheckpointError, EnvironmentFault, RecipeError

PROGRESS_SECONDS = 0.2
"""Progress is told at most that often, and at the end."""

OUT_OF_MEMORY = ("alloc", "not enough memory", "out of memory", "start new thread", "failed to map")
"""What other libraries say when they get no memory, beside raising MemoryError."""

Report = Callable[[str, int, int], None]
"""Hears what is done, how much of it and of how much."""


def main(parent: int) -> int:
    """Do one job; 0 when it was answered, with a result or a fault."""
    limits.end_with_parent(parent)
    speak = _Speaker(os.dup(1))
    os.dup2(2, 1)  # whatever a library prints is no message
    line = _first_line()
    limits.watch(0)
    try:
        order = read_order(line)
    except JobError as error:
        speak(Fault(FaultKind.JOB, str(error)))
        return 0
    limits.lower(order.memory_bytes, order.cpu_seconds)
    speak(_outcome(order, speak.progress))
    return 0


def _first_line() -> bytes:
    """A line of standard input, and no byte more of it."""
    found = bytearray()
    while not found.endswith(b"\n") and len(found) <= MAX_ORDER_BYTES:
        data = os.read(0, 1 << 16)
        if not data:
            break
        found += data
    return bytes(found)


def _outcome(order: Order, report: Report) -> Message:
    try:
        return Result(_perform(order.job, order.memory_bytes, report))
    except (RecipeError, CheckpointError) as error:
        return Fault(FaultKind.INPUT, str(error))
    except EnvironmentFault as error:
        return Fault(FaultKind.MACHINE, str(error))
    except MemoryError as error:
        return Fault(FaultKind.MEMORY, str(error) or "an allocation failed")
    except Exception as error:  # noqa: BLE001 - the last one who can say what happened
        traceback.print_exc()
        return Fault(_blamed(error), f"{type(error).__name__}: {error}")


def _blamed(error: Exception) -> FaultKind:
    """Whose fault an error of another library is: memory's, if it speaks of it, else ours."""
    if isinstance(error, OSError) and error.errno in (errno.ENOMEM, errno.EAGAIN):
        return FaultKind.MEMORY
    foreign = isinstance(error, RuntimeError | ImportError | SystemError)
    return FaultKind.MEMORY if foreign and any(t in str(error).lower() for t in OUT_OF_MEMORY) else FaultKind.BUG


def _perform(job: Job, memory_bytes: int, report: Report) -> Mapping[str, Any]:
    """Heavy modules are imported here, under the limits."""
    match job:
        case Check():
            from node.worker.checking import check

            return check(job, report)
        case Merge():
            from node.worker.merging import merge

            return merge(job, memory_bytes, report)
        case Encode():
            from node.worker.deltas import encode

            return encode(job, report)
        case Decode():
            from node.worker.deltas import decode

            return decode(job, report)


class _Speaker:
    """Writes messages, whole lines at a time."""

    def __init__(self, fd: int) -> None:
        self._fd, self._lock = fd, threading.Lock()
        self._told = -PROGRESS_SECONDS
        self._latest: Progress | None = None

    def __call__(self, message: Message) -> None:
        with self._lock:
            if isinstance(message, Result) and self._latest:
                self._write(self._latest)
            self._latest = None
            self._write(message)

    def progress(self, what: str, done: int, total: int) -> None:
        """Tell progress, unless some was told just now."""
        with self._lock:
            self._latest = Progress(done, total, what)
            now = time.monotonic()
            if now >= self._told + PROGRESS_SECONDS:
                self._told = now
                self._write(self._latest)
                self._latest = None

    def _write(self, message: Message) -> None:
        rest = memoryview(write_message(message))
        while rest:
            rest = rest[os.write(self._fd, rest) :]
