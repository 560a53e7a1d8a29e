"""How fast a checkpoint moves, with verifying and storing, beside what the road alone can do.

``python -m benchmarks.transfer`` makes a checkpoint of random bytes and measures, for each road: receiving the same
number of chunks and forgetting them (raw), and fetching the checkpoint into a store; then three rate-limited peers
beside one. Server and client are processes of their own on loopback. Wants an otherwise idle machine and three times
the size in free disk space. The table goes to ``benchmarks/results/transfer.md``.
"""

import argparse
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.machine import describe
from tests.system.test_transfer import make_model, serving, started

MIB = 1 << 20
TENSOR_BYTES = 64 * MIB
LIMITED_RATE = 40 * MIB
"""Bytes per second of each peer in the comparison of one with three."""

RESULT = Path(__file__).parent / "results" / "transfer.md"


@dataclass(frozen=True)
class Run:
    """One transfer: speed in MB/s, CPU seconds per GiB and peak memory in MB of client and server."""

    speed: float
    client_cpu: float
    server_cpu: float
    client_peak: float
    server_peak: float


def raw(road: str, chunks: int) -> Run:
    """Chunks received and forgotten."""
    with serving(road, None, 1) as (server, one):
        with started(road, "drain", "--peer", one, "--chunks", str(chunks)) as client:
            outcome, spent = client.until("seconds", "error"), client.until("peak")
        return measured(outcome, spent, server)


def fetched(road: str, model: Path, scratch: Path, peers: int = 1, rate: int = 0) -> Run:
    """The checkpoint fetched into a new store."""
    limit = ("--rate", str(rate)) if rate else ()
    store = Path(tempfile.mkdtemp(dir=scratch))
    others: list[Any] = []
    try:
        with serving(road, model, 1, *limit) as (server, one):
            addresses = [one]
            for number in range(2, peers + 1):
                others.append(serving(road, model, number, *limit))
                addresses.append(others[-1].__enter__()[1])
            command = ["fetch", "--store", str(store), "--manifest", server.manifest, "--quiet"]
            with started(road, *command, "--peers", *addresses) as client:
                outcome, spent = client.until("seconds", "error"), client.until("peak")
            return measured(outcome, spent, server)
    finally:
        for other in others:
            other.__exit__(None, None, None)
        shutil.rmtree(store)


def measured(outcome: dict[str, Any], spent: dict[str, Any], server: Any) -> Run:
    """The numbers of a run, the server having been told to end."""
    before = server.lines[0]["cpu"]
    server.end()
    served = server.until("peak")
    gib = outcome["bytes"] / (1 << 30)
    return Run(
        outcome["bytes"] / 1e6 / outcome["seconds"],
        spent["cpu"] / gib,
        (served["cpu"] - before) / gib,
        spent["peak"] / 1e6,
        served["peak"] / 1e6,
    )


def row(name: str, runs: list[Run]) -> str:
    """A line of the table: medians, and the best speed."""
    middle = [median(getattr(run, field) for run in runs) for field in Run.__dataclass_fields__]
    best = max(run.speed for run in runs)
    cells = [f"{middle[0]:.0f} ({best:.0f})", *(f"{value:.2f}" for value in middle[1:3])]
    return f"| {name} | {' | '.join([*cells, *(f'{value:.0f}' for value in middle[3:])])} |"


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mib", type=int, default=2048)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--roads", nargs="*", default=["grpc", "libp2p"])
    parser.add_argument("--scratch", type=Path, default=Path(tempfile.gettempdir()))
    options = parser.parse_args()
    lines = [f"{options.mib} MiB over loopback, {options.repeat} times. {describe()}", ""]
    lines += ["| | MB/s median (best) | client CPU-s/GiB | server CPU-s/GiB | client peak MB | server peak MB |"]
    lines += ["|---|---|---|---|---|---|"]
    with tempfile.TemporaryDirectory(dir=options.scratch) as folder:
        scratch = Path(folder)
        model = make_model(scratch / "model", max(1, options.mib * MIB // TENSOR_BYTES), TENSOR_BYTES)
        for road in options.roads:
            pairs = [(raw(road, options.mib), fetched(road, model, scratch)) for _ in range(options.repeat)]
            lines.append(row(f"{road}, raw", [one for one, _ in pairs]))
            lines.append(row(f"{road}, verified and stored", [other for _, other in pairs]))
            ratio = median(other.speed / one.speed for one, other in pairs)
            lines.append(f"| {road}, stored / raw | {100 * ratio:.0f} % | | | | |")
            alone = fetched(road, model, scratch, rate=LIMITED_RATE)
            three = fetched(road, model, scratch, peers=3, rate=LIMITED_RATE)
            lines.append(f"| {road}, three limited peers / one | {three.speed / alone.speed:.2f} x | | | | |")
    text = "\n".join(lines) + "\n"
    print(text)
    RESULT.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
