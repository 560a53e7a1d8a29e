"""Synthetic Llama-shaped checkpoints: one base and experts whose deltas look like those of real fine-tunes.

The base is drawn from N(0, 0.02), with norm weights near 1, and rounded to its type. An expert is the base
as stored plus N(0, 0.02·ratio), rounded again, so that in bfloat16 its delta takes few distinct values, as
a real one does. Every tile of every tensor has its own stream of random numbers: the bytes depend on the
seed, not on threads.
"""

import argparse
import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

if __name__ == "__main__":
    import sys

    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.tensorfile import CODE, WIDTH, Floats, Slot, create, encode, read, tensors_of

TILE = 1 << 20  # values drawn at a time by one thread
SPREAD = 0.02  # standard deviation of the base's values
RECEIPT = "made.json"  # written last: says what the folder holds, and that it is complete


@dataclass(frozen=True)
class Shape:
    """The sizes of a Llama model with its own output matrix."""

    hidden: int
    layers: int
    heads: int
    kv_heads: int
    mlp: int
    vocabulary: int

    def tensors(self) -> dict[str, tuple[int, ...]]:
        """Name and shape of every tensor, in the order in which they are stored."""
        kv = self.hidden // self.heads * self.kv_heads
        layer: dict[str, tuple[int, ...]] = {
            "input_layernorm": (self.hidden,),
            "self_attn.q_proj": (self.hidden, self.hidden),
            "self_attn.k_proj": (kv, self.hidden),
            "self_attn.v_proj": (kv, self.hidden),
            "self_attn.o_proj": (self.hidden, self.hidden),
            "post_attention_layernorm": (self.hidden,),
            "mlp.gate_proj": (self.mlp, self.hidden),
            "mlp.up_proj": (self.mlp, self.hidden),
            "mlp.down_proj": (self.hidden, self.mlp),
        }
        named = {"model.embed_tokens.weight": (self.vocabulary, self.hidden)}
        every: dict[str, tuple[int, ...]] = dict(named)
        for index in range(self.layers):
            every |= {f"model.layers.{index}.{name}.weight": shape for name, shape in layer.items()}
        return every | {"model.norm.weight": (self.hidden,), "lm_head.weight": (self.vocabulary, self.hidden)}

    def config(self, dtype: str) -> dict[str, Any]:
        """What config.json says about such a model."""
        return {
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            "hidden_act": "silu",
            "hidden_size": self.hidden,
            "intermediate_size": self.mlp,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "num_key_value_heads": self.kv_heads,
            "vocab_size": self.vocabulary,
            "max_position_embeddings": 2048,
            "rms_norm_eps": 1e-5,
            "rope_theta": 10000.0,
            "bos_token_id": 1,
            "eos_token_id": 2,
            "tie_word_embeddings": False,
            "torch_dtype": dtype,
        }


SHAPES = {
    "5M": Shape(hidden=256, layers=5, heads=4, kv_heads=4, mlp=688, vocabulary=2000),
    "125M": Shape(hidden=768, layers=12, heads=12, kv_heads=12, mlp=2048, vocabulary=32000),
    "1.1B": Shape(hidden=2048, layers=22, heads=32, kv_heads=4, mlp=5632, vocabulary=32000),
}


@dataclass(frozen=True)
class Kind:
    """All that a family of checkpoints depends on."""

    shape: Shape
    seed: int = 0
    ratio: float = 0.05  # spread of a delta relative to the spread of the base
    dtype: str = "bfloat16"
    shards: int = 1


def make_family(folder: Path, kind: Kind, experts: int) -> tuple[Path, list[Path]]:
    """Make the base and the experts, unless they are there already; say where they are."""
    base = make(folder / "base", kind, 0, None)
    return base, [make(folder / f"expert-{n}", kind, n, base) for n in range(1, experts + 1)]


def make(folder: Path, kind: Kind, number: int, base: Path | None) -> Path:
    """Make one checkpoint; a folder whose receipt says the same is left alone."""
    receipt = json.dumps({**asdict(kind), "number": number}, indent=1) + "\n"
    paper = folder / RECEIPT
    if paper.is_file() and paper.read_text() == receipt:
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    paper.unlink(missing_ok=True)
    for stale in folder.glob("*.safetensors*"):
        stale.unlink()
    _fill(_create(folder, kind), tensors_of(base) if base else {}, kind, number)
    (folder / "config.json").write_text(json.dumps(kind.shape.config(kind.dtype), indent=2) + "\n")
    paper.write_text(receipt)
    return folder


def _create(folder: Path, kind: Kind) -> dict[str, Slot]:
    """Create the files: one, or shards of about equal size with their index."""
    code, shapes = CODE[kind.dtype], kind.shape.tensors()
    if kind.shards == 1:
        return create(folder / "model.safetensors", shapes, code)
    total = sum(int(np.prod(s)) for s in shapes.values())
    parts: list[dict[str, tuple[int, ...]]] = [{} for _ in range(kind.shards)]
    done = 0
    for name, shape in shapes.items():
        parts[min(kind.shards - 1, done * kind.shards // total)][name] = shape
        done += int(np.prod(shape))
    slots: dict[str, Slot] = {}
    for number, part in enumerate(parts, 1):
        slots |= create(folder / f"model-{number:05d}-of-{kind.shards:05d}.safetensors", part, code)
    where = {name: slot.file.name for name, slot in slots.items()}
    index = {"metadata": {"total_size": total * WIDTH[code]}, "weight_map": where}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n")
    return slots


def _fill(slots: dict[str, Slot], base: dict[str, Slot], kind: Kind, number: int) -> None:
    def tiles() -> Iterator[tuple[int, str, int]]:
        for order, (name, slot) in enumerate(slots.items()):
            for first in range(0, slot.count, TILE):
                yield order, name, first

    def write(tile: tuple[int, str, int]) -> None:
        order, name, first = tile
        slot = slots[name]
        count = min(TILE, slot.count - first)
        noise = _noise((kind.seed, number, order, first // TILE), count)
        if base:
            values = read(base[name], first, count) + noise * np.float32(SPREAD * kind.ratio)
        else:
            values = noise * np.float32(SPREAD) + np.float32("norm" in name)
        with slot.file.open("r+b", buffering=0) as stream:
            os.pwrite(stream.fileno(), encode(values, slot.code), slot.start + first * WIDTH[slot.code])

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(write, tiles()))


def _noise(key: tuple[int, ...], count: int) -> Floats:
    return np.random.Generator(np.random.PCG64(key)).standard_normal(count, dtype=np.float32)


def main() -> None:
    """Make a family from the command line."""
    parser = argparse.ArgumentParser(description="Make a base and experts to measure with.")
    parser.add_argument("--shape", choices=SHAPES, default="5M")
    parser.add_argument("--experts", type=int, default=4)
    parser.add_argument("--folder", type=Path, required=True, help="gets a subfolder per checkpoint")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--ratio", type=float, default=Kind.ratio, help="spread of a delta over the base's")
    parser.add_argument("--dtype", choices=CODE, default="bfloat16")
    parser.add_argument("--shards", type=int, default=1)
    a = parser.parse_args()
    kind = Kind(SHAPES[a.shape], a.seed, a.ratio, a.dtype, a.shards)
    base, experts = make_family(a.folder, kind, a.experts)
    for path in (base, *experts):
        print(path)


if __name__ == "__main__":
    main()
