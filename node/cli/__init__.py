"""The command line: one verb a file. It parses, calls, prints; heavy modules load only when their verb runs."""

import argparse
import os
import sys
from collections.abc import Sequence

from node.cli import inspect, merge, methods
from umm import __version__
from umm.errors import UmmError

FAILED = 1
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; 0 when it did what was asked, 1 for an error, 2 for a wrong command line, 130 for Ctrl-C."""
    parser = argparse.ArgumentParser(
        prog="umm", description="Merge language models from a recipe, to the same bits on every machine."
    )
    parser.add_argument("--version", action="version", version=f"umm {__version__}")
    verbs = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for verb in (merge, inspect, methods):
        verb.add_parser(verbs)
    chosen = parser.parse_args(arguments)
    try:
        code = int(chosen.run(chosen))
        sys.stdout.flush()
    except UmmError as error:
        print(f"umm: {error}", file=sys.stderr)
        return FAILED
    except BrokenPipeError:  # the reader of our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except OSError as error:  # one that no room saw coming
        where = f"{error.filename}: " if error.filename else ""
        print(f"umm: {where}{error.strerror or error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt as interrupt:
        print(": ".join(["umm: interrupted", *map(str, interrupt.args)]), file=sys.stderr)
        return INTERRUPTED
    return code
