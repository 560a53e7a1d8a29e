"""Where a verb's answer goes: text for people, JSON for programs, and nothing twice.

Rules:

1. Standard output has the answer, and with ``--json`` nothing but JSON. Warnings and progress go to standard error.
2. Colours, live views and advice on what to do next are for terminals; elsewhere there are plain lines.
3. Rich is imported when a terminal shows a table, and not before.
4. What others wrote is printed without what could steer a terminal.
"""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from protocol.strict import CONTROL_CHARACTER

GAP = "  "
"""Between columns."""

Rows = Sequence[Sequence[str]]


def printable(text: str) -> str:
    """A stranger's text on one line, without what could steer a terminal."""
    return CONTROL_CHARACTER.sub("\ufffd", text)


class Screen:
    """What one run of a verb shows."""

    def __init__(self, *, json: bool) -> None:
        self.json = json

    @property
    def live(self) -> bool:
        """Whether somebody looks at standard output while it is written."""
        return not self.json and sys.stdout.isatty() and os.environ.get("TERM") != "dumb"

    @property
    def watched(self) -> bool:
        """Whether a progress bar on standard error would be seen and disturb nothing."""
        return not self.json and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"

    def document(self, found: Mapping[str, Any] | Sequence[Any]) -> None:
        """The answer for programs; nothing for people."""
        if self.json:
            print(json.dumps(found, indent=1, allow_nan=False), flush=True)

    def event(self, found: Mapping[str, Any]) -> None:
        """One of many answers for programs: an object on a line of its own."""
        if self.json:
            print(json.dumps(found, allow_nan=False), flush=True)

    def say(self, text: str = "") -> None:
        """Text for people."""
        if not self.json:
            print(text, flush=True)

    def advise(self, text: str) -> None:
        """What to do next; for somebody who sits at a terminal."""
        if self.live:
            self.say(text)

    def warn(self, text: str) -> None:
        """Something that did not stop us."""
        print(f"umm: warning: {text}", file=sys.stderr)

    def marked(self, word: str, style: str, text: str) -> None:
        """A line that begins with a word in a colour."""
        if self.live:
            from rich.console import Console
            from rich.text import Text

            Console(highlight=False).print(Text(f"{word:5}", style), Text(printable(text)), soft_wrap=True)
        else:
            self.say(f"{word:5} {printable(text)}")

    def facts(self, pairs: Sequence[tuple[str, str]]) -> None:
        """A short list of names and what they are."""
        width = max(len(name) for name, _ in pairs)
        for name, value in pairs:
            self.say(f"  {name:{width}}  {printable(value)}".rstrip())

    def table(self, headers: Sequence[str], rows: Rows) -> None:
        """Columns: fitted to a terminal, or as wide as they are."""
        clean = [[printable(cell) for cell in row] for row in rows]
        if self.live:
            _show(headers, clean)
        elif not self.json:
            print(aligned(headers, clean), flush=True)


def aligned(headers: Sequence[str], rows: Rows) -> str:
    """Columns in plain text, for a file, a pipe or a test."""
    lines = [headers, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(headers))]
    return "\n".join(
        GAP.join(f"{cell:{width}}" for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def _show(headers: Sequence[str], rows: Rows) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, len(GAP), 0, 0), header_style="bold")
    for header in headers:
        table.add_column(header, overflow="fold", no_wrap=header == headers[0])
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    Console().print(table)
