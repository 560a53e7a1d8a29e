"""The command line: one verb a file. It parses, calls, prints; heavy modules load only when their verb runs."""

import os
import sys
from collections.abc import Sequence

import click
from click.exceptions import Exit as Finished
from click.exceptions import NoArgsIsHelpError
from click.shell_completion import shell_complete

from node.cli.failure import report
from node.cli.verbs import VERBS, Verbs
from node.exits import Exit
from umm import __version__

COMPLETE = "_UMM_COMPLETE"
"""The variable in which a shell asks for completions."""

umm = Verbs(
    "umm",
    "node.cli",
    VERBS,
    help="Merge language models, alone or with others, to the same bits on every machine.",
)
click.version_option(__version__, prog_name="umm", message="%(prog)s %(version)s")(umm)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; the exit code (``node.exits``)."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = _run(words)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader of our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.ERROR
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - whatever it is, it is told in one sentence
        return report(error, words)
    return code


def _run(words: list[str]) -> int:
    if asked := os.environ.get(COMPLETE):
        return shell_complete(umm, {}, "umm", COMPLETE, asked)
    try:
        with umm.make_context("umm", words) as context:
            return int(umm.invoke(context) or Exit.OK)
    except NoArgsIsHelpError as error:
        print(error.format_message(), file=sys.stderr)
        return Exit.USAGE
    except Finished as finished:  # --help and --version
        return finished.exit_code
