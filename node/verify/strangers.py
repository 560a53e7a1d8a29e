"""What lies in a model folder and is not under its root: nobody vouches for it, and some of it runs when loaded."""

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from node.lineage import LINEAGE_FILE
from node.verify.integrity import MANIFEST_FILE
from node.verify.report import Finding, Gravity, What
from protocol.blobs.disk import blaming_the_machine
from protocol.blobs.kinds import Checkpoint
from protocol.blobs.layout import index_name
from protocol.blobs.modelfolder import ModelFolder
from protocol.errors import PeerError, UsageError
from protocol.modelsigning import UNSIGNED
from protocol.strict import shown

MAX_ENTRIES = 65_536
"""Files and folders that are looked at."""

MAX_NAMED = 8
"""Harmless names in one note."""

KNOWN = frozenset({
    *UNSIGNED,
    LINEAGE_FILE,
    MANIFEST_FILE,
    index_name(Checkpoint()),
    "LICENSE",
    "LICENSE.md",
    "LICENSE.txt",
    "NOTICE",
    "README.md",
    "umm.json",
})  # fmt: skip
"""Beside many models, and read by people or checked apart: no program runs or loads them as a part of the model."""

CODE = (".py", ".pyc", ".pyd", ".so", ".dylib", ".dll", ".sh", ".exe", ".js", ".jar")
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".joblib", ".npy", ".npz", ".h5", ".keras", ".msgpack")
WEIGHTS = (".safetensors", ".gguf", ".ggml", ".onnx", ".tflite")
ADAPTER = "adapter_config.json"
"""transformers applies an adapter that lies in a model's folder without being asked."""


def strangers(folder: Path) -> Iterator[Finding]:
    """A warning for each file that a program might load or run, and one note for all others."""
    harmless: list[str] = []
    covered, names = _covered(folder), _names(folder)
    if len(names) >= MAX_ENTRIES:
        text = f"the folder has more than {MAX_ENTRIES} files; not all of them were looked at"
        yield Finding(What.NOT_COVERED, Gravity.WARNING, text, "this is no model's folder; copy the model out of it")
    for name in names:
        if name in Checkpoint.ALLOWED or name in KNOWN or _real(folder / name) in covered:
            continue
        if (danger := _danger(name)) is None:
            harmless.append(name)
        else:
            text = f"{shown(name)} is not covered by the model's root, and {danger}"
            yield Finding(What.NOT_COVERED, Gravity.WARNING, text, "do not load it; remove it", name)
    if harmless:
        listed = ", ".join(shown(name) for name in harmless[:MAX_NAMED])
        more = f" and {len(harmless) - MAX_NAMED} more" if len(harmless) > MAX_NAMED else ""
        yield Finding(What.NOT_COVERED, Gravity.NOTE, f"not covered by the model's root: {listed}{more}")


def _danger(name: str) -> str | None:
    last = name.rsplit("/", 1)[-1].lower()
    if last == ADAPTER:
        return "programs that load models apply an adapter that lies beside one"
    if last.endswith(CODE):
        return "it is code"
    if last.endswith(PICKLES):
        return "files of this kind can run code when they are loaded"
    if last.endswith(WEIGHTS):
        return "it holds weights of something else"
    return None


def _covered(folder: Path) -> set[Path]:
    """The weight files that the model's tensors lie in."""
    try:
        return {path for _, path in ModelFolder.of(folder).tensors(Checkpoint())}
    except (PeerError, UsageError):  # said by ``integrity``
        return set()


def _names(folder: Path) -> list[str]:
    """Every file below the folder, sorted; links are listed and not followed."""
    found: list[str] = []
    pending, seen = [""], 0
    with blaming_the_machine("list", folder):
        while pending and seen < MAX_ENTRIES:
            parent = pending.pop()
            with os.scandir(folder / parent) as entries:
                for entry in islice(entries, MAX_ENTRIES - seen):
                    seen += 1
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(f"{parent}{entry.name}/")
                    else:
                        found.append(parent + entry.name)
    return sorted(found)


def _real(path: Path) -> Path | None:
    """Where a link leads to; None for one that leads round in a circle."""
    try:
        return path.resolve()
    except (OSError, RuntimeError):  # Python 3.11 and 3.12 raise RuntimeError for a loop of links
        return None
