"""The output folder around the bytes: may we write here, is there room, and the order in which files appear.

The rules of publishing:

1. A file gets its final name only when it and all others are on the disk.
2. The file that makes a model loadable (the index, or the single weight file) comes last and goes first:
   whoever sees it finds everything it speaks of.
"""

import shutil
from collections.abc import Iterable
from pathlib import Path

from blake3 import blake3

from umm.checkpoint.disk import blaming_the_machine, sync_folder
from umm.checkpoint.folder import ADAPTER_CONFIG, ADAPTER_WEIGHTS, CONFIG, INDEX, PARTIAL, SINGLE, SMALL_FILES
from umm.checkpoint.journal import journalled_identity
from umm.checkpoint.layout import Layout
from umm.errors import EnvironmentFault

JOURNAL = "journal"
RECEIPT = "umm.json"
CARD = "README.md"

SPARE_BYTES = 64 * 2**20
"""Free space to leave on the disk beside the weights: for the small files and for others."""

BLOCK_UNIT_BYTES = 512
"""What ``st_blocks`` counts in, on every system."""


def identity(fingerprint: str, layout: Layout) -> str:
    """What unfinished work must agree in to be continued: recipe, inputs, and where every byte goes."""
    whole = blake3(fingerprint.encode())
    for shard in layout.shards:
        whole.update(shard.file.encode() + shard.head)
    return whole.hexdigest()


def may_resume(folder: Path, work: str, *, force: bool) -> bool:
    """Whether the folder holds this very work, unfinished; raises if it holds anything else."""
    found = journalled_identity(folder / PARTIAL / JOURNAL)
    if found == work:
        return True
    if found is not None and not force:
        raise EnvironmentFault(
            f"{folder} holds an unfinished merge of another recipe or other inputs; choose another folder, "
            "or use --force to discard it"
        )
    if not force:
        refuse_others(folder)
    return False


def refuse_others(folder: Path) -> None:
    """Raise if the folder holds anything, unless there is unfinished work in it."""
    with blaming_the_machine("use", folder):
        if not folder.is_dir() or journalled_identity(folder / PARTIAL / JOURNAL) is not None:
            return
        others = sorted(p.name for p in folder.iterdir() if p.name != PARTIAL)
    if others:
        raise EnvironmentFault(
            f"{folder} is not empty (it holds {others[0]}); choose another folder, or use --force to replace "
            "the model in it"
        )


def check_space(folder: Path, layout: Layout) -> None:
    """Refuse before writing what cannot fit, counting what earlier work has set aside already."""
    kept = [folder / PARTIAL / s.file for s in layout.shards]
    reserved = sum(p.stat().st_blocks * BLOCK_UNIT_BYTES for p in kept if p.is_file())
    needed = max(0, layout.size - reserved) + SPARE_BYTES
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise EnvironmentFault(
            f"{folder} needs {needed / 1e9:.1f} GB and its disk has {free / 1e9:.1f} GB free; free some "
            "space or choose another folder"
        )


def take_back(folder: Path, layout: Layout) -> None:
    """Undo a publishing that was cut short, so that its files can be checked and published again."""
    lost = [s.file for s in layout.shards if not (folder / PARTIAL / s.file).exists()]
    published = [name for name in lost if (folder / name).is_file()]
    with blaming_the_machine("resume", folder):
        if published:
            (folder / INDEX).unlink(missing_ok=True)
        for name in published:
            (folder / name).replace(folder / PARTIAL / name)


def publish(folder: Path, names: Iterable[str], last: str) -> None:
    """Move finished files out of the partial folder, ``last`` at the end, and remove that folder."""
    partial = folder / PARTIAL
    new = {*names, last}
    with blaming_the_machine("publish", folder):
        for name in (INDEX, SINGLE):
            (folder / name).unlink(missing_ok=True)
        for path in folder.iterdir():
            if path.name not in new and _belongs_to_a_model(path.name):
                path.unlink()
        for name in sorted(new - {last}):
            (partial / name).replace(folder / name)
        sync_folder(folder)
        (partial / last).replace(folder / last)
        sync_folder(folder)
    discard(partial)


def discard(partial: Path) -> None:
    """Remove unfinished work, the journal first: without it the rest means nothing. A link goes, not its target."""
    with blaming_the_machine("remove", partial):
        if partial.is_symlink():
            partial.unlink()
        (partial / JOURNAL).unlink(missing_ok=True)
        if partial.is_dir():
            shutil.rmtree(partial)


def remove_if_empty(folder: Path) -> None:
    """Remove a folder in which nothing is left."""
    with blaming_the_machine("remove", folder):
        if not any(folder.iterdir()):
            folder.rmdir()


def _belongs_to_a_model(name: str) -> bool:
    weights = name.startswith("model-") and name.endswith(".safetensors")
    return weights or name in SMALL_FILES or name in (CONFIG, ADAPTER_CONFIG, ADAPTER_WEIGHTS, RECEIPT, CARD)
