"""PEFT LoRA adapters as models: ``base+adapter`` in a recipe.

The rules, as peft merges them:

1. A weight with factors A and B becomes ``W + s·BA`` (transposed for embeddings and for weights stored as
   (inputs, outputs)); the arithmetic is that of `umm.checkpoint.lowrank`.
2. A full tensor in the adapter (``modules_to_save``, trained biases, saved embeddings) replaces the base's.
3. A bias of the adapter (``lora_bias``) is scaled by s and added to the base's.
4. Every tensor of the adapter has its place in the base, with a shape that fits, or the adapter is refused.
"""

import os
import re
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Literal, NamedTuple

from umm.checkpoint.adapter_config import AdapterConfig
from umm.checkpoint.disk import read_exactly
from umm.checkpoint.dtype import Dtype
from umm.checkpoint.folder import ADAPTER_CONFIG, ADAPTER_WEIGHTS, MAX_CONFIG_BYTES, Folder
from umm.checkpoint.header import PREFIX_BYTES, Entry, header_size, parse_header
from umm.checkpoint.lowrank import AdaptedBias, AdaptedTensor, Product
from umm.checkpoint.reader import PlainTensor, StoredTensor
from umm.checkpoint.source import Source
from umm.errors import CheckpointError, MismatchError
from umm.listing import lines

PREFIX = "base_model.model."
"""What peft puts before the name of every module."""

Shapes = Mapping[str, tuple[int, ...]]
Role = Literal["A", "B", "embedding_A", "embedding_B", "bias", "full"]

_ROLES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"(.+)\.lora_([AB])(?:\.default)?\.weight"), "factor"),
    (re.compile(r"(.+)\.lora_(embedding_[AB])(?:\.default)?(?:\.weight)?"), "factor"),
    (re.compile(r"(.+)\.lora_B(?:\.default)?\.(bias)"), "factor"),
    (re.compile(r"(.+)\.modules_to_save(?:\.default)?\.(.+)"), "full"),
    (re.compile(r"(.+)\.base_layer\.(.+)"), "full"),
)
_VARIANT = re.compile(r"(^|\.)(lora_|trainable_tokens_|token_adapter|ia3_|hada_|lokr_|oft_|vera_|boft_)|ranknum")


class Place(NamedTuple):
    """What a tensor of the adapter is: a factor or bias of the module ``name``, or all of tensor ``name``."""

    name: str
    role: Role


def place_of(key: str, where: str) -> Place:
    """Where the adapter's tensor ``key`` belongs in the base model."""
    if not key.startswith(PREFIX):
        raise CheckpointError(f"{where}: tensor {key!r} does not start with {PREFIX!r}; this is not a peft adapter.")
    rest = key.removeprefix(PREFIX)
    for pattern, kind in _ROLES:
        if match := pattern.fullmatch(rest):
            if kind == "full":
                return Place(f"{match[1]}.{match[2]}", "full")
            return Place(match[1], match[2])  # type: ignore[arg-type]  # the patterns capture only roles
    if _VARIANT.search(rest):
        raise CheckpointError(
            f"{where}: tensor {key!r} belongs to a kind of adapter that cannot be merged here; only plain "
            "LoRA can. Merge the adapter into its base model with peft and name that folder instead."
        )
    return Place(rest, "full")


