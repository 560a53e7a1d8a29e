"""The physical floor of a merge: read every input byte once and write the output once, and nothing else.

Two threads read 1 MiB tiles into a reused buffer and write in between. The plain floor leaves the output in
the page cache; the durable floor waits for the disk (fsync), as an atomic writer must. A small C program
does it where there is a compiler; otherwise Python does (its system calls release the interpreter lock: it
is nearly as fast).
"""

import argparse
import json
import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

TILE = 1 << 20  # bytes
THREADS = 2
SOURCE = Path(__file__).with_name("floor.c")


@dataclass(frozen=True)
class Floor:
    """One measurement of the floor."""

    seconds: float
    durable: bool
    bytes_read: int
    bytes_written: int
    threads: int
    means: str  # "C" or "Python"


def weights(folder: Path) -> list[Path]:
    """The weight files of a checkpoint."""
    return sorted(folder.glob("*.safetensors"))


def build(folder: Path) -> Path | None:
    """Compile the C program into the folder; None where there is no compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if not compiler:
        return None
    program = folder / "floor"
    done = subprocess.run([compiler, "-O2", "-pthread", "-o", program, SOURCE], check=False)
    return program if done.returncode == 0 else None


def measure(
    program: Path | None,
    inputs: Sequence[Path],
    size: int,
    output: Path,
    durable: bool = False,
    threads: int = THREADS,
) -> Floor:
    """Measure once; the output is deleted afterwards."""
    files = [file for folder in inputs for file in weights(folder)]
    try:
        if program:
            command: list[str | Path] = [program, str(threads), output, str(size), str(int(durable)), *files]
            seconds = float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        else:
            seconds = _in_python(files, size, output, durable, threads)
    finally:
        output.unlink(missing_ok=True)
    read = sum(f.stat().st_size for f in files)
    return Floor(seconds, durable, read, size, threads, "C" if program else "Python")


def _in_python(files: Sequence[Path], size: int, output: Path, durable: bool, threads: int) -> float:
    start = time.perf_counter()
    handles = [os.open(file, os.O_RDONLY) for file in files]
    out = os.open(output, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o644)
    reads = [(h, at) for h, f in zip(handles, files, strict=True) for at in range(0, f.stat().st_size, TILE)]
    writes = -(-size // TILE)

    def work(first: int) -> None:
        buffer = memoryview(bytearray(TILE))
        for w in range(first, writes, threads):
            for handle, at in reads[len(reads) * w // writes : len(reads) * (w + 1) // writes]:
                os.preadv(handle, [buffer], at)
            os.pwrite(out, buffer[: min(TILE, size - w * TILE)], w * TILE)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, range(threads)))
    if durable:
        os.fsync(out)
    for handle in (*handles, out):
        os.close(handle)
    return time.perf_counter() - start


def main() -> None:
    """Measure the floor of merging the given checkpoints, and print JSON."""
    parser = argparse.ArgumentParser(description="Measure the physical floor of one merge.")
    parser.add_argument("inputs", type=Path, nargs="+", help="checkpoint folders that the merge reads")
    parser.add_argument("--output", type=Path, required=True, help="file to write and delete")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=THREADS)
    parser.add_argument("--python", action="store_true", help="do not use C")
    a = parser.parse_args()
    program = None if a.python else build(a.output.parent)
    size = sum(f.stat().st_size for f in weights(a.inputs[0]))
    for folder in a.inputs:  # the first reading fills the page cache
        for file in weights(folder):
            with file.open("rb") as stream:
                while stream.read(TILE):
                    pass
    for _ in range(a.rounds):
        for durable in (False, True):
            print(json.dumps(asdict(measure(program, a.inputs, size, a.output, durable, a.threads))))


if __name__ == "__main__":
    main()
