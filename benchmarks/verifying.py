"""What does each level of ``umm verify`` cost?

A round is made here: a base of 1 GiB, experts whose deltas look like those of fine-tunes, a merge by ``ties``, records
by keys that are made for it. Then ``umm verify`` runs as people run it, level by level, with the materials in folders
beside their manifests, so that only what a level needs is read: that many bytes a node would fetch.

    python -m benchmarks.verifying --folder /scratch/bench --experts 3
"""

import argparse
import json
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import machine
from benchmarks.checkpoints import Kind as Family
from benchmarks.checkpoints import Shape, make_family
from benchmarks.processes import run
from node import lineage
from node.lineage import Lineage, Step
from node.recipes import Member, expand
from node.verify.integrity import MANIFEST_FILE
from protocol.blobs.folder import manifest_of_folder
from protocol.blobs.kinds import About, Delta
from protocol.blobs.manifest import Manifest
from protocol.identity import Key
from protocol.offer import size_of
from protocol.records import (
    Admission,
    Attestation,
    Base,
    Contribution,
    Kind,
    Recipe,
    Result,
    Roster,
    Round,
    Schedule,
    Signed,
    endorsements,
    sign,
)

SHAPE = Shape(hidden=1536, layers=18, heads=12, kv_heads=4, mlp=4096, vocabulary=32000)
"""552 million values: 1.03 GiB in bfloat16."""

TEMPLATE = (
    '{"base_model":"base","dtype":"bfloat16","merge_method":"ties",'
    '"models":[{"model":"contributions","parameters":{"density":0.5,"weight":1}}]}'
)
SEED = bytes(32)
START = 1_800_000_000
LEVELS: tuple[tuple[str, ...], ...] = ((), ("--audit", "1"), ("--audit", "10"), ("--audit", "50"), ("--recompute",))
TIME_LIMIT_S = 3600


@dataclass(frozen=True)
class Scene:
    """A round on this disk."""

    base: Path
    contributions: Path
    model: Path


def prepare(folder: Path, experts: int) -> Scene:
    """Make the round, or take the one that is there."""
    from umm.delta import encode

    scene = Scene(folder / "base", folder / "contributions", folder / "model")
    if (scene.model / lineage.LINEAGE_FILE).exists():
        return scene
    base, made = make_family(folder, Family(SHAPE), experts)
    manifest, convener, steward = _stated(base), Key.generate(), Key.generate()
    round_ = sign(_round(convener, steward, manifest), convener)
    offers: list[tuple[Signed[Contribution], Path]] = []
    for number, expert in enumerate(made):
        packed = folder / f"packed-{number}"
        shutil.rmtree(packed, ignore_errors=True)
        encode(base, expert, packed)
        author = Key.generate()
        offer = sign(_offer(author, round_, _stated(packed, Delta(manifest.root))), author)
        packed.rename(_made(scene.contributions) / offer.id.hex())
        offers.append((offer, expert))
    offers.sort(key=lambda pair: pair[0].id)
    _merge(scene, offers, folder)
    _publish(scene, round_, steward, [offer for offer, _ in offers])
    return scene


def measure(scene: Scene, options: Sequence[str], folder: Path) -> dict[str, float | int | str]:
    """Run the verb once."""
    log = folder / "verify.json"
    command: list[str | Path] = [sys.executable, "-m", "node.cli", "verify", scene.model, *options, "--json"]
    if options:
        command += ["--base", scene.base, "--contributions", scene.contributions]
    done = run(command, TIME_LIMIT_S, log, environment={"UMM_HOME": str(folder / "home")})
    report = json.loads(log.read_text())
    asked = report["checks"][0] if not options else next(c for c in report["checks"][2:] if c["state"] != "skipped")
    return {
        "level": " ".join(options) or "integrity and authority",
        "code": done.status,
        "seconds": round(done.wall_s, 2),
        "cpu_seconds": round(done.cpu_s, 2),
        "anonymous_mb": round(done.anonymous_mb),
        "bytes": asked["bytes_read"],
    }


def table(rows: Sequence[dict[str, float | int | str]]) -> str:
    """Markdown."""
    lines = ["| level | seconds | CPU seconds | MB of memory | bytes needed |", "|---|---|---|---|---|"]
    for row in rows:
        size = f"{int(row['bytes']) / 1e6:,.1f} MB"
        lines.append(f"| {row['level']} | {row['seconds']} | {row['cpu_seconds']} | {row['anonymous_mb']} | {size} |")
    return "\n".join(lines)


def _round(convener: Key, steward: Key, base: Manifest) -> Round:
    times = ("commit_opens", "commit_closes", "reveal_closes", "roster_closes", "merge_closes")
    return Round(
        author=convener.public.point,
        title="A round to be verified",
        base=Base(root=base.root, manifest=base.id),
        recipe=Recipe(text=TEMPLATE),
        seed=SEED,
        kinds=(Kind.DELTA,),
        stewards=(steward.public.point,),
        schedule=Schedule(**{name: START + 60 * i for i, name in enumerate(times)}),
        admission=Admission(contributions_per_key=1, contributions=16, bytes_each=1 << 36, bytes_total=1 << 40),
    )


def _offer(author: Key, round_: Signed[Round], content: Manifest) -> Contribution:
    return Contribution(
        author=author.public.point,
        round=round_.id,
        kind=Kind.DELTA,
        manifest=content.id,
        root=content.root,
        size=size_of(content),
        base=round_.record.base.root,
        domain="mathematics",
        licence="Apache-2.0",
        salt=SEED,
    )


def _merge(scene: Scene, offers: Sequence[tuple[Signed[Contribution], Path]], folder: Path) -> None:
    from umm.merge import choose_backend, merge
    from umm.model import Folders, Models
    from umm.plan import make_plan
    from umm.recipe.document import load

    places = {offer.id: str(expert) for offer, expert in offers}
    members = [Member(offer.id, offer.record.kind.value, offer.record.domain) for offer, _ in offers]
    text = expand(TEMPLATE, members, SEED, str(scene.base), lambda member: places[member.id])
    (recipe,) = load(text)
    models = Models.of(recipe, Folders(folder, {}))
    try:
        merge(make_plan(recipe, models), scene.model, text, backend=choose_backend(), force=True)
    finally:
        models.close()


def _publish(scene: Scene, round_: Signed[Round], steward: Key, offers: Sequence[Signed[Contribution]]) -> None:
    manifest = _stated(scene.model)
    roster = Roster(tuple(offer.id for offer in offers)).id
    point, recipe = steward.public.point, round_.record.recipe
    said = Attestation(
        author=point, round=round_.id, revision=0, roster=roster, root=manifest.root, recipe=recipe.digest
    )
    result = Result(
        author=point,
        round=round_.id,
        roster=roster,
        root=manifest.root,
        manifest=manifest.id,
        recipe=recipe,
        endorsements=endorsements([sign(said, steward)]),
    )
    lineage.write(scene.model, Lineage((Step(round_, (sign(result, steward),), tuple(offers)),)))


def _stated(folder: Path, about: About | None = None) -> Manifest:
    manifest = manifest_of_folder(folder, about)
    (folder / MANIFEST_FILE).write_bytes(manifest.encode())
    return manifest


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def main() -> None:
    """Prepare, measure, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--folder", type=Path, required=True, help="needs about 10 GB")
    parser.add_argument("--experts", type=int, default=3)
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    found = machine.describe()
    scene = prepare(args.folder, args.experts)
    rows = [measure(scene, options, args.folder) for options in LEVELS]
    print(json.dumps(found))
    print(table(rows))


if __name__ == "__main__":
    main()
