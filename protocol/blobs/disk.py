"""The operating system's part: blame for its errors, whole reads and writes, durable folders, one owner at a time."""

import ctypes
import errno
import fcntl
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from protocol.errors import EnvironmentFault

ADVICE = {
    errno.ENOSPC: "the disk is full; free some space or choose a folder on another disk",
    errno.EDQUOT: "your quota on this disk is used up; free some space or choose a folder on another disk",
    errno.EFBIG: "the file would exceed the size limit of this process or file system (see `ulimit -f`)",
    errno.EACCES: "permission was denied; choose a folder that you may use",
    errno.EPERM: "permission was denied; choose a folder that you may use",
    errno.EROFS: "the file system is read-only; choose another folder",
    errno.EMFILE: "too many files are open; raise the limit with `ulimit -n`",
    errno.ENOTDIR: "a part of the path is a file, not a folder; choose another folder",
    errno.EIO: "the disk reported a failure; check it before trusting anything on it",
}
"""What to do about the errors that a person can do something about."""

SYNC_FILE_RANGE_WRITE = 2
"""From ``linux/fs.h``: begin writing dirty pages, do not wait, evict nothing."""


@contextmanager
def blaming_the_machine(action: str, path: Path) -> Iterator[None]:
    """Turn an ``OSError`` into an :class:`EnvironmentFault`: what was tried, where, and what to do."""
    try:
        yield
    except OSError as error:
        advice = ADVICE.get(error.errno or 0, error.strerror or str(error))
        raise EnvironmentFault(f"cannot {action} {path}: {advice}") from error


def write_exactly(fd: int, data: bytes | bytearray | memoryview, offset: int) -> None:
    """Write all of ``data`` at ``offset``."""
    view = memoryview(data)
    done = 0
    while done < len(view):
        done += os.pwrite(fd, view[done:], offset + done)


def reserve(fd: int, size: int) -> None:
    """Give an open file ``size`` bytes, set aside on the disk where its file system can do that.

    A disk that is too full says so now and not in the middle of a download, and what is written into reserved room
    costs less. ``os.posix_fallocate`` would write every block where the file system cannot.
    """
    os.ftruncate(fd, size)
    if _LIBC is None or size == 0:
        return
    if _LIBC.fallocate(fd, 0, ctypes.c_int64(0), ctypes.c_int64(size)) != 0:
        code = ctypes.get_errno()
        if code not in (errno.EOPNOTSUPP, errno.ENOSYS, errno.EINTR):
            raise OSError(code, os.strerror(code))


def begin_writeback(fd: int, offset: int, size: int) -> None:
    """Let the kernel begin to write a range to the disk, without waiting: a sync at the end has less left to do."""
    if _LIBC is not None:
        _LIBC.sync_file_range(fd, ctypes.c_int64(offset), ctypes.c_int64(size), SYNC_FILE_RANGE_WRITE)


def read_up_to(fd: int, size: int, offset: int) -> bytes:
    """``size`` bytes from ``offset``, fewer only where the file ends."""
    data = os.pread(fd, size, offset)
    if len(data) in (0, size):
        return data
    parts, done = [data], len(data)
    while done < size and (data := os.pread(fd, size - done, offset + done)):
        parts.append(data)
        done += len(data)
    return b"".join(parts)


def sync_path(path: Path) -> None:
    """Make a file's bytes, or the names in a folder, outlive a failure of power."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def sync_all(paths: Iterable[Path]) -> None:
    """``sync_path`` one after another; what has been removed meanwhile needs none."""
    for path in paths:
        with suppress(FileNotFoundError):
            sync_path(path)


def hold(path: Path, otherwise: str) -> int:
    """Lock the file or folder at ``path`` until the returned descriptor is closed, however this process ends.

    Raises an :class:`EnvironmentFault` that says ``otherwise`` when another process holds it.
    """
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(fd)
        raise EnvironmentFault(otherwise) from error
    except OSError:
        os.close(fd)
        raise
    return fd


def make_folder(path: Path) -> None:
    """A private folder, and those above it, under names that outlive a failure of power."""
    if path.is_dir():
        return
    if not path.parent.exists():
        make_folder(path.parent)
    path.mkdir(mode=0o700, exist_ok=True)
    sync_path(path.parent)


_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
