"""The merges whose roots are committed: ``python -m tests.umm.golden_merges`` writes ``tests/vectors/merges.json``.

The models are made from hashes, so nothing but the arithmetic of a method and what surrounds the weights (names, types,
config) is pinned. A changed root means that outputs published by an earlier version can no longer be derived.
"""

import json
import tempfile
from pathlib import Path
from typing import Any

from tests.umm.checkpoints import merged, numbers, plain, recipe, stored
from umm.methods import METHODS

VECTORS = Path(__file__).parent.parent / "vectors" / "merges.json"
EXPERTS = ("a", "b", "c")

VARIANTS: dict[str, dict[str, Any]] = {
    "ties, float16": {"merge_method": "ties", "out_dtype": "float16"},
    "ties, float32": {"merge_method": "ties", "out_dtype": "float32"},
    "ties, rescaled, by layer": {
        "merge_method": "ties",
        "parameters": {"density": {"layers": [0.1, 0.9], "other": 0.5}, "rescale": True, "lines_beta": 0.5},
    },
    "dare_ties, seed 7": {"merge_method": "dare_ties", "parameters": {"density": 0.3}, "seed": 7},
    "nuslerp by row": {"merge_method": "nuslerp", "parameters": {"nuslerp_flatten": False}},
    "nuslerp by column": {
        "merge_method": "nuslerp",
        "parameters": {"nuslerp_flatten": False, "nuslerp_row_wise": True},
        "base_model": "base",
    },
    "model_stock by row": {"merge_method": "model_stock", "parameters": {"filter_wise": True}},
}
"""Merges beyond one of each method."""


def recipes() -> dict[str, str]:
    """Every recipe by the name that its root has in the vectors."""
    found = {name: recipe(name, experts=EXPERTS) for name, method in sorted(METHODS.items()) if method.exact}
    for name, keys in VARIANTS.items():
        found[name] = recipe(str(keys["merge_method"]), experts=EXPERTS, **keys)
    found["slices"] = json.dumps(
        {
            "slices": [
                {"sources": [{"model": "a", "layer_range": [0, 2]}, {"model": "base", "layer_range": [0, 2]}]},
                {"sources": [{"model": "b", "layer_range": [1, 2]}, {"model": "base", "layer_range": [0, 1]}]},
            ],
            "merge_method": "slerp",
            "base_model": "base",
            "parameters": {"t": [{"filter": "mlp", "value": [0, 1]}, {"value": 0.5}]},
        }
    )
    return found


def models(folder: Path, parts: int = 1) -> Path:
    """The base and the experts: of three types, with a tensor whose order statistics are sampled, and a mask."""
    for name, dtype in (("base", "bfloat16"), ("a", "bfloat16"), ("b", "float16"), ("c", "float32")):
        extra = {
            "model.wide.weight": stored(numbers(f"{name} wide", (2, 3001)), dtype),
            "model.scale": stored(numbers(f"{name} scale", ()), dtype),
            "model.empty": stored(numbers(name, (0, 4)), dtype),
            "model.mask": ("BOOL", (3,), b"\1\0\1"),
        }
        plain(folder / name, name, dtype=dtype, vocab=2700, width=100, head=False, extra=extra, parts=parts)
    return folder


def main() -> None:
    """Write the vectors."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = models(Path(scratch))
        roots = {}
        for k, (name, text) in enumerate(recipes().items()):
            roots[name] = merged(text, folder, f"out{k}").root.hex()
        VECTORS.write_text(json.dumps(roots, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
