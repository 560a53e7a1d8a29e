"""The whole of a re-merge as ``umm verify`` does it: child processes, real recipes, deltas, parts of folders."""

import asyncio
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from node.lineage import Step
from node.recipes import Member, expand
from node.verify.engine import WorkerEngine
from node.verify.materials import FolderMaterials, MaterialRecord, Remembering
from node.verify.remerge import Remerging
from node.verify.report import FAILED, OK
from node.verify.verifying import Means, Request, Verified, verify
from protocol.blobs.assemble import assemble
from protocol.blobs.folder import FolderSource, manifest_of_folder
from protocol.blobs.kinds import About, Adapter, Delta
from protocol.blobs.manifest import Manifest
from protocol.offer import size_of
from protocol.records import Base, Kind, Recipe, Signed
from tests.node.verify import rounds
from tests.node.verify.steps import a_round, an_offer, an_outcome, in_order
from tests.umm import checkpoints
from tests.umm.checkpoints import merged
from umm.delta import encode

TEMPLATE = (
    '{"base_model":"base","dtype":"bfloat16","merge_method":"dare_ties",'
    '"models":[{"model":"contributions","parameters":{"density":0.6,"weight":1}}]}'
)
LIE = "model.layers.1.mlp.up_proj.weight"
ADAPTED = "model.layers.0.self_attn.q_proj"
FACTORS = {
    f"{ADAPTED}.lora_A.weight": checkpoints.numbers("A", (2, 8)),
    f"{ADAPTED}.lora_B.weight": checkpoints.numbers("B", (8, 2)),
}


@dataclass(frozen=True)
class Parts:
    """Materials of which only what was asked for is there, as a node that fetches them brings them."""

    whole: FolderMaterials
    work: Path

    async def manifest(self, record: MaterialRecord) -> Manifest:
        return await self.whole.manifest(record)

    async def folder(self, record: MaterialRecord, manifest: Manifest, tensors: frozenset[str]) -> Path:
        here = await self.whole.folder(record, manifest, tensors)
        out = self.work / f"{record.id.hex()}-{len(list(self.work.iterdir()))}"
        with FolderSource(here, manifest.about) as source:
            assemble(manifest, source, out, only=tensors)
        return out

    async def text(self, recipe: Recipe) -> str:
        return await self.whole.text(recipe)


@dataclass(frozen=True)
class Scene:
    base: Path
    contributions: Path
    model: Path

    def verified(self, work: Path, **asked: object) -> Verified:
        for name in ("parts", "engine"):
            (work / name).mkdir()
        materials = Parts(FolderMaterials(self.base, self.contributions), work / "parts")
        engine = WorkerEngine(work / "engine", 4 * 10**9, 300.0)
        means = Means(lambda: 0.0, Remerging(Remembering(materials), engine))
        return asyncio.run(verify(Request(self.model, **asked), means))  # type: ignore[arg-type]


def make(folder: Path, *, lie: bool = False) -> Scene:
    """A round of a checkpoint, a delta and an adapter, by a method that draws random numbers."""
    base = rounds.expert(folder / "base", "base")
    listed = manifest_of_folder(base)
    round_ = a_round(base=Base(root=listed.root, manifest=listed.id), recipe=Recipe(text=TEMPLATE))
    experts = {kind: rounds.expert(folder / kind.value, kind.value) for kind in (Kind.CHECKPOINT, Kind.DELTA)}
    encode(base, experts[Kind.DELTA], folder / "packed")
    experts[Kind.ADAPTER] = checkpoints.adapter(folder / "adapter", FACTORS)
    offers, places = [], {}
    offered: list[tuple[Kind, About | None, Path]] = [
        (Kind.CHECKPOINT, None, experts[Kind.CHECKPOINT]),
        (Kind.DELTA, Delta(listed.root), folder / "packed"),
        (Kind.ADAPTER, Adapter(listed.root), experts[Kind.ADAPTER]),
    ]
    for number, (kind, about, where) in enumerate(offered):
        content = manifest_of_folder(where, about)
        offer = an_offer(round_, 21 + number, kind=kind, manifest=content.id, root=content.root, size=size_of(content))
        shutil.copytree(where, folder / "contributions" / offer.id.hex())
        places[offer.id] = experts[kind]
        offers.append(offer)
    return _publish(folder, round_, in_order(offers), places, lie=lie)


def _publish(folder: Path, round_: Signed, offers: Sequence[Signed], places: dict[bytes, Path], *, lie: bool) -> Scene:  # type: ignore[type-arg]
    members = [Member(offer.id, offer.record.kind.value, offer.record.domain) for offer in offers]
    text = expand(TEMPLATE, members, round_.record.seed, str(folder / "base"), lambda member: str(places[member.id]))
    merged(text, folder, "model", backend="torch")
    model = folder / "model"
    if lie:
        rounds.flip(model, LIE)
    manifest = manifest_of_folder(model)
    outcome = an_outcome(round_, offers, [11], root=manifest.root, manifest=manifest.id)
    world = rounds.World(folder / "base", folder / "contributions", model, ())
    world.told(Step(round_, (outcome,), tuple(offers)))
    return Scene(folder / "base", folder / "contributions", model)


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return make(tmp_path_factory.mktemp("engine") / "honest")


def test_an_audit_of_parts_of_models_gives_the_bits_of_the_whole_merge(honest: Scene, tmp_path: Path) -> None:
    assert honest.verified(tmp_path, audit=4, seed=1).report.code == OK


def test_an_adapted_tensor_is_merged_again_from_its_base_and_the_adapter(
    honest: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.verify.audit.drawn", lambda *_: (f"{ADAPTED}.weight",))
    verified = honest.verified(tmp_path, audit=1)
    assert (verified.report.code, verified.proof) == (OK, None)


def test_a_recomputation_gives_every_bit_again(honest: Scene, tmp_path: Path) -> None:
    report = honest.verified(tmp_path, recompute=True).report
    assert report.code == OK
    assert list((tmp_path / "engine").glob("merged-*")) == []


def test_a_lie_is_found_in_parts_and_proven(tmp_path: Path) -> None:
    scene = make(tmp_path / "round", lie=True)
    (tmp_path / "work").mkdir()
    verified = scene.verified(tmp_path / "work", audit=9)
    assert verified.report.code == FAILED
    assert verified.proof is not None
    assert verified.proof.tensor == LIE
    replace(verified.proof).check()
