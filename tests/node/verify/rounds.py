"""Real rounds on small real models: a base, experts as contributions, a merged model as somebody pulled it."""

import asyncio
import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from node import lineage
from node.lineage import Lineage, Step
from node.verify.integrity import MANIFEST_FILE
from node.verify.materials import FolderMaterials, Remembering
from node.verify.remerge import Member, Merged, Remerging
from node.verify.verifying import Means, Request, Verified, verify
from protocol.blobs.folder import FolderSource, manifest_of_folder
from protocol.blobs.kinds import Checkpoint
from protocol.blobs.manifest import Manifest
from protocol.blobs.modelfolder import ModelFolder
from protocol.errors import UsageError
from protocol.offer import size_of
from protocol.records import Base, Contribution, Kind, Outcome, Signed
from tests.node.verify.steps import a_round, an_offer, an_outcome, in_order
from tests.umm import checkpoints
from umm.digest import checkpoint_leaves

Damage = Callable[[Path], None]


@dataclass(frozen=True)
class World:
    """One round and everything that it is made of."""

    base: Path
    contributions: Path
    """A folder for each, under its id."""
    model: Path
    """As ``umm pull`` leaves it."""
    steps: tuple[Step, ...]

    @property
    def step(self) -> Step:
        return self.steps[0]

    @property
    def manifest(self) -> Manifest:
        return manifest_of_folder(self.model)

    def pulled(self, folder: Path) -> "World":
        """The same with a copy of the model that may be spoilt."""
        return replace(self, model=shutil.copytree(self.model, folder))

    def told(self, *steps: Step) -> "World":
        """The same with another lineage beside the model."""
        lineage.write(self.model, Lineage(steps))
        return replace(self, steps=steps)

    def remerging(self) -> Remerging:
        return Remerging(Remembering(FolderMaterials(self.base, self.contributions)), LocalEngine())

    def verified(self, *, materials: bool = True, **asked: Any) -> Verified:
        means = Means(lambda: 0.0, self.remerging() if materials else None)
        return asyncio.run(verify(Request(self.model, **asked), means))


class LocalEngine:
    """The maths in this process, over whole folders."""

    def expand(
        self, template: str, roster: Sequence[Member], seed: bytes, base: str, folder: Callable[[Member], str]
    ) -> str:
        document = json.loads(template)
        (entry,) = document["models"]
        document["base_model"] = base
        document["models"] = [entry | {"model": folder(member), "id": member.id.hex()} for member in roster]
        return json.dumps(document)

    async def decode(self, base: Path, delta: Path, only: frozenset[str] | None) -> Path:
        raise UsageError(f"{delta} is a delta, which this engine does not know")

    async def merge(self, recipe: str, only: frozenset[str] | None) -> Merged:
        out = Path(json.loads(recipe)["base_model"]).parent / f"again-{os.urandom(4).hex()}"
        checkpoints.merged(recipe, out.parent, out.name, backend="torch")
        leaves, files = checkpoint_leaves(out)
        shutil.rmtree(out)
        return Merged({name: leaf for name, leaf in leaves.items() if only is None or name in only}, files)


def expert(folder: Path, seed: str) -> Path:
    return checkpoints.plain(folder, seed, dtype="bfloat16", layers=2, vocab=12, width=8)


