"""The two programs as their users start them, and how to get mergekit in an environment of its own."""

import json
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.machine import versions
from benchmarks.processes import OFFLINE, Run, run

ROOT = Path(__file__).resolve().parents[1]
MERGEKIT = "mergekit==0.1.5"
CONSTRAINTS = Path(__file__).with_name("mergekit-constraints.txt")
PACKAGES = ("numpy", "numba", "torch", "transformers", "safetensors")


@dataclass(frozen=True)
class Umm:
    """Our command line, run by the interpreter of an environment that has its dependencies."""

    python: Path
    threads: int | None = None
    environment: dict[str, str] = field(default_factory=dict)

    def merge(self, recipe: Path, output: Path, timeout_s: float, log: Path, *options: str) -> Run:
        """Run one recipe."""
        threads = ("--threads", str(self.threads)) if self.threads else ()
        command = [self.python, "-m", "node.cli", "merge", recipe, output, "--quiet", *threads, *options]
        return run(command, timeout_s, log, folder=ROOT, environment=self.environment)

    def versions(self) -> dict[str, str]:
        """What it runs with."""
        found: dict[str, str] = json.loads(versions(self.python, PACKAGES))
        return found


@dataclass(frozen=True)
class Mergekit:
    """The peer's command line, beside the interpreter of its environment."""

    python: Path

    def merge(self, recipe: Path, output: Path, timeout_s: float, log: Path, *options: str) -> Run:
        """Run one recipe. The checkpoints have no tokenizer, so it is told not to look for one."""
        program = self.python.with_name("mergekit-yaml")
        command: list[str | Path] = [program, recipe, output, "--quiet", "--no-copy-tokenizer", *options]
        return run(command, timeout_s, log)

    def versions(self) -> dict[str, str]:
        """What it runs with."""
        found: dict[str, str] = json.loads(versions(self.python, ("mergekit", *PACKAGES)))
        return found


def install_mergekit(folder: Path, umm_python: Path) -> Path:
    """Make an environment with mergekit and the torch version that umm runs with; say where its python is."""
    python = folder / "bin" / "python"
    if python.is_file() and python.with_name("mergekit-yaml").is_file():
        return python
    torch = json.loads(versions(umm_python, ("torch",)))["torch"]
    subprocess.run([umm_python, "-m", "venv", folder], check=True)
    install = ["-m", "pip", "install", "--quiet", "-c", str(CONSTRAINTS), f"torch=={torch}", MERGEKIT]
    subprocess.run([python, *install], check=True)
    return python


class MergekitLoop:
    """Mergekit's command line in a process that stays; restarted after a merge that failed."""

    def __init__(self, python: Path, log: Path) -> None:
        self._python = python
        self._log = log
        self._process: subprocess.Popen[str] | None = None

    def merge(self, recipe: Path, output: Path, *options: str) -> str | None:
        """Run one recipe; None, or the last words of a merge that failed."""
        process = self._process or self._start()
        assert process.stdin  # noqa: S101 - opened as pipes
        assert process.stdout  # noqa: S101
        print(
            json.dumps([str(recipe), str(output), "--quiet", "--no-copy-tokenizer", *options]),
            file=process.stdin,
        )
        process.stdin.flush()
        if process.stdout.readline():
            return None
        self.close()
        lines = self._log.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "no words"

    def close(self) -> None:
        """End the process."""
        if self._process:
            self._process.communicate()
            self._process = None

    def _start(self) -> subprocess.Popen[str]:
        self._process = subprocess.Popen(
            [self._python, Path(__file__).with_name("mergekit_loop.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log.open("w"),
            env={**os.environ, **OFFLINE},
            text=True,
        )
        return self._process
