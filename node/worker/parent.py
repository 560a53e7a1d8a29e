"""The daemon's side: start a child process, listen to it, end it, and say in one sentence what became of it.

Rules:

1. When ``run_job`` returns or raises, the child is gone and was waited for, whatever happened.
2. The child is in a session of its own, so that it can be killed with all that it may have started; and it ends when
   this process ends, however that happens (``limits``).
3. Nothing that it says is believed beyond its form, and it cannot keep this process busy: lines are bounded, there is
   one last word, and progress comes at a bounded rate.
4. It gets a short list of environment variables: no secrets travel that way.
"""

import asyncio
import contextlib
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from node.errors import MachineFault, UserError
from node.worker.jobs import JobError, read_answer, read_job, write_order
from node.worker.messages import MAX_LINE_BYTES, Fault, FaultKind, Progress, Result, printable, read_message

PROGRESS_BYTES = 64 * 2**10
PROGRESS_RATE = 4096
"""Bytes of progress that a child may tell at once, and each second; ours tells a tenth of that."""

TAIL_BYTES = 4096
"""Of its standard error, for the message when it crashes."""

ENVIRONMENT = (
    "DYLD_LIBRARY_PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "LD_LIBRARY_PATH", "NUMBA_CACHE_DIR", "PATH",
    "PYTHONPATH", "TEMP", "TMP", "TMPDIR", "TZ", "VIRTUAL_ENV", "XDG_CACHE_HOME",
)  # fmt: skip
SETTINGS = {
    "HF_HUB_OFFLINE": "1",
    "MKL_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "PYTHONUNBUFFERED": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TRANSFORMERS_OFFLINE": "1",
}
"""One thread for each library: tensors are worked on side by side, and each thread takes memory for itself."""

COMMAND = (sys.executable, "-P", "-m", "node.worker")
"""The child; its one argument is this process."""

Heard = Callable[[str, int, int], None]
"""Hears what is done, how much of it and of how much."""


async def run_job(
    job: Mapping[str, Any], *, memory_bytes: int, seconds: float, progress: Heard = lambda *_: None
) -> Mapping[str, Any]:
    """Do a job (``jobs``) in a child process and return its answer.

    Raises a :class:`UserError` when the job or the models that it names are at fault, a :class:`MachineFault` when this
    machine, a limit or the child is. Cancelling the call ends the child.
    """
    cpu = int(seconds * (os.cpu_count() or 1)) + 1
    try:
        kind = type(read_job(dict(job)))
        order = write_order(job, memory_bytes, cpu)
    except JobError as error:
        raise UserError(f"this is no job for a child process: {error}") from None
    process = await _start()
    tail = asyncio.create_task(_last_words(process))
    try:
        async with asyncio.timeout(seconds):
            message = await _listen(process, order, progress)
            code = await process.wait()
    except TimeoutError:
        raise MachineFault(
            f"the job {kind.name} was not done after {seconds:g} seconds and was ended; raise limits.job_seconds in "
            "the settings, or give it a smaller model"
        ) from None
    except JobError as error:
        raise MachineFault(f"the job {kind.name} was ended: {error}; this is a bug, please report it") from None
    finally:
        await asyncio.shield(asyncio.create_task(_end(process)))
        words = await tail
    if code != 0 or message is None:
        raise _crash(kind.name, code, memory_bytes, words)
    if isinstance(message, Fault):
        raise _error(kind.name, message, memory_bytes)
    try:
        return read_answer(kind, message.answer)
    except JobError as error:
        raise MachineFault(f"the job {kind.name} answers nonsense: {error}; this is a bug, please report it") from None


def environment() -> Mapping[str, str]:
    """What the child has in its environment, and nothing else."""
    own = {name: os.environ[name] for name in ENVIRONMENT if name in os.environ}
    here = Path(__file__).parents[2]
    if here.name not in ("site-packages", "dist-packages"):  # not installed: run from a working copy
        own["PYTHONPATH"] = os.pathsep.join([str(here), *filter(None, [own.get("PYTHONPATH")])])
    return own | SETTINGS


