"""A terminal with ``umm`` in it, as somebody sits at one."""

import os
import pty
import re
import subprocess
import sys
import termios
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[3]
ROWS, COLUMNS = 40, 120
UMM = ("-m", "node.cli")

_STEERING = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@dataclass(frozen=True)
class Seen:
    """What was on the screen, and how it ended."""

    raw: str
    code: int

    @property
    def text(self) -> str:
        """Without colours and movements."""
        return _STEERING.sub("", self.raw).replace("\r\n", "\n")


class Terminal:
    """One run of the command."""

    def __init__(self, *words: str, env: Mapping[str, str] | None = None, program: Sequence[str] = UMM) -> None:
        self._ours, theirs = pty.openpty()
        termios.tcsetwinsize(theirs, (ROWS, COLUMNS))
        self.child = subprocess.Popen(
            [sys.executable, *program, *words],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm-256color", **(env or {})},
            preexec_fn=_leads,
        )
        os.close(theirs)
        self.seen = b""

    def until(self, text: str) -> None:
        """Wait until the screen shows this."""
        while text not in self.seen.decode(errors="replace"):
            data = self._read()
            assert data, f"the command ended without {text!r}: {self.seen!r}"

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self._ours, text.encode())

    def end(self) -> Seen:
        """Everything that was shown until the command ended."""
        while self._read():
            pass
        os.close(self._ours)
        return Seen(self.seen.decode(errors="replace"), self.child.wait())

    def _read(self) -> bytes:
        try:
            data = os.read(self._ours, 1 << 16)
        except OSError:  # the other end is closed
            return b""
        self.seen += data
        return data


def _leads() -> None:
    """A session of its own with this terminal, so that Ctrl-C reaches it."""
    import fcntl

    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def in_a_terminal(*words: str, env: Mapping[str, str] | None = None) -> Seen:
    """Run a command that asks nothing."""
    return Terminal(*words, env=env).end()
