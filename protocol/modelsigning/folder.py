"""The files of a folder and their SHA-256 digests, in bounded memory.

Rules:

1. Everything below the folder is a plain file or a folder; a symbolic link, a pipe, a socket, a device is refused, not
   skipped. What is ignored is not even looked at. Empty folders do not count.
2. Numbers and lengths are bounded (``MAX_FILES``, ``MAX_ENTRIES``, names and depth as in ``statement``).
3. A file that changes between being listed and having been hashed is an error.
"""

import hashlib
import os
import stat
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from threading import Event

from protocol.blobs.disk import blaming_the_machine
from protocol.errors import EnvironmentFault, MalformedError, TooLargeError, UsageError
from protocol.modelsigning.statement import MAX_FILES, check_name
from protocol.strict import shown

BUNDLE_FILE = "model.sig"
CLAIMS_FILE = "claims.jsonl"
PARTIAL = ".part"
"""What the name of an unfinished file of ours ends with."""

ALWAYS_UNSIGNED = (".git", ".gitattributes", ".github", ".gitignore", BUNDLE_FILE)
"""What the specification leaves out of every signature, at the top of the folder; the signature itself too."""

UNSIGNED = tuple(sorted((*ALWAYS_UNSIGNED, BUNDLE_FILE + PARTIAL, CLAIMS_FILE, CLAIMS_FILE + PARTIAL)))
"""What our signatures leave out, and say so, so that claims can be added to a folder after it was signed."""

MAX_ENTRIES = 65_536
"""Files and folders that are looked at."""

HASHING_THREADS = 4

READ_BYTES = 2**20
"""Read at once, by each thread."""

Progress = Callable[[int], object]


@dataclass(frozen=True)
class Listing:
    """A folder before it is hashed: every file with its state, and what was ignored."""

    folder: Path
    files: Mapping[str, os.stat_result]
    ignored: tuple[str, ...]

    @property
    def total(self) -> int:
        """Bytes in all files."""
        return sum(status.st_size for status in self.files.values())


def list_files(folder: Path, ignored: Iterable[str]) -> Listing:
    """Everything below ``folder`` except the paths in ``ignored`` and what is beneath them."""
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder; a model is a folder")
    skip = frozenset(ignored)
    files: dict[str, os.stat_result] = {}
    skipped: list[str] = []
    seen, pending = 0, [""]
    with blaming_the_machine("list", folder):
        while pending:
            parent = pending.pop()
            for entry in _entries(folder / parent):
                seen += 1
                if seen > MAX_ENTRIES:
                    raise TooLargeError(f"{folder} has more than {MAX_ENTRIES} files and folders; this is not a model")
                name = parent + entry.name
                if name in skip:
                    skipped.append(name)
                elif _is_folder(entry, name, folder):
                    pending.append(f"{name}/")
                else:
                    files[name] = entry.stat(follow_symlinks=False)
    if len(files) > MAX_FILES:
        raise TooLargeError(f"{folder} has {len(files)} files; a signature covers at most {MAX_FILES}")
    return Listing(folder, files, tuple(sorted(skipped)))


def digests(listing: Listing, names: Iterable[str], progress: Progress) -> dict[str, bytes]:
    """The SHA-256 of the files called ``names``; ``progress`` is told, from several threads, of bytes read."""
    largest_first = sorted(names, key=lambda name: -listing.files[name].st_size)
    over = Event()

    def one(name: str) -> bytes:
        return _digest(listing.folder / name, listing.files[name], progress, over)

    pool = ThreadPoolExecutor(HASHING_THREADS)
    try:
        return dict(zip(largest_first, pool.map(one, largest_first), strict=True))
    finally:  # after an error or an interrupt nobody waits for the rest of a large file
        over.set()
        pool.shutdown(cancel_futures=True)


def _entries(path: Path) -> list[os.DirEntry[str]]:
    with os.scandir(path) as entries:
        return list(islice(entries, MAX_ENTRIES + 1))


def _is_folder(entry: os.DirEntry[str], name: str, folder: Path) -> bool:
    check_name(name, f"in {folder}, a name")
    if entry.is_symlink():
        raise MalformedError(f"{shown(name)} in {folder} is a symbolic link; put the file itself in its place")
    if entry.is_file(follow_symlinks=False):
        return False
    if not entry.is_dir(follow_symlinks=False):
        raise MalformedError(f"{shown(name)} in {folder} is neither a file nor a folder; remove it")
    return True


def _digest(path: Path, listed: os.stat_result, progress: Progress, over: Event) -> bytes:
    sha256, buffer, left = hashlib.sha256(), memoryview(bytearray(READ_BYTES)), listed.st_size
    with blaming_the_machine("read", path):
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            _check_same(listed, os.fstat(fd), path)
            while left and not over.is_set() and (count := os.readv(fd, [buffer[:left]])):
                sha256.update(buffer[:count])
                left -= count
                progress(count)
            _check_same(listed, os.fstat(fd), path)
        finally:
            os.close(fd)
    if left:
        raise _changed(path)
    return sha256.digest()


def _check_same(before: os.stat_result, now: os.stat_result, path: Path) -> None:
    if not stat.S_ISREG(now.st_mode) or _identity(before) != _identity(now):
        raise _changed(path)


def _identity(status: os.stat_result) -> tuple[int, int, int, int]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _changed(path: Path) -> EnvironmentFault:
    return EnvironmentFault(f"{path} changed while it was being read; try again when nothing writes to it")
