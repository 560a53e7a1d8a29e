"""Run one program and measure it: wall time, CPU time of it and its children, peak memory.

Anonymous memory is what the program itself allocated (RssAnon + RssShmem, summed over the process tree);
pages of mapped files are left out, because the kernel can drop them at will. It is sampled, so a spike
shorter than the sampling interval can be missed. ``peak_rss_mb`` is the kernel's own record for the largest
single process, with mapped files.
"""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

INTERVAL_S = 0.02
SHOWN_WORDS = 240  # characters of the one line that says why
SHOWN_ERROR = 2000  # characters of a failed program's last words that are kept
OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}


@dataclass(frozen=True)
class Run:
    """What one run cost, and how it ended."""

    wall_s: float
    cpu_s: float
    anonymous_mb: float
    peak_rss_mb: float
    status: int
    timed_out: bool
    error: str

    @property
    def ok(self) -> bool:
        """The program ended by itself and reported success."""
        return self.status == 0 and not self.timed_out

    @property
    def words(self) -> str:
        """Why it failed, in one line: our own message, or the last line of a traceback."""
        if self.timed_out:
            return "time limit"
        lines = self.error.splitlines() or [""]
        ours = [i for i, line in enumerate(lines) if line.startswith("umm: ")]
        return " ".join(" ".join(lines[ours[0] :] if ours else lines[-1:]).split())[:SHOWN_WORDS]


def run(
    command: Sequence[str | Path],
    timeout_s: float,
    log: Path,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> Run:
    """Run to the end, or kill the whole process group at the time limit. Output goes to the log."""
    with log.open("wb") as out:
        start = time.perf_counter()
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env={**os.environ, **OFFLINE, **(environment or {})},
            start_new_session=True,
        )
        late = threading.Event()
        timer = threading.Timer(timeout_s, _kill, (process.pid, late))
        timer.start()
        sampler = _Sampler(process.pid)
        sampler.start()
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        timer.cancel()
        sampler.stop()
        process.returncode = os.waitstatus_to_exitcode(status)
    words = log.read_text(errors="replace").strip()[-SHOWN_ERROR:] if process.returncode else ""
    return Run(
        round(wall, 4),
        round(usage.ru_utime + usage.ru_stime, 3),
        round(sampler.peak / 1e6, 1),
        round(usage.ru_maxrss * 1024 / 1e6, 1),
        process.returncode,
        late.is_set(),
        words,
    )


def _kill(group: int, late: threading.Event) -> None:
    late.set()
    os.killpg(group, signal.SIGKILL)


class _Sampler(threading.Thread):
    """Watches the memory of a process tree."""

    def __init__(self, root: int) -> None:
        super().__init__(daemon=True)
        self.peak = 0  # bytes
        self._root = root
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.wait(INTERVAL_S):
            self.peak = max(self.peak, sum(_anonymous(pid) for pid in _tree(self._root)))

    def stop(self) -> None:
        self._over.set()
        self.join()


def _tree(root: int) -> list[int]:
    found = [root]
    for pid in found:  # grows while it is walked
        with suppress(OSError):  # it ended meanwhile
            for children in Path(f"/proc/{pid}/task").glob("*/children"):
                found += [int(child) for child in children.read_text().split()]
    return found


def _anonymous(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:  # it has just ended
        return 0
    lines = dict(line.split(":", 1) for line in text.splitlines())
    return sum(int(lines.get(key, "0 kB").split()[0]) * 1024 for key in ("RssAnon", "RssShmem"))
