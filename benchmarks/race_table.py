"""The table of a race: medians per method, and whether each bar is met."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.contests import CONTESTS, MEMORY_BAR_MB, Contest

Entry = Mapping[str, Any]  # one measurement as it stands in the JSON file

HEAD = (
    "| method | mergekit s | umm s | times faster | floor s | durable floor s | umm ÷ floor "
    "| CPU s mergekit | CPU s umm | MB mergekit | MB umm | umm first run s | bars |\n"
    "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|\n"
)

FLOORS = (
    "A floor belongs to the machine and to the models that are read, not to the method: its median is over all runs "
    "for methods that read the same models."
)


@dataclass(frozen=True)
class Line:
    """Medians of one method; None where nothing was measured or every run failed."""

    contest: Contest
    mergekit: float | None
    umm: float | None
    floor: float | None
    durable: float | None
    mergekit_cpu: float | None
    umm_cpu: float | None
    mergekit_mb: float | None
    umm_mb: float | None
    first: float | None

    @property
    def faster(self) -> float | None:
        """How many times less wall time than mergekit."""
        return self.mergekit / self.umm if self.mergekit and self.umm else None

    @property
    def floors(self) -> float | None:
        """How many times the floor."""
        return self.umm / self.floor if self.umm and self.floor else None

    def verdict(self) -> str:
        """Met, or what is missed and by how much."""
        if self.umm is None or self.umm_mb is None:
            return "no successful run of umm"
        missed, open_ = [], False
        if self.contest.faster is not None:
            open_ |= self.faster is None
            if self.faster is not None and self.faster < self.contest.faster:
                missed.append(f"{self.faster:.1f}× < {self.contest.faster:g}×")
        if self.contest.floors is not None and self.floors is not None and self.floors > self.contest.floors:
            missed.append(f"{self.floors:.2f} > {self.contest.floors:g} floors")
        if self.umm_mb >= MEMORY_BAR_MB:
            missed.append(f"{self.umm_mb:.0f} MB ≥ {MEMORY_BAR_MB} MB")
        if missed:
            return "missed: " + ", ".join(missed)
        return "met as far as measured" if open_ else "met"

    def markdown(self, name: str) -> str:
        """The row of the table."""
        cells = [
            f"{self.mergekit:.1f}" if self.mergekit else "–",
            f"{self.umm:.2f}" if self.umm else "–",
            f"{self.faster:.1f}" if self.faster else "–",
            f"{self.floor:.2f}" if self.floor else "–",
            f"{self.durable:.2f}" if self.durable else "–",
            f"{self.floors:.2f}" if self.floors else "–",
            f"{self.mergekit_cpu:.1f}" if self.mergekit_cpu else "–",
            f"{self.umm_cpu:.1f}" if self.umm_cpu else "–",
            f"{self.mergekit_mb:,.0f}" if self.mergekit_mb else "–",
            f"{self.umm_mb:,.0f}" if self.umm_mb else "–",
            f"{self.first:.2f}" if self.first else "–",
            self.verdict(),
        ]
        return f"| {name} | " + " | ".join(cells) + " |\n"


def readers(name: str, experts: int) -> frozenset[str]:
    """The methods that read the same models as this one, itself included."""

    def models(contest: Contest) -> set[Path]:
        return set(contest.models(Path("base"), [Path(f"expert-{k + 1}") for k in range(experts)]))

    return frozenset(other for other, contest in CONTESTS.items() if models(contest) == models(CONTESTS[name]))


def summarise(name: str, entries: Sequence[Entry], experts: int) -> Line:
    """Medians over the successful runs of one method; the floors' over the runs of all methods that read the same."""

    def middle(program: str, value: str, methods: Set[str] = frozenset((name,))) -> float | None:
        mine = [e for e in entries if e["method"] in methods and e["program"] == program]
        values = [float(e[value]) for e in mine if not e.get("status")]
        return median(values) if values else None

    same = readers(name, experts)

    return Line(
        CONTESTS[name],
        middle("mergekit", "wall_s"),
        middle("umm", "wall_s"),
        middle("floor", "seconds", same),
        middle("durable floor", "seconds", same),
        middle("mergekit", "cpu_s"),
        middle("umm", "cpu_s"),
        middle("mergekit", "anonymous_mb"),
        middle("umm", "anonymous_mb"),
        middle("umm first", "wall_s"),
    )


def table(names: Sequence[str], report: Mapping[str, Any]) -> str:
    """The whole page: where it ran, the table, how to read it."""
    machine = ", ".join(f"{k.replace('_', ' ')} {v}" for k, v in report["machine"].items())
    title = f"# {report['shape']}, {report['experts']} experts, bfloat16\n\n"
    where = f"{machine}.\n\numm: {_flat(report['umm'])}. mergekit: {_flat(report['mergekit'])}.\n\n"
    counts = f"{report['rounds']} rounds (mergekit: {report['mergekit_rounds']})"
    rounds = f"Medians of {counts}, interleaved, warm page cache. {FLOORS}\n\n"
    rows = "".join(summarise(name, report["runs"], report["experts"]).markdown(name) for name in names)
    failed = [e for e in report["runs"] if e.get("status")]
    lines = dict.fromkeys(f"- {e['program']} {e['method']}, status {e['status']}: {e['words']}" for e in failed)
    words = "\n".join(lines)
    return title + where + rounds + HEAD + rows + (f"\nRuns that failed:\n{words}\n" if failed else "")


def _flat(found: Mapping[str, str] | None) -> str:
    return ", ".join(f"{k} {v}" for k, v in found.items()) if found else "not measured"
