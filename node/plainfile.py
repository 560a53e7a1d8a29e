"""Files that somebody else may have made: only plain ones are read, no link leads out, nothing is read past a limit."""

import os
import stat
from pathlib import Path

from protocol.blobs.disk import blaming_the_machine, read_up_to
from protocol.blobs.modelfolder import ModelFolder
from protocol.errors import MalformedError, TooLargeError, UsageError


def read_inside(folder: Path, name: str, limit: int) -> bytes | None:
    """All of a file in a model folder; None where there is none. Links may lead to where a model's may."""
    here = ModelFolder.of(folder)
    if not here.has(name):
        return None
    try:
        path, _ = here.file(name)
    except UsageError as error:
        raise MalformedError(str(error)) from error
    return read_plain(path, limit)


def read_plain(path: Path, limit: int) -> bytes | None:
    """All of the file at ``path``, at most ``limit`` bytes; None where there is none. The path itself is no link."""
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