@dataclass(frozen=True)
class Adapter:
    """An adapter that fits its base, by the names of the base's tensors.

    One that was opened from a folder reads its file until it is closed.
    """

    products: Mapping[str, Product] = field(default_factory=dict)
    biases: Mapping[str, tuple[Source, Product]] = field(default_factory=dict)
    replacements: Mapping[str, Source] = field(default_factory=dict)
    _open_files: ExitStack = field(default_factory=ExitStack, repr=False, compare=False)

    @classmethod
    def open(cls, folder: Path, shapes: Shapes) -> "Adapter":
        """The adapter in ``folder``, put on a base whose tensors have these ``shapes``."""
        here = Folder.of(folder)
        where = str(folder / ADAPTER_CONFIG)
        config = AdapterConfig.parse(here.read_object(ADAPTER_CONFIG, MAX_CONFIG_BYTES), where)
        if not here.has(ADAPTER_WEIGHTS):
            raise CheckpointError(
                f"{folder} has no {ADAPTER_WEIGHTS}. If it has adapter_model.bin, load the adapter with peft "
                "and call save_pretrained, which writes safetensors."
            )
        with ExitStack() as undo:
            fd, size, path = here.open(ADAPTER_WEIGHTS)
            undo.callback(os.close, fd)
            tensors = _tensors(fd, size, path, str(folder / ADAPTER_WEIGHTS))
            fitted = fit(config, tensors, shapes, str(folder))
            files = undo.pop_all()
        return cls(fitted.products, fitted.biases, fitted.replacements, files)

    @property
    def names(self) -> frozenset[str]:
        """The base's tensors that this adapter changes."""
        return frozenset(self.products) | frozenset(self.biases) | frozenset(self.replacements)

    def apply(self, name: str, source: Source) -> Source:
        """The base's tensor ``name`` as the adapter makes it; ``source`` itself if it is left alone."""
        source = self.replacements.get(name, source)
        if name in self.products:
            return AdaptedTensor(source, self.products[name])
        if name in self.biases:
            addend, product = self.biases[name]
            return AdaptedBias(source, addend, product.scale)
        return source

    def close(self) -> None:
        """Close the adapter's file; its sources stop working."""
        self._open_files.close()

    def __enter__(self) -> "Adapter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _tensors(fd: int, size: int, path: Path, where: str) -> dict[str, Source]:
    prefix = bytearray(min(PREFIX_BYTES, size))
    read_exactly(fd, memoryview(prefix), 0, path)
    head = bytearray(PREFIX_BYTES + header_size(bytes(prefix), size, where))
    read_exactly(fd, memoryview(head), 0, path)
    return {entry.name: _source(entry, fd, path, where) for entry in parse_header(bytes(head), size, where)}


def _source(entry: Entry, fd: int, path: Path, where: str) -> Source:
    dtype = Dtype.from_header(entry.dtype)
    if dtype is None:
        raise CheckpointError(
            f"{where}: tensor {entry.name!r} holds {entry.dtype}; only BF16, F16 and F32 can be merged."
        )
    stored = StoredTensor(entry.name, entry.dtype, entry.shape, entry.start, entry.size, path)
    return PlainTensor(entry.name, dtype, entry.shape, stored, fd)


def fit(config: AdapterConfig, tensors: Mapping[str, Source], shapes: Shapes, where: str) -> Adapter:
    """Put the adapter's ``tensors`` on a base with these ``shapes``; refuse whatever has no place or does not
    fit.

    ``where`` names the adapter in errors.
    """
    parts: dict[str, dict[str, Source]] = {}
    for key, source in tensors.items():
        place = place_of(key, where)
        if place.role in parts.setdefault(place.name, {}):
            raise CheckpointError(f"{where}: two tensors of the adapter are {place.role} of {place.name!r}.")
        parts[place.name][place.role] = source
    problems: list[str] = []
    replacements = _replacements(parts, shapes, problems)
    products, biases = _products(config, parts, shapes, problems)
    if problems:
        raise MismatchError(
            f"{where}: the adapter does not fit the base model it is put on:\n{lines(problems)}\n"
            "Name the model that the adapter was trained on (base_model_name_or_path in adapter_config.json)."
        )
    return Adapter(products, biases, replacements)


def _replacements(parts: Mapping[str, Mapping[str, Source]], shapes: Shapes, problems: list[str]) -> dict[str, Source]:
    found = {}
    for name, roles in parts.items():
        if "full" not in roles:
            continue
        source, target = roles["full"], base_name(name, shapes)
        if target is None:
            problems.append(f"{name}: the base has no such tensor")
        elif shapes[target] != source.shape:
            problems.append(f"{name}: {_spell(source.shape)} in the adapter, {_spell(shapes[target])} in the base")
        else:
            found[target] = source
    return found


