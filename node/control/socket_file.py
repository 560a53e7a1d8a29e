"""The file through which a node is given orders, and that there is one node for it.

Rules:

1. The folder is private to its owner (0700), the socket too (0600): whoever can open it may give orders.
2. A node locks the folder for as long as it runs. The system lets the lock go when the process ends, however it ends,
   so nothing has to be cleaned up by hand after a crash.
3. A socket that is there already is removed only by whoever holds the lock, and only if nobody answers on it.
"""

import errno
import fcntl
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self
from urllib.parse import quote

from node.errors import MachineFault, UserError
from node.home import MAX_SOCKET_BYTES

PROBE_SECONDS = 5.0

_PRIVATE_FOLDER = 0o700
_PRIVATE_FILE = 0o600
_OTHERS = 0o077


class SocketFile:
    """A node's socket, claimed by this process; to be released."""

    def __init__(self, path: Path, lock: int) -> None:
        self.path = path
        self._lock = lock
        self._made: tuple[int, int] | None = None

    @classmethod
    def claim(cls, path: Path) -> Self:
        """Make the folder private, lock it, and clear the way; refused while another node is running there."""
        check_length(path)
        _make_private(path.parent)
        lock = _locked(path.parent)
        try:
            _clear(path)
        except BaseException:
            os.close(lock)
            raise
        return cls(path, lock)

    @contextmanager
    def binding(self) -> Iterator[str]:
        """What gRPC is to bind within this block; afterwards only the owner can open it."""
        before = os.umask(_OTHERS | 0o100)
        try:
            yield target(self.path)
        finally:
            os.umask(before)
        self.path.chmod(_PRIVATE_FILE)
        found = self.path.lstat()
        self._made = (found.st_dev, found.st_ino)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def release(self) -> None:
        """Remove the socket, if it still is ours, and let others claim it. Releasing twice is allowed."""
        if self._lock < 0:
            return
        try:
            found = self.path.lstat()
            if (found.st_dev, found.st_ino) == self._made:
                self.path.unlink()
        except FileNotFoundError:
            pass
        finally:
            os.close(self._lock)
            self._lock = -1


def target(path: Path) -> str:
    """What gRPC calls a socket."""
    return "unix:" + quote(os.fsencode(path.absolute()))


def check_length(path: Path) -> None:
    """The system takes no longer ones, and says so in words that nobody understands."""
    length = len(os.fsencode(path.absolute()))
    if length > MAX_SOCKET_BYTES:
        raise UserError(
            f"the path {path} has {length} bytes, a socket's may have {MAX_SOCKET_BYTES}; "
            "choose a shorter folder with UMM_HOME"
        )


def answers(path: Path) -> bool:
    """Whether anybody listens on a socket; False if there is none."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(PROBE_SECONDS)
        try:
            probe.connect(os.fsencode(path))
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        except PermissionError:
            raise MachineFault(f"{path} belongs to another user; give orders as that user") from None
        except OSError:  # somebody listens and has too much to do
            return True
    return True


def _make_private(folder: Path) -> None:
    try:
        folder.mkdir(mode=_PRIVATE_FOLDER, parents=True, exist_ok=True)
        found = folder.stat()
    except OSError as error:
        raise MachineFault(f"the folder {folder} cannot be made or read: {error.strerror}") from None
    if found.st_uid != os.geteuid():
        raise MachineFault(f"the folder {folder} belongs to another user; choose another one with UMM_HOME")
    if stat.S_IMODE(found.st_mode) & _OTHERS:
        raise MachineFault(
            f"the folder {folder} is open to other users (mode {stat.S_IMODE(found.st_mode):o}), and whoever can enter "
            f"it could give orders; make it private: chmod 700 {folder}"
        )


def _locked(folder: Path) -> int:
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            raise _running(folder) from None
        raise MachineFault(f"the folder {folder} cannot be locked: {error.strerror}; is it on a local disk?") from None
    return lock


def _clear(path: Path) -> None:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise MachineFault(f"{path} is in the way and is not a socket; move it elsewhere")
    if answers(path):
        raise _running(path.parent)
    path.unlink()


def _running(folder: Path) -> UserError:
    return UserError(
        f"a node is running in {folder} already; stop it with: umm stop; or choose another folder with UMM_HOME"
    )
