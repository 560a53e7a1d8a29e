"""What a child process takes away from itself before it opens anything that a stranger wrote.

It gets so much memory and processor time and no more, leaves no core dump, yields to everything else on the machine,
and ends with its parent: on Linux because the kernel is asked to see to it, elsewhere because the parent's end of its
standard input closes.
"""

import contextlib
import ctypes
import os
import resource
import signal
import sys
import threading

MAX_FILE_BYTES = 2**40 + 2**30
"""The largest file that may be written: one tensor of the largest size, and its header."""

NICENESS = 10

PR_SET_PDEATHSIG = 1
"""From ``linux/prctl.h``."""


def end_with_parent(parent: int) -> None:
    """Be killed when the parent ends, however it ends; at once if it has ended already."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        _end()


def watch(fd: int) -> None:
    """Be killed when the other end of a pipe closes; for systems whose kernel does not do it."""
    threading.Thread(target=_wait_for_end, args=(fd,), name="watch", daemon=True).start()


def _wait_for_end(fd: int) -> None:
    with contextlib.suppress(OSError):
        while os.read(fd, 1 << 12):
            pass
    _end()


def _end() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def lower(memory_bytes: int, cpu_seconds: int) -> None:
    """Take the limits on; none of them can be raised again."""
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, MAX_FILE_BYTES)
    _limit(resource.RLIMIT_CPU, max(1, cpu_seconds))
    if sys.platform == "linux":  # elsewhere it means another thing, or nothing
        _limit(resource.RLIMIT_DATA, memory_bytes)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # every expert has files of its own
    with contextlib.suppress(OSError):
        os.nice(NICENESS)


def _limit(which: int, value: int) -> None:
    _, most = resource.getrlimit(which)
    wanted = value if most == resource.RLIM_INFINITY else min(value, most)
    resource.setrlimit(which, (wanted, wanted))
