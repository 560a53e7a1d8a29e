"""Bases, experts and deltas made byte by byte, for tests of the codec."""

from collections.abc import Mapping
from pathlib import Path

from tests.umm.handmade import CONFIG, Values, model_folder, tensor_file
from umm.checkpoint.reader import Checkpoint

BASE: Values = {
    "w": ("BF16", (2, 3), bytes.fromhex("803f 0040 4040 8040 a040 c040")),
    "v": ("F32", (2,), bytes.fromhex("0000803f 00000040")),
    "ids": ("I64", (1,), bytes([7, 0, 0, 0, 0, 0, 0, 0])),
}
"""A small model; in ``EXPERT`` two of its tensors have changed."""

EXPERT: Values = {
    "w": ("BF16", (2, 3), bytes.fromhex("813f 0040 3f40 8040 a040 c041")),
    "v": BASE["v"],
    "ids": ("I64", (1,), bytes([9, 0, 0, 0, 0, 0, 0, 0])),
}


def model(folder: Path, tensors: Values, files: Mapping[str, bytes] | None = None, config: object = CONFIG) -> Path:
    """A model folder with these tensors in one file."""
    return model_folder(folder, {"model.safetensors": tensor_file(tensors), **(files or {})}, config)


def pair(folder: Path, base: Values = BASE, expert: Values = EXPERT) -> tuple[Path, Path]:
    """A base and an expert, side by side."""
    return model(folder / "base", base), model(folder / "expert", expert)


def delta(folder: Path, packed: Mapping[str, bytes], files: Mapping[str, bytes] | None = None) -> Path:
    """A delta with these packed tensors, whatever is in them."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors: Values = {name: ("U8", (len(data),), data) for name, data in packed.items()}
    for name, data in {"delta.safetensors": tensor_file(tensors), **(files or {})}.items():
        (folder / name).write_bytes(data)
    return folder


def tensors_of(folder: Path) -> dict[str, tuple[str, tuple[int, ...], bytes]]:
    """Every tensor of a model folder."""
    with Checkpoint.open(folder) as found:
        return {t.name: (t.dtype, t.shape, b"".join(found.blocks(t.name))) for t in found.tensors.values()}


def listing(folder: Path) -> dict[str, bytes]:
    """Every file of a folder."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