async def _start() -> Process:
    command = (*COMMAND, str(os.getpid()))
    try:
        return await asyncio.create_subprocess_exec(
            *command,
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            env=environment(),
            limit=MAX_LINE_BYTES,
            start_new_session=True,
        )
    except OSError as error:
        raise MachineFault(
            f"no child process can be started: {error.strerror}; end other programs and try again"
        ) from None


async def _listen(process: Process, order: bytes, progress: Heard) -> Result | Fault | None:
    """Give the order and hear the child out; None if it ends without a last word."""
    assert process.stdin is not None  # noqa: S101 - it is a pipe
    assert process.stdout is not None  # noqa: S101 - it is a pipe
    with contextlib.suppress(ConnectionError):  # it died early; what it said will tell
        process.stdin.write(order)
        await process.stdin.drain()
    last: Result | Fault | None = None
    clock = asyncio.get_running_loop().time
    told, begun = 0, clock()
    while line := await _line(process.stdout):
        if last is not None:
            raise JobError("it went on after its last word")
        message = read_message(line)
        if not isinstance(message, Progress):
            last = message
            continue
        told += len(line)
        if told > PROGRESS_BYTES + PROGRESS_RATE * (clock() - begun):
            raise JobError("it tells its progress too often")
        progress(message.what, message.done, message.total)
    return last


async def _line(stream: asyncio.StreamReader) -> bytes:
    try:
        return await stream.readline()
    except ValueError:
        raise JobError(f"it said a line of more than {MAX_LINE_BYTES} bytes") from None


async def _last_words(process: Process) -> bytes:
    """The end of standard error, which is read on so that the child never waits for a reader."""
    assert process.stderr  # noqa: S101 - it is a pipe
    kept = b""
    while data := await process.stderr.read(1 << 16):
        kept = (kept + data)[-TAIL_BYTES:]
    return kept


async def _end(process: Process) -> None:
    """The child and all of its session are gone after this."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert process.stdout  # noqa: S101 - it is a pipe
    while await process.stdout.read(1 << 16):  # what nobody listened to
        pass
    await process.wait()
    if process.stdin:
        process.stdin.close()
        with contextlib.suppress(ConnectionError):
            await process.stdin.wait_closed()


def _error(name: str, fault: Fault, memory_bytes: int) -> MachineFault | UserError:
    match fault.kind:
        case FaultKind.INPUT:
            return UserError(fault.message)
        case FaultKind.MEMORY:
            return _out_of_memory(name, memory_bytes, fault.message)
        case FaultKind.MACHINE:
            return MachineFault(fault.message)
        case _:
            return MachineFault(f"the job {name} failed: {fault.message}; this is a bug, please report it")


def _out_of_memory(name: str, memory_bytes: int, detail: str) -> MachineFault:
    return MachineFault(
        f"the job {name} needs more memory than the {memory_bytes / 1e9:.3g} GB that it may have ({detail}); raise "
        "limits.memory in the settings, or run it on a machine with more"
    )


def _crash(name: str, code: int, memory_bytes: int, words: bytes) -> MachineFault:
    """What to say of a child that ended without a last word."""
    said = printable(words.decode("utf-8", "replace"))[-500:]
    if code in (-signal.SIGABRT, -signal.SIGSEGV, -signal.SIGBUS) or b"alloc" in words.lower():
        return _out_of_memory(name, memory_bytes, f"it crashed: {said}" if said else "it crashed")
    if code == -signal.SIGXCPU:
        return MachineFault(
            f"the job {name} took all the processor time that it may; raise limits.job_seconds in the settings"
        )
    if code == -signal.SIGKILL:
        return _out_of_memory(name, memory_bytes, "the system or somebody else killed it")
    end = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
    return MachineFault(f"the job {name} {end} without an answer ({said}); this is a bug, please report it")
