"""``python -m tests.node.database_writer DATABASE``: writes until it is killed, and says what it was told is kept."""

import argparse
import os
import resource
import signal
import sys
from contextlib import closing
from pathlib import Path

from node.database import Database, Kept
from node.errors import MachineFault

ROUND = b"r" * 32


def kept(number: int, size: int = 0) -> Kept:
    return Kept(number.to_bytes(32, "big"), b"envelope %d" % number + bytes(size), 1.0)


def say(line: str) -> None:
    """At once, whatever happens next."""
    os.write(sys.stdout.fileno(), line.encode() + b"\n")


def write(database: Database) -> None:
    """Record after record; on standard output how many are kept."""
    number = len(database.records(ROUND))
    while True:
        database.add_records(ROUND, [kept(number)])
        number += 1
        say(str(number))


def die_half_way(database: Database) -> None:
    """Be killed while a write is under way."""
    database.add_records(ROUND, [kept(0)])

    class Deadly:
        """The last value of a write: asked for when those before it are in the database already."""

        def __conform__(self, _: object) -> bytes:
            os.kill(os.getpid(), signal.SIGKILL)
            raise AssertionError

    database.add_records(ROUND, [*(kept(n, 10_000) for n in range(1, 1000)), Kept(b"", Deadly(), 1.0)])  # type: ignore[arg-type]


def fill(database: Database, path: Path) -> None:
    """Write to a disk that is full after a while; then there is room again."""
    database.add_records(ROUND, [kept(0)])
    size = sum(found.stat().st_size for found in path.parent.iterdir())
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 300_000, hard))
    number = 1
    try:
        while True:
            database.add_records(ROUND, [kept(number, 20_000)])
            number += 1
    except MachineFault as error:
        say(f"{type(error).__name__} {error}")
    try:
        database.add_records(ROUND, [kept(number, 10**6)])
    except MachineFault:
        say("again")
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    database.add_records(ROUND, [kept(10**6)])
    say(str(number + 1))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("path", type=Path)
    parser.add_argument("--half", action="store_true")
    parser.add_argument("--full", action="store_true")
    given = parser.parse_args()
    with closing(Database(given.path)) as made:
        if given.half:
            die_half_way(made)
        elif given.full:
            fill(made, given.path)
        else:
            write(made)
