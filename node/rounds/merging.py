"""The heavy work of a steward, done by child processes on folders that this process has fetched and verified."""

import asyncio
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from node.config import Limits
from node.database import Verdict
from node.errors import MachineFault, NodeError
from node.home import Home
from node.peers import Place
from node.recipes import DEFAULT_TEMPLATE, Member, expand
from node.rounds.materials import Materials
from node.rounds.proceedings import Proceedings
from node.worker import run_job
from protocol.blobs.manifest import Manifest
from protocol.errors import UnavailableError
from protocol.records import Contribution, Kind, Recipe, Roster, Round, Signed

MAX_RECIPE_BYTES = 1 << 20
"""Of a recipe that is a blob."""


@dataclass(frozen=True)
class Merging:
    """Runs the child processes."""

    home: Home
    limits: Limits
    materials: Materials
    progress: Callable[[str, int, int], None] = lambda *_: None

    async def check(self, offer: Signed[Contribution], base: Path, folder: Path, round_: Round) -> Verdict:
        """What is wrong with a contribution that is here."""
        record = offer.record
        answer = await self._run(
            {
                "job": "check",
                "base": str(base),
                "contribution": str(folder),
                "kind": record.kind.value,
                "max_norm": round_.admission.max_norm,
            }
        )
        if answer["ok"]:
            return Verdict(offer.id, None, None)
        return Verdict(offer.id, str(answer["fault"]), str(answer["reason"]))

    async def merge(self, proceedings: Proceedings, roster: Roster, places: Sequence[Place], revision: int) -> Manifest:
        """The merged model: in ``models/<root>``, served from there."""
        round_ = proceedings.round
        work = self.home.work / round_.id.hex()
        base = await self.materials.base(round_, places)
        members, folders = [], {}
        for contribution in roster.contributions:
            offer = proceedings.ledger.find(contribution)
            if offer is None or not isinstance(offer.record, Contribution):
                raise UnavailableError(f"contribution {contribution.hex()} of the roster is not known here yet")
            record = offer.record
            folder = await self.materials.contribution(Signed(record, offer.envelope), places)
            members.append(Member(contribution, record.kind.value, record.domain))
            folders[contribution] = await self._expert(base, folder, record.kind, work / f"{contribution.hex()}.expert")
        text = await self._recipe(round_.record.recipe, round_.id, places)
        recipe = expand(text, members, round_.record.seed, str(base), lambda member: str(folders[member.id]))
        out = work / f"merged-{revision}"
        answer = await self._run({"job": "merge", "recipe": recipe, "out": str(out)})
        target = self.home.models / str(answer["root"])
        await asyncio.to_thread(_move, out, target)
        manifest = await self.materials.serve(target)
        if manifest.root.hex() != answer["root"]:
            raise MachineFault(f"{target} is not what was merged: something else writes there, or the disk is failing")
        await self.materials.discard(round_.id)
        return manifest

    async def encode(self, base: Path, expert: Path, out: Path) -> Mapping[str, Any]:
        """An exact delta of a local expert: its norm and its size."""
        return await self._run({"job": "encode", "base": str(base), "expert": str(expert), "out": str(out)})

    async def _expert(self, base: Path, folder: Path, kind: Kind, target: Path) -> Path:
        """The folder that the recipe names: of a delta, the expert that it makes of the base."""
        if kind is not Kind.DELTA or await asyncio.to_thread(target.is_dir):
            return target if kind is Kind.DELTA else folder
        await self._run({"job": "decode", "base": str(base), "delta": str(folder), "out": str(target)})
        return target

    async def _recipe(self, recipe: Recipe, round_id: bytes, places: Sequence[Place]) -> str:
        if recipe.blob is None:
            return recipe.text or DEFAULT_TEMPLATE
        await self.materials.bring({recipe.blob: MAX_RECIPE_BYTES}, round_id.hex(), places)
        store = self.materials.store
        data = await store.off_loop(store.read_whole, recipe.blob, MAX_RECIPE_BYTES)
        if data is None:
            raise UnavailableError(f"the recipe {recipe.blob.hex()} is not here")
        try:
            return data.decode()
        except UnicodeDecodeError:
            raise NodeError(f"the recipe {recipe.blob.hex()} is not text") from None

    async def _run(self, job: dict[str, Any]) -> Mapping[str, Any]:
        def heard(what: str, done: int, total: int) -> None:
            self.progress(what, done, total)

        if job["job"] != "decode" and self.limits.threads:
            job = job | {"threads": self.limits.threads}
        return await run_job(job, memory_bytes=self.limits.memory, seconds=self.limits.job_seconds, progress=heard)


def _move(out: Path, target: Path) -> None:
    if target.exists():  # the same root: merged before
        shutil.rmtree(out)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    out.rename(target)
