"""The results of a recipe's earlier documents: kept beside the output until the last document is done.

A rerun finds there what it need not do again. What a stage is worth is told by its fingerprint (recipe, inputs,
program), not by its name.

The folder may have been planted by somebody else. Its list is only a hint; what is written or removed are folders with
the names of this recipe's own documents, inside it, and never through a link.
"""

import json
import os
import shutil
from collections.abc import Collection
from pathlib import Path

from blake3 import blake3

from umm.checkpoint.disk import blaming_the_machine
from umm.checkpoint.folder import Folder
from umm.checkpoint.layout import lay_out
from umm.errors import CheckpointError, EnvironmentFault
from umm.merge import fingerprint
from umm.plan import Plan

LIST = "umm-stages.json"
"""Which stages are whole: their names and the digests of their fingerprints. Marks the folder as ours."""

MAX_LIST_BYTES = 1 << 16
"""The longest list read: some times what the names and digests of a recipe's documents take."""

ONE_FILE = 1 << 62
"""A shard size that nothing reaches, in bytes."""


class Stages:
    """The folder ``OUT.stages``, for the results of the documents called ``names`` (plain names, as recipes have)."""

    def __init__(self, out: Path, names: Collection[str]) -> None:
        whole = out.resolve()
        self._folder = whole.with_name(f"{whole.name}.stages")
        self._list = self._folder / LIST
        self._names = frozenset(names)

    def folder(self, name: str) -> Path:
        """Where the stage of that name lies."""
        return self._folder / name

    def prepare(self) -> None:
        """Make the folder; refuse one of the same name that somebody else made."""
        with blaming_the_machine("create", self._folder):
            for path in (self._folder, *(self.folder(name) for name in sorted(self._names))):
                if path.is_symlink():
                    raise EnvironmentFault(f"{path}, where an intermediate result would go, is a link; remove it")
            if self._folder.exists() and not self._list.is_file() and any(self._folder.iterdir()):
                raise EnvironmentFault(
                    f"{self._folder}, where intermediate results would go, holds other files; choose another OUT"
                )
            self._folder.mkdir(parents=True, exist_ok=True)
            if not self._list.is_file():
                self._write({})

    def has(self, name: str, plan: Plan) -> bool:
        """Whether the stage is there, whole, and from this very plan."""
        return self._done().get(name) == _work(plan) and self._is_ours(name)

    def keep(self, name: str, plan: Plan) -> None:
        """Note that the stage is whole."""
        with blaming_the_machine("write", self._list):
            self._write({**self._done(), name: _work(plan)})

    def remove(self) -> None:
        """Remove the stages noted here, and the folder if nothing else is in it."""
        with blaming_the_machine("remove", self._folder):
            for name in self._done():
                if self._is_ours(name):
                    shutil.rmtree(self.folder(name), ignore_errors=True)
            if all(path == self._list for path in self._folder.iterdir()):
                self._list.unlink(missing_ok=True)
                self._folder.rmdir()

    def _is_ours(self, name: str) -> bool:
        folder = self.folder(name)
        return name in self._names and folder.is_dir() and not folder.is_symlink()

    def _done(self) -> dict[str, str]:
        """The list, as far as it speaks of this recipe's documents; nothing if somebody else wrote it."""
        try:
            found = Folder(self._folder, self._folder).read_object(LIST, MAX_LIST_BYTES)
        except (CheckpointError, EnvironmentFault):
            return {}
        return {name: work for name, work in found.items() if name in self._names and isinstance(work, str)}

    def _write(self, done: dict[str, str]) -> None:
        fresh = self._list.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        with fresh.open("x", encoding="utf-8") as file:  # which follows no link
            json.dump(done, file)
        fresh.replace(self._list)


def stand_in(plan: Plan, folder: Path) -> None:
    """A folder with the headers and small files that the plan's output will have, and holes for its values.

    With it a document can be planned before those that it builds on were merged.
    """
    layout = lay_out([s.output for s in plan.steps], ONE_FILE, {})
    with blaming_the_machine("write", folder):
        folder.mkdir(parents=True)
        for name, data in plan.files.items():
            (folder / name).write_bytes(data)
        (shard,) = layout.shards
        with (folder / shard.file).open("wb") as file:
            file.write(shard.head)
            file.truncate(shard.size)
            for step in plan.steps:
                if step.arguments is None:  # what is copied must be the same in all models, so plans read it
                    raw = step.models[0].checkpoint.raw(step.names[0])
                    os.pwrite(file.fileno(), raw, layout.places[step.name].start)


def _work(plan: Plan) -> str:
    return blake3(fingerprint(plan).encode()).hexdigest()
