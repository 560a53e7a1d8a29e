"""Merging tensors that lie in memory: a method, through a field, without folders or recipes."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tests.umm.arrays import ArraySource
from umm.arithmetic import philox_key
from umm.checkpoint.dtype import Dtype
from umm.checkpoint.source import Bytes
from umm.field import BINS, SAMPLE, Field
from umm.kernels import compiled, portable
from umm.kernels.tile import Backend
from umm.methods import METHODS, Arguments, Method

BACKENDS: dict[str, Backend] = {"numba": compiled, "torch": portable}
TORCH = {Dtype.BF16: torch.bfloat16, Dtype.F16: torch.float16, Dtype.F32: torch.float32}
WHOLE = 1 << 24  # a tile that takes all of any test's tensor

torch.set_num_threads(1)  # these tensors are small: a second thread would only be waited for

Tensor = torch.Tensor
Values = Mapping[str, Any]


def source(tensor: Tensor) -> ArraySource:
    """A tensor as an input."""
    plain = tensor.contiguous()
    return ArraySource(plain.view(torch.uint16).numpy() if tensor.dtype == torch.bfloat16 else plain.numpy())


def arguments(method: Method, count: int, given: Values) -> Arguments:
    """Arguments for ``count`` experts: defaults, and what is given; per expert, one value for all or a sequence."""
    unknown = set(given) - {p.name for p in method.parameters}
    assert not unknown, f"{method.name} has no {unknown}"

    def value(name: str, default: object, k: int) -> Any:
        chosen = given.get(name, default)
        return chosen[k] if isinstance(chosen, Sequence) else chosen

    merge = {p.name: given.get(p.name, p.default) for p in method.parameters if p.scope == "merge"}
    scoped = [p for p in method.parameters if p.scope == "expert"]
    made = Arguments(merge, tuple({p.name: value(p.name, p.default, k) for p in scoped} for k in range(count)))
    assert method.check is None or method.check(made) is None, "the recipe's checks would refuse this"
    return made


def field_of(
    base: Tensor | None,
    experts: Sequence[Tensor],
    *,
    backend: str = "torch",
    tile_size: int = WHOLE,
    name: str = "layers.0.weight",
    seed: int = 0,
    depth: float = 0.0,
    sample_size: int = SAMPLE,
    bins: int = BINS,
) -> Field:
    """A field over tensors in memory; inputs are called base, expert 0, expert 1 and so on."""
    inputs = [base, *experts] if base is not None else list(experts)
    labels = [f"expert {k}" for k in range(len(experts))]
    keys = [philox_key(seed, name, str(k)) for k in range(len(experts))]
    return Field(
        name,
        [source(t) for t in inputs],
        ["base", *labels] if base is not None else labels,
        base is not None,
        BACKENDS[backend],
        keys,
        depth,
        tile_size,
        sample_size,
        bins,
    )


def merged(
    method: str, base: Tensor | None, experts: Sequence[Tensor], dtype: Dtype = Dtype.F32, **options: Any
) -> Tensor:
    """What a method makes of tensors; options are those of ``field_of`` and the method's parameters.

    ``lambda_`` stands for ``lambda``.
    """
    field_options = {k: options.pop(k) for k in FIELD_OPTIONS & options.keys()}
    field = field_of(base, experts, **field_options)
    given = {name.rstrip("_"): value for name, value in options.items()}
    return run(METHODS[method], field, given, dtype)


FIELD_OPTIONS = {"backend", "tile_size", "name", "seed", "depth", "sample_size", "bins"}


def run(method: Method, field: Field, given: Values, dtype: Dtype) -> Tensor:
    """Survey and apply; the output as a tensor."""
    pieces: list[Bytes] = []
    form = method.function(field, arguments(method, field.experts, given))
    field.apply(form, dtype, lambda tile: pieces.append(tile.copy()))
    assert sum(len(p) for p in pieces) == field.size * dtype.width
    if not pieces:
        return torch.empty(field.shape, dtype=TORCH[dtype])
    return torch.from_numpy(np.concatenate(pieces)).view(TORCH[dtype]).reshape(field.shape)


def bits(tensor: Tensor) -> bytes:
    """The bytes of a tensor."""
    return tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


def philox4x32(counter: Sequence[Any], key: Sequence[int], rounds: int) -> list[Any]:
    """Philox4x32 from the paper's description, of Python integers or of arrays of 64-bit integers."""
    (a, b, c, d), (k, m) = counter, key
    for _ in range(rounds):
        left, right = a * 0xD2511F53, c * 0xCD9E8D57
        a, b, c, d = (right >> 32) ^ b ^ k, right & 0xFFFFFFFF, (left >> 32) ^ d ^ m, left & 0xFFFFFFFF
        k, m = (k + 0x9E3779B9) & 0xFFFFFFFF, (m + 0xBB67AE85) & 0xFFFFFFFF
    return [a, b, c, d]


def numbers(key: int, shape: tuple[int, ...], scale: float = 1.0) -> Tensor:
    """Bell-shaped float32 numbers from random words of our own: the same on every machine and for every library."""
    count = int(np.prod(shape, dtype=np.int64))
    blocks = 4 * -(-count // 1024)
    counter, zero = np.arange(blocks * 256, dtype=np.uint64), np.uint64(0)
    found = philox4x32([counter, zero, zero, zero], [key & 0xFFFFFFFF, key >> 32], rounds=10)
    words = np.stack([w.reshape(blocks, 256) for w in found], axis=1).reshape(4, -1)[:, :count].astype(np.float64)
    sums = words.sum(0) / 2.0**32 - 2.0  # four uniform numbers: mean 0, standard deviation 0.577
    return torch.from_numpy((sums * scale).astype(np.float32).reshape(shape))


def models(
    key: int, shape: tuple[int, ...], count: int, dtypes: Sequence[Dtype] = (Dtype.F32,), delta: float = 0.05
) -> tuple[Tensor, list[Tensor]]:
    """A base and ``count`` experts near it; types are taken in turn, the base's first."""
    kinds = [TORCH[dtypes[i % len(dtypes)]] for i in range(count + 1)]
    base = numbers(key, shape)
    experts = [base + numbers(key + 1 + k, shape, delta * (1 + k / 4)) for k in range(count)]
    return base.to(kinds[0]), [e.to(kind) for e, kind in zip(experts, kinds[1:], strict=True)]


def doubles(*tensors: Tensor) -> list[NDArray[np.float64]]:
    """Tensors as float64 arrays."""
    return [t.double().numpy() for t in tensors]
