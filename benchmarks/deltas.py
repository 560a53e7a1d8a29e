"""``python -m benchmarks.deltas --folder FOLDER``: what deltas of real fine-tunes cost, and how fast they are packed.

The first run trains the models (``fine_tunes``), which takes ten minutes on one idle core. Sizes are shares of the
expert's values. Speed is measured on a model with larger tensors, the trained ones repeated, since a small one would
measure the opening of files. It counts bytes of the expert for each second of processor time of all threads, with
files in the page cache: a figure that other work on the machine disturbs least.
"""

import argparse
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.fine_tunes import FINE_TUNES, FineTune, make
from umm.checkpoint.reader import Checkpoint
from umm.checkpoint.writer import OutTensor, Writer
from umm.delta import bits, decode, encode, measure
from umm.delta.bits import Bits
from umm.delta.frames import pack
from umm.delta.head import blocks
from umm.delta.values import block_bits, elements
from umm.digest import checkpoint_root
from umm.processors import usable

COPIES = {"bfloat16": 120, "float32": 60}
"""How often the tensors are repeated for measuring speed: some 270 MB of values."""

RUNS = 5


@dataclass(frozen=True)
class Sizes:
    """Shares of the expert's values: how many are the base's, and what each way of packing leaves."""

    same: float
    plain: float
    xor: float
    ours: float


def main() -> None:
    """Both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=usable())
    chosen = parser.parse_args()
    make(chosen.folder)
    print("| stored | trained in | rate | unchanged | values in planes | xor | delta | times smaller |")
    print("|---|---|--:|--:|--:|--:|--:|--:|")
    for tune in FINE_TUNES:
        found = sizes(chosen.folder, tune)
        shares = " | ".join(f"{share:.1%}" for share in (found.same, found.plain, found.xor, found.ours))
        print(f"| {tune.stored} | {tune.trained} | {tune.rate:g} | {shares} | {1 / found.ours:.1f} |")
    print("\n| stored | rate | encode | decode | measure |")
    print("|---|--:|--:|--:|--:|")
    for tune in FINE_TUNES:
        if tune.trained == "float32":
            speeds = [f"{speed / 1e6:.0f}" for speed in measured(chosen.folder, tune, chosen.threads)]
            print(f"| {tune.stored} | {tune.rate:g} | {' | '.join(speeds)} |")


def sizes(folder: Path, tune: FineTune) -> Sizes:
    """What one expert costs, after making sure that it comes back."""
    base, expert, out = folder / f"base-{tune.stored}", folder / tune.name, folder / "delta"
    shutil.rmtree(out, ignore_errors=True)
    report = encode(base, expert, out)
    shutil.rmtree(folder / "back", ignore_errors=True)
    decode(base, out, folder / "back")
    if checkpoint_root(folder / "back") != checkpoint_root(expert):
        raise SystemExit(f"{tune.name} does not come back")
    pairs = list(_pairs(base, expert))
    total = sum(len(new) for _, new in pairs)
    return Sizes(
        sum(int(np.count_nonzero(old == new)) for old, new in pairs) / total,
        _packed(new for _, new in pairs) / report.raw_bytes,
        _packed(old ^ new for old, new in pairs) / report.raw_bytes,
        report.packed_bytes / report.raw_bytes,
    )


def _pairs(base: Path, expert: Path) -> Iterator[tuple[Bits, Bits]]:
    with Checkpoint.open(base) as old, Checkpoint.open(expert) as new:
        for name, tensor in new.tensors.items():
            for block in range(blocks(elements(tensor))):
                yield block_bits(old, old.tensors[name], block), block_bits(new, tensor, block)


def _packed(values: Iterator[Bits]) -> int:
    return sum(len(pack(plane)) for block in values for plane in bits.planes(block))


def measured(folder: Path, tune: FineTune, threads: int) -> list[float]:
    """Bytes of the expert for a second of processor time, the median of some runs: encode, decode, measure."""
    base, expert = folder / "large-base", folder / "large-expert"
    for small, large in ((folder / f"base-{tune.stored}", base), (folder / tune.name, expert)):
        shutil.rmtree(large, ignore_errors=True)
        repeat(small, large, COPIES[tune.stored])
    size = sum(path.stat().st_size for path in expert.glob("*.safetensors"))
    delta, back = folder / "large-delta", folder / "large-back"
    seconds = [
        _median(lambda: encode(base, expert, delta, threads=threads), delta),
        _median(lambda: decode(base, delta, back, threads=threads), back),
        _median(lambda: measure(base, delta, threads=threads), folder / "nothing"),
    ]
    for made in (base, expert, delta, back):
        shutil.rmtree(made)
    return [size / s for s in seconds]


def _median(work: Callable[[], object], out: Path) -> float:
    taken = []
    for _ in range(RUNS):
        shutil.rmtree(out, ignore_errors=True)
        began = time.process_time()
        work()
        taken.append(time.process_time() - began)
    return sorted(taken)[RUNS // 2]


def repeat(small: Path, large: Path, copies: int) -> None:
    """A model with the tensors of a small one, each so many times as large."""
    with Checkpoint.open(small) as model:
        made = [OutTensor(name, t.dtype, (copies, *t.shape)) for name, t in model.tensors.items()]
        with Writer(large, made, shard_bytes=5 * 10**9, fingerprint="benchmark") as writer:
            for name in model.tensors:
                sink, values = writer.begin(name), b"".join(model.blocks(name))
                for _ in range(copies):
                    sink.write(values)
                sink.finish()
            writer.commit({"config.json": (small / "config.json").read_bytes()})


if __name__ == "__main__":
    main()
