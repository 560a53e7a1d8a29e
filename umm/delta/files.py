"""The files of a model beside its weights: those that an expert changed travel with its delta.

They are the closed list that a root covers. A file of the base that the expert does not have stays: a delta can put
files in place of others and add some, not take any away.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from umm.checkpoint.disk import blaming_the_machine, read_exactly, write_exactly
from umm.checkpoint.folder import CONFIG, MAX_CONFIG_BYTES, MAX_SMALL_FILE_BYTES, SMALL_FILES, Folder
from umm.errors import CheckpointError

BLOCK_BYTES = 1 << 20

NAMES = tuple(sorted((CONFIG, *SMALL_FILES)))
"""What may lie beside the weights."""


def present(here: Folder) -> tuple[str, ...]:
    """Those of the files that a folder has, after checking that they are files inside of it and not too long."""
    found = tuple(name for name in NAMES if here.has(name))
    for name in found:
        _opened(here, name, close=True)
    if CONFIG in found:
        here.config()
    return found


def different(here: Folder, there: Folder, name: str) -> bool:
    """Whether a file of ``here`` is missing in ``there`` or has other content."""
    if not there.has(name):
        return True
    return _size(here, name) != _size(there, name) or any(
        a != b for a, b in zip(_blocks(here, name), _blocks(there, name), strict=True)
    )


def copy(here: Folder, name: str, target: Path) -> None:
    """Write a file of ``here`` to ``target``; it is on the disk when this returns."""
    with blaming_the_machine("write", target):
        fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        try:
            at = 0
            for block in _blocks(here, name):
                write_exactly(fd, memoryview(block), at, target)
                at += len(block)
            os.fsync(fd)
        finally:
            os.close(fd)


def _blocks(here: Folder, name: str) -> Iterator[bytearray]:
    fd, size, path = _opened(here, name)
    try:
        for start in range(0, size, BLOCK_BYTES):
            block = bytearray(min(BLOCK_BYTES, size - start))
            read_exactly(fd, memoryview(block), start, path)
            yield block
    finally:
        os.close(fd)


def _size(here: Folder, name: str) -> int:
    return _opened(here, name, close=True)[1]


def _opened(here: Folder, name: str, *, close: bool = False) -> tuple[int, int, Path]:
    fd, size, path = here.open(name)
    limit = MAX_CONFIG_BYTES if name == CONFIG else MAX_SMALL_FILE_BYTES
    if close or size > limit:
        os.close(fd)
    if size > limit:
        raise CheckpointError(f"{here.path / name} is {size} bytes long; the limit is {limit}")
    return fd, size, path
