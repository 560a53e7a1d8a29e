"""A folder that appears whole or not at all, whenever the process is killed."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from umm.checkpoint.disk import blaming_the_machine, hold, sync_folder
from umm.checkpoint.folder import PARTIAL
from umm.errors import EnvironmentFault


@contextmanager
def in_the_making(folder: Path) -> Iterator[Path]:
    """A folder beside the one to be, empty at first, which gets its name when the block ends without an error.

    Files in it are the caller's to sync. Leftovers of a process that was killed are removed.
    """
    _refuse_target(folder)
    partial = folder.parent / f".{folder.name}{PARTIAL}"
    with blaming_the_machine("create", partial):
        partial.mkdir(parents=True, exist_ok=True)
    held = _held(partial)
    try:
        with blaming_the_machine("write into", partial):
            _empty(partial)
            yield partial
            sync_folder(partial)
            partial.rename(folder)
        sync_folder(folder.parent)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    finally:
        os.close(held)


def _held(partial: Path) -> int:
    """The lock on the folder that is called so now, and not on one that somebody just finished and renamed."""
    held = hold(partial)
    if partial.is_dir() and os.path.samestat(os.fstat(held), partial.stat()):
        return held
    os.close(held)
    raise EnvironmentFault(f"another process just finished what it wrote into {partial}; look at it, then try again")


def _refuse_target(folder: Path) -> None:
    with blaming_the_machine("use", folder):
        taken = folder.is_symlink() or (folder.exists() and (not folder.is_dir() or any(folder.iterdir())))
    if taken:
        raise EnvironmentFault(f"{folder} is there already and is not an empty folder; choose another one")


def _empty(partial: Path) -> None:
    for leftover in partial.iterdir():
        if leftover.is_dir() and not leftover.is_symlink():
            shutil.rmtree(leftover)
        else:
            leftover.unlink()
