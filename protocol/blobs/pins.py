"""Who needs which blobs, on the disk: ``pins/<holder>/<blob id>`` is an empty file for every pin.

A pin is one file's name, so it is there or not, whatever kills the process; after a failure of power, those of the last
flush are.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from protocol.errors import UsageError

HOLDER = re.compile(r"[a-z0-9][a-z0-9_-]{0,79}")
"""The name of who needs a blob: a round, a checkpoint, the user. It becomes the name of a folder."""

BLOB_NAME = re.compile(r"[0-9a-f]{64}")
"""How a blob's id is spelled as a file's name."""


def load(folder: Path) -> Iterator[tuple[bytes, str]]:
    """Every pin: the blob and its holder. What does not look like one is left alone."""
    for holder in sorted(folder.iterdir()):
        if HOLDER.fullmatch(holder.name) and holder.is_dir():
            names = sorted(entry.name for entry in holder.iterdir())
            yield from ((bytes.fromhex(name), holder.name) for name in names if BLOB_NAME.fullmatch(name))


def check_holder(holder: str) -> None:
    """Refuse a holder that could not be a folder's name everywhere."""
    if not HOLDER.fullmatch(holder):
        raise UsageError(f"{holder!a} cannot pin: use 1 to 80 of a-z, 0-9, - and _")


def add(folder: Path, blob: bytes, holder: str) -> None:
    """Write a pin; one that is there already stays."""
    mine = folder / holder
    mine.mkdir(exist_ok=True)
    os.close(os.open(mine / blob.hex(), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))


def drop(folder: Path, blob: bytes, holder: str) -> None:
    """Remove a pin, and the holder's folder with the last one."""
    mine = folder / holder
    (mine / blob.hex()).unlink(missing_ok=True)
    if mine.is_dir() and not any(mine.iterdir()):
        mine.rmdir()
