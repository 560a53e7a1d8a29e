"""A recipe as frozen values, valid once built.

The four levels at which a parameter may be set, strongest first: the input, the slice, the module (a mergekit
notion we keep for its one-module form) and the recipe. A setting is a number, a gradient over the layers of a
slice, a list of conditions on the tensor's name, or a table with one value per output layer (our extension).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Scalar = float | int | bool | str


@dataclass(frozen=True)
class PerLayer:
    """One value per output layer, ``other`` for tensors outside any layer: an extension of ours."""

    layers: tuple[float, ...]
    other: float


@dataclass(frozen=True)
class Gradient:
    """Values spread evenly over a slice's layers: numbers are interpolated, anything else is picked."""

    values: tuple[Scalar, ...]


@dataclass(frozen=True)
class Condition:
    """A value for tensors whose name contains ``filter``; None or ``*`` matches all. The first match wins."""

    value: Scalar | Gradient | PerLayer
    filter: str | None = None


Setting = Scalar | Gradient | PerLayer | tuple[Condition, ...]
Parameters = Mapping[str, Setting]


@dataclass(frozen=True)
class ModelRef:
    """A model folder as the recipe names it, with an adapter folder to apply on it if there is a ``+``."""

    path: str
    revision: str | None = None
    adapter: str | None = None

    def __str__(self) -> str:
        plain = f"{self.path}@{self.revision}" if self.revision else self.path
        return f"{plain}+{self.adapter}" if self.adapter else plain


@dataclass(frozen=True)
class Input:
    """One model that takes part, whole (``layers`` is None) or by a half-open range of its layers.

    ``id`` keys the random masks of this input (an extension); without it, its position does.
    """

    model: ModelRef
    layers: tuple[int, int] | None = None
    parameters: Parameters = field(default_factory=dict)
    id: str | None = None
    line: int = 0


@dataclass(frozen=True)
class Slice:
    """A run of output layers made from ranges of equal length."""

    inputs: tuple[Input, ...]
    base: ModelRef | None = None
    parameters: Parameters = field(default_factory=dict)
    line: int = 0


@dataclass(frozen=True)
class TokenRule:
    """Where one token's embedding comes from: ``zero``, a model's own row, or a named token of a model.

    ``force`` overrides the row even in models that know the token.
    """

    kind: Literal["default", "zero", "model", "model_token"] = "default"
    model: ModelRef | None = None
    token: str | None = None
    token_id: int | None = None
    force: bool = False


@dataclass(frozen=True)
class TokenizerRule:
    """How the output vocabulary is made and how embeddings follow it."""

    source: Literal["union", "base"] | ModelRef = "union"
    tokens: Mapping[str, TokenRule] = field(default_factory=dict)
    pad_to_multiple_of: int | None = None


@dataclass(frozen=True)
class Recipe:
    """One YAML document. Exactly one of ``inputs`` (the ``models`` form) and ``slices`` is not empty."""

    method: str
    inputs: tuple[Input, ...] = ()
    slices: tuple[Slice, ...] = ()
    base: ModelRef | None = None
    parameters: Parameters = field(default_factory=dict)
    module_parameters: Parameters = field(default_factory=dict)
    dtype: str | None = None
    out_dtype: str | None = None
    tokenizer: TokenizerRule | None = None
    chat_template: str | None = None
    seed: int = 0
    name: str | None = None
    warnings: tuple[str, ...] = ()

    def models(self) -> tuple[ModelRef, ...]:
        """Every model named anywhere, in order of first mention, the base first."""
        named = [self.base] if self.base else []
        named += [i.model for i in self.inputs]
        for s in self.slices:
            named += [s.base] if s.base else []
            named += [i.model for i in s.inputs]
        return tuple(dict.fromkeys(named))
