"""Race umm against mergekit and the physical floor, interleaved in one run.

For every method, in every round: the floor for the checkpoints that this recipe reads, the durable floor,
umm, and in the first rounds mergekit. Inputs are read into the page cache before each measurement; outputs
are deleted and the disk is left to settle after it. umm starts with empty kernel caches: its first run of
each method is measured apart.
"""

import argparse
import json
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import floor, machine
from benchmarks.checkpoints import SHAPES, Kind, make_family
from benchmarks.contests import CONTESTS
from benchmarks.processes import Run
from benchmarks.programs import Mergekit, Umm, install_mergekit
from benchmarks.race_table import table

READ = 8 << 20  # bytes per call when the page cache is filled
RESULTS = Path(__file__).with_name("results")


class Race:
    """One race: the checkpoints, the programs, and the report that grows with every run."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.folder: Path = options.folder / "race"
        self.folder.mkdir(parents=True, exist_ok=True)
        print(f"checkpoints: {options.shape}, base + {options.experts}", file=sys.stderr, flush=True)
        kind = Kind(SHAPES[options.shape])
        self.base, self.experts = make_family(options.folder / options.shape, kind, options.experts)
        self.size = sum(f.stat().st_size for f in floor.weights(self.base))
        self.program = floor.build(self.folder)
        caches = self.folder / "caches"
        shutil.rmtree(caches, ignore_errors=True)
        fresh = {"XDG_CACHE_HOME": str(caches), "NUMBA_CACHE_DIR": str(caches / "numba")}
        self.umm = Umm(options.umm_python, options.threads, fresh)
        self.mergekit = None if options.skip_mergekit else Mergekit(options.mergekit_python)
        self.report: dict[str, Any] = {
            "shape": options.shape,
            "experts": options.experts,
            "rounds": options.rounds,
            "mergekit_rounds": 0 if options.skip_mergekit else options.mergekit_rounds,
            "machine": machine.describe(),
            "umm": self.umm.versions(),
            "mergekit": self.mergekit.versions() if self.mergekit else None,
            "runs": [],
        }

    def run(self, methods: Sequence[str]) -> None:
        """Every method's first run, then the rounds."""
        for method in methods:
            self._umm(method, 0, "umm first")
        for number in range(1, self.options.rounds + 1):
            for method in methods:
                self._floor(method, number, durable=False)
                self._floor(method, number, durable=True)
                self._umm(method, number, "umm")
                if self.mergekit and number <= self.options.mergekit_rounds:
                    recipe, output = self._stage(method)
                    limit, log = self.options.timeout, self.folder / "log.txt"
                    self._record(method, number, "mergekit", self.mergekit.merge(recipe, output, limit, log))

    def _umm(self, method: str, number: int, program: str) -> None:
        recipe, output = self._stage(method)
        run = self.umm.merge(recipe, output, self.options.timeout, self.folder / "log.txt")
        self._record(method, number, program, run)

    def _floor(self, method: str, number: int, *, durable: bool) -> None:
        self._stage(method)
        inputs = CONTESTS[method].models(self.base, self.experts)
        result = floor.measure(self.program, inputs, self.size, self.folder / "output.bin", durable)
        self._note(method, number, "durable floor" if durable else "floor", asdict(result))

    def _stage(self, method: str) -> tuple[Path, Path]:
        """Clear the last output, let the disk settle, fill the page cache, write the recipe."""
        output = self.folder / "output"
        shutil.rmtree(output, ignore_errors=True)
        os.sync()
        contest = CONTESTS[method]
        for model in contest.models(self.base, self.experts):
            for file in floor.weights(model):
                with file.open("rb", buffering=0) as stream:
                    while stream.read(READ):
                        pass
        recipe = self.folder / "recipe.yml"
        recipe.write_text(contest.recipe(self.base, self.experts))
        return recipe, output

    def _record(self, method: str, number: int, program: str, run: Run) -> None:
        self._note(method, number, program, asdict(run) | ({} if run.ok else {"words": run.words}))
        shutil.rmtree(self.folder / "output", ignore_errors=True)

    def _note(self, method: str, number: int, program: str, values: dict[str, Any]) -> None:
        entry = {"method": method, "round": number, "program": program, **values}
        self.report["runs"].append(entry)
        took = entry.get("wall_s", entry.get("seconds"))
        memory = f" {entry['anonymous_mb']:.0f} MB" if "anonymous_mb" in entry else ""
        failed = f" FAILED: {entry['words']}" if entry.get("status") else ""
        print(f"round {number} {method} {program}: {took:.2f} s{memory}{failed}", file=sys.stderr, flush=True)
        self.save(self.options.results)

    def save(self, folder: Path) -> None:
        """Write the report and its table; done after every run, so that nothing is lost on the way."""
        folder.mkdir(parents=True, exist_ok=True)
        name = f"{self.report['shape']}x{self.report['experts']}"
        (folder / f"{name}.json").write_text(json.dumps(self.report, indent=1) + "\n")
        (folder / f"{name}.md").write_text(table(self.options.methods, self.report))


def _methods(text: str) -> list[str]:
    names = list(CONTESTS) if text == "all" else text.split(",")
    unknown = [n for n in names if n not in CONTESTS]
    if unknown:
        raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: not one of {', '.join(CONTESTS)}")
    return names


def main() -> None:
    """Parse, race, print the table."""
    parser = argparse.ArgumentParser(description="Race umm against mergekit and the physical floor.")
    parser.add_argument("--shape", choices=SHAPES, default="125M")
    parser.add_argument("--experts", type=int, default=4)
    parser.add_argument("--methods", type=_methods, default=_methods("all"), help="all, or names with commas")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of umm and the floor")
    parser.add_argument("--mergekit-rounds", type=int, default=1, help="in how many of them mergekit runs")
    parser.add_argument("--folder", type=Path, required=True, help="checkpoints and outputs go here")
    parser.add_argument("--results", type=Path, default=RESULTS, help="the JSON report and the table go here")
    parser.add_argument("--umm-python", type=Path, default=Path(sys.executable))
    parser.add_argument("--mergekit-python", type=Path)
    parser.add_argument("--mergekit-install", action="store_true", help="make its environment in --folder")
    parser.add_argument("--skip-mergekit", action="store_true")
    parser.add_argument("--threads", type=int, help="umm's threads; by default it decides")
    parser.add_argument("--timeout", type=float, default=1800, help="seconds per run")
    options = parser.parse_args()
    if options.mergekit_install:
        options.mergekit_python = install_mergekit(options.folder / "mergekit-venv", options.umm_python)
    if not options.mergekit_python and not options.skip_mergekit:
        parser.error("--mergekit-python, --mergekit-install or --skip-mergekit is needed")
    race = Race(options)
    race.run(options.methods)
    print(table(options.methods, race.report))


if __name__ == "__main__":
    main()