class _MisfitError(Exception):
    """What is wrong with one module, in words."""


def _products(
    config: AdapterConfig, parts: Mapping[str, Mapping[str, Source]], shapes: Shapes, problems: list[str]
) -> tuple[dict[str, Product], dict[str, tuple[Source, Product]]]:
    products: dict[str, Product] = {}
    biases: dict[str, tuple[Source, Product]] = {}
    square_transposed = _square_orientation(config, parts, shapes)
    for module, roles in parts.items():
        if not roles.keys() - {"full"}:
            continue
        try:
            target, product = _product(config, module, roles, shapes, square_transposed)
            if target in products:
                raise _MisfitError(f"another module of the adapter is on {target} too")
            products[target] = product
            if "bias" in roles:
                biases[_bias_target(module, roles["bias"], shapes)] = (roles["bias"], product)
        except _MisfitError as misfit:
            problems.append(f"{module}: {misfit}")
    return products, biases


def _product(
    config: AdapterConfig, module: str, roles: Mapping[str, Source], shapes: Shapes, square_transposed: bool
) -> tuple[str, Product]:
    """The base's weight that one module's factors are for, and their product."""
    embedding = "embedding_A" in roles
    a, b = (roles.get(f"embedding_{x}" if embedding else x) for x in "AB")
    if a is None or b is None:
        raise _MisfitError("one of the two factors is missing")
    target = base_name(f"{module}.weight", shapes)
    if target is None:
        raise _MisfitError("the base has no such weight (if it ties its embeddings, it has no output head)")
    if len(a.shape) != 2 or len(b.shape) != 2 or len(shapes[target]) != 2:
        raise _MisfitError("only factors of matrices can be merged, not of convolutions or stacked experts")
    rank = config.rank_of(module)
    if a.shape[0] != rank or b.shape[1] != rank:
        factors = f"{_spell(a.shape)} and {_spell(b.shape)}"
        raise _MisfitError(f"the factors are {factors}, the rank in {ADAPTER_CONFIG} is {rank}")
    straight, turned = (b.shape[0], a.shape[1]), (a.shape[1], b.shape[0])
    transposed = embedding or (shapes[target] == turned and (straight != turned or square_transposed))
    product = Product(a, b, config.scale_of(module), transposed)
    if product.shape != shapes[target]:
        raise _MisfitError(f"the factors make {_spell(product.shape)}, the base has {_spell(shapes[target])}")
    return target, product


def _bias_target(module: str, addend: Source, shapes: Shapes) -> str:
    target = base_name(f"{module}.bias", shapes)
    if target is None or shapes[target] != addend.shape:
        raise _MisfitError(f"the adapter has a bias of {_spell(addend.shape)} that the base has no place for")
    return target


def _square_orientation(config: AdapterConfig, parts: Mapping[str, Mapping[str, Source]], shapes: Shapes) -> bool:
    """Whether square weights are stored as (inputs, outputs), which their shape cannot say.

    The other weights of the layers say it if they agree (a model stores all of its layers one way). Otherwise
    the settings do; peft writes them from the last module it adapted, which may be an output head stored the
    other way.
    """
    seen = set()
    for module, roles in parts.items():
        target = base_name(f"{module}.weight", shapes)
        if target and "A" in roles and "B" in roles and re.search(r"\.\d+\.", module):
            straight = (roles["B"].shape[0], roles["A"].shape[-1])
            if straight[0] != straight[1]:
                seen.add(shapes[target] != straight)
    return seen.pop() if len(seen) == 1 else config.fan_in_fan_out


def base_name(name: str, shapes: Shapes) -> str | None:
    """How the base spells ``name``: itself, or with its first component (``model.``, ``transformer.``)
    dropped.

    Checkpoints saved without a head lack the component that the modules have in a model with one.
    """
    if name in shapes:
        return name
    shorter = name.partition(".")[2]
    return shorter if shorter in shapes else None


def _spell(shape: Iterable[int]) -> str:
    return "×".join(map(str, shape))
