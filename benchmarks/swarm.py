"""``python -m benchmarks.swarm``: publishing and finding with N real nodes on loopback, each with its own p2pd.

Add one or two round trips for a network that is not this machine.
"""

import argparse
import asyncio
import resource
from datetime import UTC, datetime
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter

from protocol.identity import Key
from protocol.pointer import Kind, Pointer
from protocol.swarm.config import LOOPBACK, Config
from protocol.swarm.node import Swarm

ROUND = bytes(32)


def now() -> float:
    """Wall clock."""
    return datetime.now(UTC).timestamp()


def pointer() -> Pointer:
    """By somebody new."""
    expiration = int(now()) + 3600
    return Pointer.sign(
        Key.generate(),
        round_id=ROUND,
        kind=Kind.CONTRIBUTION,
        record_id=bytes(32),
        size=1000,
        expiration=expiration,
    )


def shown(times: list[float]) -> str:
    """Median and 95th percentile in milliseconds."""
    return f"{1000 * median(times):.1f} / {1000 * quantiles(times, n=20)[-1]:.1f}"


async def measure(count: int, single: int, bulk: int) -> str:
    """One row of the table."""
    began = perf_counter()
    nodes: list[Swarm] = []
    for _ in range(count):
        bootstrap = tuple(nodes[0].addresses) if nodes else ()
        nodes.append(await Swarm.start(Config(Key.generate(), now, LOOPBACK, bootstrap=bootstrap, nat=False)))
    start = (perf_counter() - began) / count
    publish, find = [], []
    for number in range(single):
        each = pointer()
        began = perf_counter()
        await nodes[number % count].publish(ROUND, each)
        publish.append(perf_counter() - began)
    for number in range(20):
        began = perf_counter()
        found = await nodes[number % count].find(ROUND, Kind.CONTRIBUTION)
        find.append(perf_counter() - began)
        _expect(found, single)
    many = [pointer() for _ in range(bulk)]
    began = perf_counter()
    await nodes[0].publish(ROUND, *many)
    all_told = perf_counter() - began
    began = perf_counter()
    found = await nodes[-1].find(ROUND, Kind.CONTRIBUTION)
    all_found = perf_counter() - began
    _expect(found, single + bulk)
    memory = median(_resident(node._daemon.pid) for node in nodes) / 2**20
    began = perf_counter()
    for node in nodes:
        await node.close()
    stop = (perf_counter() - began) / count
    return (
        f"| {count} | {start:.2f} | {shown(publish)} | {shown(find)} | {all_told:.2f} | {all_found:.2f}"
        f" | {memory:.0f} | {stop:.2f} |"
    )


def _expect(found: list[Pointer], count: int) -> None:
    if len(found) != count:
        raise SystemExit(f"{len(found)} of {count} pointers were found")


def _resident(pid: int) -> int:
    """Bytes of memory of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize()


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, nargs="+", default=[3, 10, 30])
    parser.add_argument("--pointers", type=int, default=100, help="published one by one")
    parser.add_argument("--bulk", type=int, default=1000, help="published at once")
    chosen = parser.parse_args()
    print(
        f"| nodes | start s | publish ms p50 / p95 | find {chosen.pointers} ms p50 / p95 | publish {chosen.bulk} s"
        f" | find {chosen.pointers + chosen.bulk} s | p2pd MiB | stop s |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for count in chosen.nodes:
        print(asyncio.run(measure(count, chosen.pointers, chosen.bulk)), flush=True)


if __name__ == "__main__":
    main()
