"""Which tensors belong to which layer, told from their names alone.

A layer's tensors are called ``<stack>.<number>.<rest>``: ``model.layers.3.self_attn.q_proj.weight``. Only the
first number counts (``model.layers.3.mlp.experts.7.w1`` is in layer 3), so no table of architectures is
needed.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from umm.checkpoint.config import layer_count

MAX_LAYER_DIGITS = 5


@dataclass(frozen=True)
class LayerName:
    """A tensor's name in its three parts; ``suffix`` may be empty."""

    stack: str
    index: int
    suffix: str

    def __str__(self) -> str:
        return f"{self.stack}.{self.index}.{self.suffix}" if self.suffix else f"{self.stack}.{self.index}"


@dataclass(frozen=True)
class Stack:
    """A run of layers: the prefix of their names and how many there are."""

    prefix: str
    count: int

    def layer(self, name: str) -> int | None:
        """The layer of this stack that a tensor is in, or None when it is in none."""
        found = split(name)
        return found.index if found and found.stack == self.prefix else None

    def rename(self, name: str, index: int) -> str:
        """The name of the same tensor in another layer of this stack."""
        found = split(name)
        if found is None or found.stack != self.prefix:
            raise ValueError(f"{name} is not in a layer of {self.prefix}")
        return str(LayerName(found.stack, index, found.suffix))


def split(name: str) -> LayerName | None:
    """A tensor's name taken apart at its first number, or None when there is none after a prefix."""
    parts = name.split(".")
    at = next((i for i, part in enumerate(parts) if _is_index(part)), 0)
    if at == 0:
        return None
    return LayerName(".".join(parts[:at]), int(parts[at]), ".".join(parts[at + 1 :]))


def main_stack(names: Iterable[str], config: Mapping[str, object]) -> Stack | None:
    """The stack that a recipe's layer numbers speak of, or None when the model has no numbered layers.

    It is the one with as many layers as the config says; failing that, or between equals, the one with most
    tensors, then the longest, then the first by name.
    """
    layers: dict[str, set[int]] = defaultdict(set)
    tensors: dict[str, int] = defaultdict(int)
    for name in names:
        if found := split(name):
            layers[found.stack].add(found.index)
            tensors[found.stack] += 1
    expected = layer_count(config)
    stacks = [Stack(prefix, max(indices) + 1) for prefix, indices in sorted(layers.items())]
    return max(
        stacks,
        key=lambda s: (s.count == expected, tensors[s.prefix], s.count),
        default=None,
    )


def _is_index(part: str) -> bool:
    return part.isascii() and part.isdecimal() and len(part) <= MAX_LAYER_DIGITS and part == str(int(part))
