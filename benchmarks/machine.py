"""What a measurement ran on: processor, memory, kernel, versions."""

import os
import platform
import subprocess
from collections.abc import Sequence
from pathlib import Path

ASK = (
    "import importlib.metadata as m, json, platform, sys\n"
    "def version(name):\n"
    "    try: return m.version(name)\n"
    "    except m.PackageNotFoundError: return None\n"
    "found = {name: version(name) for name in sys.argv[1:]}\n"
    "print(json.dumps({'python': platform.python_version(), **{k: v for k, v in found.items() if v}}))\n"
)


def describe() -> dict[str, str | int | float]:
    """The machine in a few words and numbers."""
    model = _line(Path("/proc/cpuinfo"), "model name") or platform.processor()
    flags = (_line(Path("/proc/cpuinfo"), "flags") or "").split()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": model,
        "vector_instructions": " ".join(f for f in ("avx2", "avx512f", "avx512_bf16") if f in flags),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(memory / 2**30, 1),
        "kernel": platform.release(),
        "system": platform.system(),
        "load_at_start": round(os.getloadavg()[0], 2),
    }


def versions(python: Path, packages: Sequence[str]) -> str:
    """The versions that a Python environment holds, as JSON."""
    command: list[str | Path] = [python, "-c", ASK, *packages]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def _line(file: Path, key: str) -> str | None:
    for line in file.read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == key:
            return value.strip()
    return None
