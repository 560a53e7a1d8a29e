"""Progress bars on standard error, where somebody sees them: how much, how fast, how long still."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Protocol

from node.cli.screen import Screen, printable
from node.cli.values import counted, spelled

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

BYTES = "B"

TOLD_SECONDS = 0.05


class Bar(Protocol):
    """What work tells about itself, from any thread."""

    def advance(self, size: int) -> None:
        """Move on by so many bytes."""
        ...

    def at(self, done: int, total: int, what: str | None = None, unit: str = BYTES) -> None:
        """So much of so much is done; a total of 0 is not known yet."""
        ...

    def note(self, text: str) -> None:
        """A line on standard error, above the bar."""
        ...


@contextmanager
def bar(screen: Screen, what: str, total: int | None = None, *, quiet: bool = False) -> Iterator[Bar]:
    """A bar that is gone when the work is done. ``quiet`` takes the notes away too."""
    if quiet or not screen.watched:
        yield _Unseen(quiet)
        return
    with _drawn() as drawn:
        seen = _Seen(drawn, drawn.add_task(printable(what), total=total, amount="", rate=""))
        try:
            yield seen
        finally:
            seen.end()


def amount(done: float, total: float | None, unit: str) -> str:
    """``1.2 GB of 3.4 GB``, ``3 of 12 tensors``."""
    if unit == BYTES:
        return f"{spelled(done)} of {spelled(total)}" if total else spelled(done)
    return f"{counted(int(done))} of {counted(int(total))} {unit}" if total else f"{counted(int(done))} {unit}"


def _drawn() -> "Progress":
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[amount]}", markup=False),
        TextColumn("{task.fields[rate]}", markup=False),
        TimeRemainingColumn(compact=True),
        console=Console(stderr=True),
        transient=True,
    )


class _Seen:
    """A bar of rich's, told at most every ``TOLD_SECONDS``: work may advance thousands of times a second."""

    def __init__(self, drawn: "Progress", task: "TaskID") -> None:
        self._drawn, self._task = drawn, task
        self._done, self._total, self._what, self._unit = 0, drawn.tasks[0].total or 0, "", BYTES
        self._told = 0.0
        self._lock = Lock()

    def advance(self, size: int) -> None:
        with self._lock:
            self._done += size
            self._tell()

    def at(self, done: int, total: int, what: str | None = None, unit: str = BYTES) -> None:
        with self._lock:
            if what is not None and what != self._what:  # other work: its speed is not that of the work before
                self._what, self._told = what, 0.0
                self._drawn.reset(self._task, description=printable(what))
            self._done, self._total, self._unit = done, total, unit
            self._tell()

    def note(self, text: str) -> None:
        self._drawn.console.print(f"umm: {text}", markup=False, highlight=False, soft_wrap=True)

    def end(self) -> None:
        """Show how far it came."""
        with self._lock:
            self._told = 0.0
            self._tell()

    def _tell(self) -> None:
        if (now := monotonic()) < self._told + TOLD_SECONDS:
            return
        self._told = now
        self._drawn.update(self._task, completed=self._done, total=self._total or None)
        speed = self._drawn.tasks[0].speed
        rate = f"{spelled(speed)}/s" if speed and self._unit == BYTES else ""
        self._drawn.update(self._task, amount=amount(self._done, self._total, self._unit), rate=rate)


class _Unseen:
    """Nobody looks."""

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet

    def advance(self, size: int) -> None:
        pass

    def at(self, done: int, total: int, what: str | None = None, unit: str = BYTES) -> None:
        pass

    def note(self, text: str) -> None:
        if not self._quiet:
            print(f"umm: {text}", file=sys.stderr, flush=True)
