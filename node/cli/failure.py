"""How an error is shown: a sentence and what to do, on standard error; with ``--json`` an object on standard output.

``UMM_DEBUG=1`` shows where it came from as well.
"""

import json
import os
import sys
import traceback
from collections.abc import Sequence

import click

from node.cli.verb import JSON
from node.errors import NodeError
from node.exits import Exit, exit_of
from protocol.errors import ProtocolError
from umm.errors import UmmError

DEBUG = "UMM_DEBUG"


def report(error: BaseException, words: Sequence[str]) -> int:
    """Show an error that ended the command line ``words``; the exit code."""
    code = _code(error)
    if os.environ.get(DEBUG) == "1":
        traceback.print_exception(error)
    if _wants_json(words):
        print(json.dumps({"error": sentence(error), "exit_code": int(code)}), flush=True)
    else:
        _show_usage(error)
        print(f"umm: {sentence(error)}", file=sys.stderr, flush=True)
    return int(code)


def sentence(error: BaseException) -> str:
    """What an error says to people."""
    match error:
        case click.NoSuchOption():
            meant = error.possibilities
            return f"there is no option {error.option_name}" + (f"; did you mean {meant[0]}?" if meant else "")
        case click.ClickException():
            return _lowered(error.format_message())
        case KeyboardInterrupt():
            return ": ".join(["interrupted", *map(str, error.args)])
        case click.Abort():
            return "interrupted"
        case BaseExceptionGroup():
            return "; ".join(dict.fromkeys(sentence(inner) for inner in error.exceptions))
        case UmmError() | ProtocolError() | NodeError():
            return str(error)
        case OSError():  # one that no room saw coming
            where = f"{error.filename}: " if error.filename else ""
            return f"{where}{error.strerror or error}"
    return (
        f"this is a fault of the program ({type(error).__name__}: {error}); please report it with what {DEBUG}=1 shows"
    )


def _code(error: BaseException) -> Exit:
    if isinstance(error, click.Abort):
        return Exit.INTERRUPTED
    return Exit.USAGE if isinstance(error, click.UsageError) else exit_of(error)


def _wants_json(words: Sequence[str]) -> bool:
    """Looked for in the words themselves: a line that cannot be parsed has to be answered too."""
    options = words[: list(words).index("--")] if "--" in words else words
    return JSON in options


def _show_usage(error: BaseException) -> None:
    if not isinstance(error, click.UsageError) or error.ctx is None:
        return
    usage = " ".join(error.ctx.get_usage().split())
    print(usage.replace("Usage:", "usage:", 1), file=sys.stderr)
    print(f"help:  {error.ctx.command_path} --help", file=sys.stderr)


def _lowered(text: str) -> str:
    """click begins its messages with a capital and ends them with a full stop."""
    text = text.strip().removesuffix(".")
    return text[:1].lower() + text[1:] if text[1:2].islower() else text
