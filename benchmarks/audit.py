"""Does an audit find cheats as often as its formula says?

A model of ``--tensors`` tensors; a cheat touches a share of them, chosen at random; an audit draws as ``umm verify
--audit`` does. The table has the share of audits that found the cheat beside what the formula promises, with the
difference in standard deviations of the count. Nothing is merged: that a tensor which was touched is found when it is
drawn is what tests/node/verify/test_audit.py shows.

    python -m benchmarks.audit --tensors 291 --trials 20000
"""

import argparse
import random
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from math import sqrt
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from node.verify.audit import drawn
from node.verify.odds import PERCENTS, missed, touched_by

DRAWS = (1, 5, 10, 20, 50, 100)
"""Tensors that an audit looks at."""


@dataclass(frozen=True)
class Row:
    """One kind of audit against one kind of cheat."""

    percent: int
    touched: int
    draws: int
    measured: float
    promised: float
    trials: int

    @property
    def deviations(self) -> float:
        """How far the count is from the promised one, in standard deviations; 0 where it is certain."""
        spread = sqrt(self.promised * (1 - self.promised) / self.trials)
        return (self.measured - self.promised) / spread if spread else 0.0


def measure(tensors: int, trials: int, seed: int) -> Iterator[Row]:
    """Cheat and audit, over and over."""
    names = [f"tensor-{i:06}" for i in range(tensors)]
    source = random.Random(seed)
    for percent in PERCENTS:
        touched = touched_by(percent, tensors)
        for draws in (d for d in DRAWS if d <= tensors):
            found = 0
            for _ in range(trials):
                cheat = set(source.sample(names, touched))
                found += not cheat.isdisjoint(drawn(names, draws, source.randrange(2**64)))
            yield Row(percent, touched, draws, found / trials, 1 - missed(tensors, touched, draws), trials)


def table(rows: list[Row], tensors: int) -> str:
    """Markdown."""
    head = [
        f"An audit of a model of {tensors} tensors, {rows[0].trials:,} simulated cheats each.",
        "",
        "| cheat touches | tensors audited | found, measured | found, formula | difference in σ |",
        "|---|---|---|---|---|",
    ]
    lines = [
        f"| {r.percent} % ({r.touched}) | {r.draws} | {r.measured:.4f} | {r.promised:.4f} | {r.deviations:+.1f} |"
        for r in rows
    ]
    return "\n".join([*head, *lines])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--tensors", type=int, default=291, help="default: 291, a Llama of 32 layers")
    parser.add_argument("--trials", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    print(table(list(measure(args.tensors, args.trials, args.seed)), args.tensors))


if __name__ == "__main__":
    main()
