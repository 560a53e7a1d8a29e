"""Blobs back into a model folder that programs can load.

The folder is written under another name beside its own, flushed to the disk, and then renamed: it appears whole or not
at all, whenever the process is killed. Chunks are verified as they are read, so the folder's root is the manifest's.
"""

import os
import shutil
from collections.abc import Callable, Iterator, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from protocol.blobs.disk import blaming_the_machine, hold, sync_path, write_exactly
from protocol.blobs.layout import ONLY, SHARD_BYTES, index_name, lay_out
from protocol.blobs.manifest import FileEntry, Manifest, TensorEntry
from protocol.blobs.source import Blobs
from protocol.errors import EnvironmentFault, UnavailableError, UsageError
from protocol.strict import canonical, shown

PARTIAL = ".umm-partial"
"""Behind a dot and the folder's name: the folder in the making."""

SPARE_BYTES = 64 * 2**20
"""Free space to leave on the disk beside the folder."""

Progress = Callable[[int], None]
"""Hears how many bytes were written each time."""


def assemble(
    manifest: Manifest,
    blobs: Blobs,
    folder: Path,
    *,
    shard_bytes: int = SHARD_BYTES,
    only: Set[str] | None = None,
    progress: Progress | None = None,
) -> bytes:
    """Write what the manifest lists into a new folder (or an empty one) and return the manifest's root.

    With ``only``, of the tensors just these have their values written. Every file has the header and the length of the
    whole one, with holes where the other values would be, and ``ONLY`` says that this is not the model.

    Raises an :class:`UnavailableError` when a chunk is missing in ``blobs``, and leaves nothing behind then.
    """
    layout = lay_out(manifest, shard_bytes)
    left_out = _left_out(manifest, only)
    _check_target(folder)
    with blaming_the_machine("write", folder), _in_the_making(folder) as partial:
        _check_space(partial, manifest.total_bytes - sum(t.size for t in manifest.tensors if t.name in left_out))
        copy = _Copy(partial, blobs, left_out, progress or (lambda _: None))
        for file in manifest.files:
            copy.write(file.name, b"", [file])
        for shard in layout.shards:
            copy.write(shard.file, shard.head, shard.tensors)
        if layout.index is not None:
            copy.write(index_name(manifest.about), layout.index, [])
        if only is not None:
            copy.write(ONLY, canonical({"tensors": sorted(only)}), [])
        sync_path(partial)
        partial.rename(folder)
        sync_path(folder.parent)
    return manifest.root


def _left_out(manifest: Manifest, only: Set[str] | None) -> Set[str]:
    """The tensors whose values are not written."""
    names = {tensor.name for tensor in manifest.tensors}
    if only is None:
        return frozenset()
    if unknown := sorted(only - names):
        raise UsageError(f"the manifest lists no tensor {shown(unknown[0])}; ask for those that it lists")
    return names - only


def _check_target(folder: Path) -> None:
    with blaming_the_machine("use", folder):
        if (
            folder.is_symlink()
            or (folder.exists() and not folder.is_dir())
            or (folder.is_dir() and any(folder.iterdir()))
        ):
            raise UsageError(f"{folder} is there already and is not an empty folder; choose another one")


@contextmanager
def _in_the_making(folder: Path) -> Iterator[Path]:
    """A new folder beside the one to be, held against other processes; removed unless it has been renamed."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = folder.parent / f".{folder.name}{PARTIAL}"
    partial.mkdir(exist_ok=True)
    held = hold(partial, f"another process is writing {folder}; wait for it to end")
    try:
        for leftover in partial.iterdir():
            leftover.unlink()
        yield partial
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    finally:
        os.close(held)


def _check_space(partial: Path, size: int) -> None:
    free = shutil.disk_usage(partial).free
    if size + SPARE_BYTES > free:
        raise EnvironmentFault(
            f"{partial.parent} needs {(size + SPARE_BYTES) / 1e9:.1f} GB and its disk has {free / 1e9:.1f} GB free; "
            "free some space or choose another folder"
        )


@dataclass(frozen=True)
class _Copy:
    partial: Path
    blobs: Blobs
    left_out: Set[str]
    progress: Progress

    def write(self, name: str, head: bytes, entries: Sequence[FileEntry | TensorEntry]) -> None:
        """A file of these bytes and then the blobs of these entries, or holes; on the disk when this returns."""
        fd = os.open(self.partial / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        try:
            write_exactly(fd, head, 0)
            at = len(head)
            for entry in entries:
                if isinstance(entry, TensorEntry) and entry.name in self.left_out:
                    at += entry.size
                    continue
                for chunk in _chunks(entry, self.blobs):
                    write_exactly(fd, chunk, at)
                    at += len(chunk)
                    self.progress(len(chunk))
            os.ftruncate(fd, at)
            os.fsync(fd)
        finally:
            os.close(fd)


def _chunks(entry: FileEntry | TensorEntry, blobs: Blobs) -> Iterator[bytes]:
    chunks = blobs.find(entry.blob_id)
    if chunks is None:
        raise UnavailableError(
            f"the blob of {shown(entry.name)} ({entry.blob_id.hex()}) is not here; download it first"
        )
    if chunks.size != entry.size:
        raise UnavailableError(
            f"the blob of {shown(entry.name)} has {chunks.size} bytes, the manifest says {entry.size}"
        )
    for index in range(len(chunks.digests)):
        data = blobs.read(entry.blob_id, index)
        if data is None:
            raise UnavailableError(f"chunk {index} of {shown(entry.name)} is not here; finish the download first")
        yield data
