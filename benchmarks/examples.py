"""Run every recipe of mergekit's examples, README and docs through umm."""

import argparse
import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.found_recipes import Found, search
from benchmarks.processes import run
from benchmarks.programs import Umm
from benchmarks.stand_ins import furnish

TIME_LIMIT_S = 120
RESULTS = Path(__file__).with_name("results")


@dataclass(frozen=True)
class Outcome:
    """How one recipe fared."""

    where: str
    methods: str
    plans: bool
    runs: bool
    words: str
    mergekit: bool | None

    def row(self) -> str:
        """A line of the table."""
        peer = "–" if self.mergekit is None else _yes(self.mergekit)
        cells = (
            self.where,
            self.methods,
            _yes(self.plans),
            _yes(self.runs),
            peer,
            self.words.replace("|", "\\|"),
        )
        return f"| {' | '.join(cells)} |\n"


def _yes(truth: bool) -> str:
    return "yes" if truth else "no"


def attempt(recipe: Found, folder: Path, umm: Umm, mergekit: Path | None) -> Outcome:
    """Plan it, run it, and if asked run it with mergekit too."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    file = folder / "recipe.yml"
    file.write_text(furnish(recipe, folder))
    plan = umm.merge(file, folder / "plan", TIME_LIMIT_S, folder / "plan.txt", "--dry-run")
    done = umm.merge(file, folder / "ours", TIME_LIMIT_S, folder / "umm.txt")
    peer = _mergekit(recipe, file, folder, mergekit) if mergekit else None
    methods = ", ".join(str(d["merge_method"]) for d in recipe.documents)
    where = f"{recipe.where} (completed)" if recipe.completed else recipe.where
    return Outcome(where, methods, plan.ok, done.ok, done.words or plan.words, peer)


def _mergekit(recipe: Found, file: Path, folder: Path, python: Path) -> bool:
    if len(recipe.documents) == 1:
        command: list[str | Path] = [python.with_name("mergekit-yaml"), file, folder / "theirs"]
    else:
        command = [python.with_name("mergekit-multi"), file, "--out-path", folder / "theirs"]
        command += ["--intermediate-dir", folder / "between"]
    return run([*command, "--quiet"], TIME_LIMIT_S, folder / "mergekit.txt").ok


def main() -> None:
    """Find the recipes, run them, print the table."""
    parser = argparse.ArgumentParser(description="Run mergekit's own recipes through umm.")
    parser.add_argument("--source", type=Path, required=True, help="a source checkout of mergekit")
    parser.add_argument("--folder", type=Path, required=True, help="stand-ins and outputs go here")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--umm-python", type=Path, default=Path(sys.executable))
    parser.add_argument("--mergekit-python", type=Path, help="also run them with mergekit")
    a = parser.parse_args()
    outcomes = []
    for number, recipe in enumerate(search(a.source)):
        outcomes.append(attempt(recipe, a.folder / f"recipe-{number}", Umm(a.umm_python), a.mergekit_python))
        print(f"{recipe.where}: {_yes(outcomes[-1].runs)} {outcomes[-1].words}", file=sys.stderr, flush=True)
    head = "| recipe | methods | plans | runs | mergekit runs it | words |\n|---|---|---|---|---|---|\n"
    page = "# Mergekit's own recipes\n\n" + head + "".join(o.row() for o in outcomes)
    a.results.mkdir(parents=True, exist_ok=True)
    (a.results / "examples.md").write_text(page)
    (a.results / "examples.json").write_text(json.dumps([vars(o) for o in outcomes], indent=1) + "\n")
    print(page)


if __name__ == "__main__":
    main()
