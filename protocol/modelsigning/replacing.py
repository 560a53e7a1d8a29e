"""Putting a new file in an old one's place: all of it or nothing, one writer at a time.

The new content is written to the file's name with ``PARTIAL`` behind it, which is also the lock. That name is among
what our signatures leave out, so that no writer, at work or killed, spoils the folder for a verifier.
"""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from protocol.blobs.disk import blaming_the_machine, sync_path, write_exactly
from protocol.modelsigning.folder import PARTIAL


def replace(path: Path, content: Callable[[], bytes | None]) -> None:
    """Write what ``content`` returns, asked once nobody else is writing; None leaves the file as it is."""
    partial = path.with_name(path.name + PARTIAL)
    with blaming_the_machine("write", path), _held(partial) as fd:
        written = False
        try:
            if (data := content()) is not None:
                os.ftruncate(fd, 0)
                write_exactly(fd, data, 0)
                os.fsync(fd)
                partial.replace(path)
                written = True
                sync_path(path.parent)
        finally:
            if not written:  # once renamed, what lies under the partial name is somebody else's
                partial.unlink(missing_ok=True)


@contextmanager
def _held(partial: Path) -> Iterator[int]:
    """The one descriptor that may write; a file that the writer before renamed or removed is made anew."""
    while True:
        fd = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            if _is_still_at(fd, partial):
                yield fd
                return
        finally:
            os.close(fd)


def _is_still_at(fd: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), path.lstat())
    except FileNotFoundError:
        return False
