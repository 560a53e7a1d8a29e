"""How fast the direct road is: ``python -m benchmarks.roads --mib 2048 --rounds 5 --folder /scratch/roads``.

A blob of random bytes goes from one process to another over loopback, in four ways:

- ``socket``  the least that is possible: sendfile to a plain TCP socket, received into one buffer and dropped
- ``raw``     the direct road (gRPC over mutual TLS); nothing is hashed, what arrives is dropped
- ``hashed``  the same; the server verifies every chunk that it reads, the client every chunk that arrives
- ``stored``  the same, from a store on disk into a store on disk (with what it takes to keep chunks through a crash)

The bar: ``hashed`` is at least 70 % as fast as ``raw``. Rounds alternate between the ways. Speed is that of the whole
transfer in MiB/s; CPU seconds and peak memory (RSS, of which about 60 MiB are Python and its libraries) are of each
process. On a machine with few cores both processes compete for them, so trust the ratios.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.machine import describe
from protocol.blobs.chunks import CHUNK_BYTES, Hasher

WAYS = ("socket", "raw", "hashed", "stored")
BAR = 0.70

Report = dict[str, float]


def main() -> None:
    """Measure, print a table, and write all runs as JSON if asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mib", type=int, default=2048, help="size of the blob (default 2048)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="where the blob and the stores go (default: the temporary folder)")
    parser.add_argument("--ways", default=",".join(WAYS))
    parser.add_argument("--json", type=Path, help="write every run there")
    asked = parser.parse_args()
    with ExitStack() as stack:
        folder = asked.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        measure(folder, asked.mib, asked.rounds, asked.ways.split(","), asked.json)


def measure(folder: Path, mib: int, rounds: int, ways: list[str], output: Path | None) -> None:
    """All runs, interleaved."""
    make_blob(folder, mib)
    runs: dict[str, list[Report]] = {way: [] for way in ways}
    for number in range(rounds):
        for way in ways:
            runs[way].append(one_run(way, folder, mib))
            print(f"round {number + 1} {way:7} {runs[way][-1]['mib_per_s']:7.0f} MiB/s", file=sys.stderr)
    print("| way | MiB/s median (best) | of raw | client CPU s/GiB | server CPU s/GiB | client MiB | server MiB |")
    print("|---|---|---|---|---|---|---|")
    speed = {way: statistics.median(run["mib_per_s"] for run in runs[way]) for way in ways}
    for way in ways:
        print(row(way, runs[way], speed, mib))
    if {"raw", "hashed"} <= speed.keys():
        ratio = speed["hashed"] / speed["raw"]
        print(f"\nhashed / raw = {ratio:.2f}; the bar is {BAR}: {'met' if ratio >= BAR else 'MISSED'}")
    if output is not None:
        found = {"machine": describe(), "mib": mib, "when": datetime.now(UTC).isoformat(), "runs": runs}
        output.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def row(way: str, runs: list[Report], speed: dict[str, float], mib: int) -> str:
    """One line of the table."""

    def median(what: str) -> float:
        return statistics.median(run[what] for run in runs)

    best = max(run["mib_per_s"] for run in runs)
    of_raw = f"{speed[way] / speed['raw']:.2f}" if "raw" in speed else "-"
    gib = mib / 1024
    return (
        f"| {way} | {speed[way]:.0f} ({best:.0f}) | {of_raw} | {median('client_cpu') / gib:.2f} "
        f"| {median('server_cpu') / gib:.2f} | {median('client_mib'):.0f} | {median('server_mib'):.0f} |"
    )


def make_blob(folder: Path, mib: int) -> None:
    """Random bytes and their chunk list."""
    blob, hasher = folder / "blob", Hasher()
    with blob.open("wb") as out:
        for _ in range(mib):
            block = os.urandom(CHUNK_BYTES)
            hasher.update(block)
            out.write(block)
    (folder / "chunks").write_bytes(hasher.finish().encode())
    (folder / "id").write_bytes(hasher.finish().id)


def one_run(way: str, folder: Path, mib: int) -> Report:
    """A new server and a new client."""
    command, what = [sys.executable, "-m", "benchmarks.road_ends"], [way, str(folder)]
    with subprocess.Popen([*command, "serve", *what], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        port = server.stdout.readline().decode().strip() if server.stdout else ""
        client = subprocess.run([*command, "fetch", *what, port], check=True, stdout=subprocess.PIPE)
        said, _ = server.communicate()
    served: Report = json.loads(said)
    got: Report = json.loads(client.stdout)
    return {
        "mib_per_s": mib / got["wall"],
        "client_cpu": got["cpu"],
        "client_mib": got["mib"],
        "server_cpu": served["cpu"],
        "server_mib": served["mib"],
    }


if __name__ == "__main__":
    main()
