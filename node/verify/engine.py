"""The maths of a re-merge, done by child processes (``node.worker``) with limits of memory and time."""

import asyncio
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from node.errors import UserError
from node.recipes import Member as Named
from node.recipes import expand
from node.verify.accusing import leaves_of
from node.verify.remerge import CannotMergeError, Member, Merged
from node.worker import run_job
from protocol import checkpoint_root
from protocol.blobs.folder import manifest_of_folder
from umm.errors import RecipeError

Progress = Callable[[str, int, int], None]
"""Hears what is done, how much of it and of how much."""


@dataclass(frozen=True)
class WorkerEngine:
    """See :class:`node.verify.remerge.Engine`. What it makes lies in ``work``, which is its own."""

    work: Path
    memory_bytes: int
    seconds: float
    progress: Progress = lambda *_: None

    def expand(
        self, template: str, roster: Sequence[Member], seed: bytes, base: str, folder: Callable[[Member], str]
    ) -> str:
        """See :class:`node.verify.remerge.Engine`."""
        members = [Named(member.id, member.kind, member.domain) for member in roster]
        try:
            return expand(template, members, seed, base, folder)
        except RecipeError as error:
            raise CannotMergeError(str(error)) from error

    async def decode(self, base: Path, delta: Path, only: frozenset[str] | None) -> Path:
        """See :class:`node.verify.remerge.Engine`."""
        out = self._new("expert")
        job: dict[str, Any] = {"job": "decode", "base": str(base), "delta": str(delta), "out": str(out)}
        await self._run(job | _chosen(only))
        return out

    async def merge(self, recipe: str, only: frozenset[str] | None) -> Merged:
        """See :class:`node.verify.remerge.Engine`. A whole merge is written, read again for its leaves, and removed."""
        if only is not None:
            answer = await self._run({"job": "merge", "recipe": recipe, **_chosen(only)})
            return Merged(_bytes(answer["tensors"]), _bytes(answer["files"]))
        out = self._new("merged")
        await self._run({"job": "merge", "recipe": recipe, "out": str(out)})
        manifest = await asyncio.to_thread(manifest_of_folder, out)
        await asyncio.to_thread(shutil.rmtree, out)
        files = {file.name: checkpoint_root.file_leaf(file.name, file.blob_id) for file in manifest.files}
        return Merged(leaves_of(manifest), files)

    def _new(self, what: str) -> Path:
        return self.work / f"{what}-{uuid4().hex}"

    async def _run(self, job: dict[str, Any]) -> Mapping[str, Any]:
        try:
            return await run_job(job, memory_bytes=self.memory_bytes, seconds=self.seconds, progress=self.progress)
        except UserError as error:
            raise CannotMergeError(str(error)) from error


def _chosen(only: frozenset[str] | None) -> dict[str, list[str]]:
    return {} if only is None else {"only": sorted(only)}


def _bytes(digests: Mapping[str, str]) -> dict[str, bytes]:
    return {name: bytes.fromhex(digest) for name, digest in digests.items()}
