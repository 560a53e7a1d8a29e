"""Where a passphrase comes from: typed by somebody, unseen, or read from a file. Never a word of the command line."""

import sys
from pathlib import Path

import click

from node.errors import MachineFault, UserError

MAX_FILE_BYTES = 4096

OPTION = click.option(
    "--passphrase-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Read the passphrase from the first line of this file instead of asking for it.",
)


def ask(file: Path | None, *, twice: bool) -> str:
    """The passphrase; ``twice`` when a slip of the finger would cost the key."""
    if file is not None:
        return _read(file)
    if not sys.stdin.isatty():
        raise UserError("there is no terminal to type a passphrase at; give --passphrase-file FILE")
    return str(click.prompt("Passphrase", hide_input=True, confirmation_prompt=twice and "Once more", err=True))


def _read(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            data = opened.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise MachineFault(f"the passphrase cannot be read from {file}: {error.strerror}") from None
    first = data.split(b"\n", 1)[0].removesuffix(b"\r")
    if len(data) > MAX_FILE_BYTES or not first:
        raise UserError(f"{file} does not begin with a line that is a passphrase")
    try:
        return first.decode()
    except UnicodeDecodeError:
        raise UserError(f"the passphrase in {file} is not UTF-8 text") from None
