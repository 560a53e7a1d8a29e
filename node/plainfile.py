"""Files that lie in a folder somebody else made: only plain ones are read, no link is followed, nothing is read past
a limit."""

import os
import stat
from pathlib import Path

from protocol.blobs.disk import blaming_the_machine, read_up_to
from protocol.errors import MalformedError, TooLargeError


def read_plain(path: Path, limit: int) -> bytes | None:
    """All of the file at ``path``, at most ``limit`` bytes; None where there is none."""
    with blaming_the_machine("read", path):
        try:
            if not stat.S_ISREG(path.lstat().st_mode):
                raise MalformedError(f"{path} is not a plain file; remove it")
            fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            size = os.fstat(fd).st_size
            if size > limit:
                raise TooLargeError(f"{path} is {size} bytes long; at most {limit} are allowed")
            return read_up_to(fd, size, 0)
        finally:
            os.close(fd)
