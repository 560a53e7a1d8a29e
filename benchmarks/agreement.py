"""Do umm and mergekit give the same results, and which is nearer to the truth?

Three questions, on small random checkpoints:

1. With ``dtype: float32, out_dtype: bfloat16``, how many of the values are equal or one unit in the last
place apart? 2. With ``dtype: bfloat16``, how far is each from a float64 reference? Mergekit computes in
that type, umm does not. 3. Random methods: do both keep the share, the norm and the probabilities that the
rule asks for?
"""

import argparse
import json
import shutil
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import machine
from benchmarks.agreement_table import page
from benchmarks.checkpoints import Kind, Shape, make_family
from benchmarks.comparison import errors, nearness, solve
from benchmarks.draws import MOVED_BAR, moved, sample
from benchmarks.programs import Mergekit, MergekitLoop, Umm
from benchmarks.settings import CASES, DRAWS, EXPERTS, Case, Draw

SHAPE = Shape(hidden=96, layers=4, heads=4, kv_heads=2, mlp=256, vocabulary=512)
RATIO = 0.2  # larger deltas than real ones, so that curved and straight paths on spheres both occur
TIME_LIMIT_S = 300
RESULTS = Path(__file__).with_name("results")


class Court:
    """Runs recipes through both programs and notes what they say."""

    def __init__(self, folder: Path, umm: Umm, mergekit: MergekitLoop) -> None:
        self.folder = folder
        self._umm = umm
        self._mergekit = mergekit

    def family(self, dtype: str) -> dict[str, Path]:
        """The checkpoints of that type, by the names that recipes use."""
        kind = Kind(SHAPE, seed=11, ratio=RATIO, dtype=dtype)
        base, experts = make_family(self.folder / dtype, kind, len(EXPERTS))
        return {"base": base, **dict(zip(EXPERTS, experts, strict=True))}

    def hear(self, case: Case, folders: Mapping[str, Path], *options: str, **types: str) -> tuple[Path, Path] | str:
        """Run a case through both; where the outputs are, or what failed."""
        recipe = self.folder / "recipe.yml"
        recipe.write_text(yaml.safe_dump({**_placed(case.recipe, folders), **types}, sort_keys=False))
        ours, theirs = self.folder / "ours", self.folder / "theirs"
        for output in (ours, theirs):
            shutil.rmtree(output, ignore_errors=True)
        run = self._umm.merge(recipe, ours, TIME_LIMIT_S, self.folder / "umm.txt")
        if not run.ok:
            return run.words
        failed = self._mergekit.merge(recipe, theirs, *options)
        return f"mergekit: {failed}" if failed else (ours, theirs)

    def same(self, case: Case, dtype: str) -> dict[str, Any]:
        """Question 1."""
        folders = self.family(dtype)
        entry: dict[str, Any] = {"case": case.name, "method": case.method, "checkpoints": dtype}
        outputs = self.hear(case, folders, dtype="float32", out_dtype="bfloat16")
        if isinstance(outputs, str):
            return entry | {"failed": outputs}
        found = nearness(*outputs, solve(case.recipe, folders, SHAPE.layers))
        return entry | asdict(found) | {"verdict": found.verdict}

    def nearer(self, case: Case) -> dict[str, Any] | None:
        """Question 2; None for recipes that the reference does not do."""
        folders = self.family("bfloat16")
        answers = solve(case.recipe, folders, SHAPE.layers)
        if not answers:
            return None
        entry: dict[str, Any] = {"case": case.name, "method": case.method}
        outputs = self.hear(case, folders, dtype="bfloat16")
        if isinstance(outputs, str):
            return entry | {"failed": outputs}
        found = errors(*outputs, answers)
        return entry | asdict(found) | {"verdict": found.verdict}

    def random(self, draw: Draw) -> dict[str, Any]:
        """Question 3: one expert for the masks, four for the norms of what is added."""
        folders = self.family("float32")
        entry: dict[str, Any] = {"case": draw.name, "method": draw.method, "draw": asdict(draw)}
        outputs = self.hear(draw.case(), folders, "--random-seed", "1", dtype="float32")
        if isinstance(outputs, str):
            return entry | {"failed": outputs}
        samples = [sample(draw, folders["base"], folders[EXPERTS[0]], output) for output in outputs]
        entry |= {name: asdict(s) for name, s in zip(("ours", "theirs"), samples, strict=True)}
        entry["ok"] = samples[0].ok(draw.rescale)
        outputs = self.hear(draw.case(EXPERTS), folders, "--random-seed", "1", dtype="float32")
        if isinstance(outputs, str):
            return entry | {"failed": outputs}
        norms = [moved(folders["base"], output) for output in outputs]
        entry["norms"] = [a / b for a, b in zip(*norms, strict=True)]
        entry["ok"] &= all(abs(ratio - 1) <= MOVED_BAR for ratio in entry["norms"])
        return entry


def _placed(value: Any, folders: Mapping[str, Path]) -> Any:
    """The same recipe with folders in place of the names of checkpoints."""
    if isinstance(value, Mapping):
        return {key: _placed(inner, folders) for key, inner in value.items()}
    if isinstance(value, list):
        return [_placed(inner, folders) for inner in value]
    return str(folders[value]) if isinstance(value, str) and value in folders else value


def main() -> None:
    """Ask the three questions and write down the answers."""
    parser = argparse.ArgumentParser(description="Compare umm's results with mergekit's.")
    parser.add_argument("--folder", type=Path, required=True, help="checkpoints and outputs go here")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--umm-python", type=Path, default=Path(sys.executable))
    parser.add_argument("--mergekit-python", type=Path, required=True)
    parser.add_argument("--methods", help="only these, with commas")
    a = parser.parse_args()
    folder = a.folder / "agreement"
    folder.mkdir(parents=True, exist_ok=True)
    umm, loop = Umm(a.umm_python), MergekitLoop(a.mergekit_python, folder / "mergekit.txt")
    court = Court(folder, umm, loop)
    only = a.methods.split(",") if a.methods else None
    cases = [c for c in CASES if only is None or c.method in only]
    draws = [d for d in DRAWS if only is None or d.method in only]
    report: dict[str, Any] = {
        "machine": machine.describe(),
        "umm": umm.versions(),
        "mergekit": Mergekit(a.mergekit_python).versions(),
        "same": [_told(court.same(c, dtype)) for dtype in ("bfloat16", "float32") for c in cases],
        "nearer": [_told(entry) for c in cases if (entry := court.nearer(c))],
        "random": [_told(court.random(d)) for d in draws],
    }
    loop.close()
    a.results.mkdir(parents=True, exist_ok=True)
    (a.results / "agreement.json").write_text(json.dumps(report, indent=1) + "\n")
    (a.results / "agreement.md").write_text(page(report))
    print(page(report))


def _told(entry: dict[str, Any]) -> dict[str, Any]:
    """Say on the error stream how a case went."""
    outcome = entry.get("failed") or entry.get("verdict") or ("ok" if entry.get("ok") else "not ok")
    print(f"{entry['case']} {entry.get('checkpoints', '')}: {outcome}", file=sys.stderr, flush=True)
    return entry


if __name__ == "__main__":
    main()