def make(
    folder: Path,
    *,
    experts: Sequence[str] = ("a", "b"),
    signers: Sequence[int] = (11,),
    stewards: tuple[int, ...] | None = None,
    cheat: Damage | None = None,
    spoil: Damage | None = None,
    under: "World | None" = None,
    **of_round: Any,
) -> World:
    """Run a round: what ``cheat`` does to the merged model, its stewards sign; ``spoil`` is done to what is offered,
    and not to what is merged. ``under``: its model is the base."""
    folder.mkdir(parents=True)
    base = under.model if under else expert(folder / "base", "base")
    listed = manifest_of_folder(base)
    made_by = under.step.outcome.id if under else None
    round_ = a_round(
        stewards=stewards or tuple(signers),
        base=Base(root=listed.root, manifest=listed.id, result=made_by),
        **of_round,
    )
    offers, given = [], {}
    for number, seed in enumerate(experts):
        made = expert(folder / seed, seed)
        offered = shutil.copytree(made, folder / f"{seed}-offered")
        if spoil is not None:
            spoil(offered)
        content = manifest_of_folder(offered)
        offer = an_offer(round_, 21 + number, manifest=content.id, root=content.root, size=size_of(content))
        shutil.copytree(made, folder / "contributions" / offer.id.hex())
        given[offer.id] = offered
        offers.append(offer)
    offers = list(in_order(offers))
    merged(folder, base, offers, folder / "model", round_.record.recipe.text or "")
    for offer_id, offered in given.items():
        shutil.copytree(offered, folder / "contributions" / offer_id.hex(), dirs_exist_ok=True)
    if cheat is not None:
        cheat(folder / "model")
    manifest = manifest_of_folder(folder / "model")
    outcome = an_outcome(round_, offers, signers, root=manifest.root, manifest=manifest.id)
    step = Step(round_, (outcome,), tuple(offers))
    (folder / "model" / MANIFEST_FILE).write_bytes(manifest.encode())
    world = World(base, folder / "contributions", folder / "model", (step, *(under.steps if under else ())))
    return world.told(*world.steps)


def revised(world: World, folder: Path) -> World:
    """The same round without its first contribution."""
    first, *rest = world.step.contributions
    text = world.step.round.record.recipe.text or ""
    merged(world.contributions.parent, world.base, rest, folder, text)
    manifest = manifest_of_folder(folder)
    said: Signed[Outcome] = an_outcome(
        world.step.round,
        rest,
        [11],
        root=manifest.root,
        manifest=manifest.id,
        after=world.step.outcome,
        removed=(first.id,),
    )
    (folder / MANIFEST_FILE).write_bytes(manifest.encode())
    step = Step(world.step.round, (*world.step.outcomes, said), tuple(rest))
    return replace(world, model=folder).told(step, *world.steps[1:])


def merged(folder: Path, base: Path, offers: Sequence[Signed[Contribution]], out: Path, template: str) -> Path:
    """What an honest steward gets."""
    text = LocalEngine().expand(
        template,
        [_Member(offer.id) for offer in offers],
        b"",
        str(base),
        lambda member: str(folder / "contributions" / member.id.hex()),
    )
    checkpoints.merged(text, out.parent, out.name, backend="torch")
    return out


@dataclass(frozen=True)
class _Member:
    id: bytes
    kind: str = Kind.CHECKPOINT.value
    domain: str = "mathematics"


# -- damage ----------------------------------------------------------------------------------------------------


def place_of(folder: Path, tensor: str) -> tuple[Path, int, int]:
    """The file, the offset and the size of a tensor."""
    for entry, path in ModelFolder.of(folder).tensors(Checkpoint()):
        if entry.name == tensor:
            return path, entry.start, entry.size
    raise AssertionError(tensor)


def flip(folder: Path, tensor: str, bit: int = 0) -> None:
    """One bit of a tensor."""
    path, start, _ = place_of(folder, tensor)
    with path.open("r+b") as file:
        file.seek(start + bit // 8)
        old = file.read(1)[0]
        file.seek(start + bit // 8)
        file.write(bytes([old ^ 1 << bit % 8]))


def exchange(folder: Path, one: str, other: str) -> None:
    """The values of two tensors of one shape."""
    (path, a, size), (_, b, _) = place_of(folder, one), place_of(folder, other)
    with path.open("r+b") as file:
        file.seek(a)
        first = file.read(size)
        file.seek(b)
        second = file.read(size)
        file.seek(a)
        file.write(second)
        file.seek(b)
        file.write(first)


def configure(folder: Path, **settings: object) -> None:
    """Change the config."""
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | settings))


def lists_of(folder: Path) -> Mapping[bytes, Any]:
    """The chunk lists of a folder."""
    with FolderSource(folder) as source:
        return source.lists
