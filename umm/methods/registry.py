"""The one registry of merge methods. A method is a function in this folder under the ``@method`` decorator.

Importing the registry imports no torch: it is read to check recipes and to print help.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from umm.field import Field
    from umm.forms import Form

Value = float | int | bool | str | None


class Base(Enum):
    """What a method does with ``base_model``."""

    REQUIRED = "required"  # deltas are measured from it; it is never an expert
    OPTIONAL = "optional"  # with it the method works on deltas, without it on values
    ENDPOINT = "endpoint"  # one of the two models that are interpolated
    PEER = "peer"  # a base that is named takes part like any other model
    UNUSED = "unused"  # only gives the config and tokenizer, unless it is listed as a model


class Holds(Enum):
    """What a method holds of a tensor beside its tiles; the memory that a merge is said to need follows from it."""

    SUMS = "sums"  # nothing that grows
    RANKS = "ranks"  # a sample and histograms, to find order statistics
    MASKS = "masks"  # one bit per element and expert


@dataclass(frozen=True)
class Parameter:
    """One parameter of a method: who it applies to, its type, default and closed range.

    ``required`` parameters have no default. ``scope`` is ``merge`` (one value a tensor) or ``expert`` (one a model).
    """

    name: str
    doc: str
    kind: type[float] | type[int] | type[bool] = float
    scope: Literal["merge", "expert"] = "merge"
    default: Value = None
    required: bool = False
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Arguments:
    """Values of a method's parameters for one tensor, resolved and checked."""

    merge: Mapping[str, Value]
    experts: tuple[Mapping[str, Value], ...]

    def number(self, name: str) -> float:
        """A merge-wide number."""
        value = self.merge[name]
        assert isinstance(value, float | int), name  # noqa: S101 - the plan checked it
        return float(value)

    def flag(self, name: str) -> bool:
        """A merge-wide switch."""
        return bool(self.merge[name])

    def each(self, name: str) -> tuple[float, ...]:
        """One number per expert, in order."""
        values = [e[name] for e in self.experts]
        return tuple(float(v) for v in values if isinstance(v, float | int))


Function = Callable[["Field", Arguments], "Form"]


@dataclass(frozen=True)
class Method:
    """A registered method: its contract, and the function that turns a field of tensors into a form."""

    name: str
    title: str
    source: str
    base: Base
    experts: tuple[int, int | None]
    parameters: tuple[Parameter, ...]
    exact: bool
    function: Function
    doc: str
    check: Callable[[Arguments], str | None] | None = None
    holds: Holds = Holds.SUMS
    torch: bool | tuple[str, bool] = False

    def uses_torch(self, settings: Mapping[str, Value]) -> bool:
        """Whether it computes with torch whatever the backend, having no fused loops: always, or with a setting."""
        if isinstance(self.torch, tuple):
            name, value = self.torch
            return settings.get(name) is value
        return self.torch

    def parameter(self, name: str) -> Parameter | None:
        """The parameter of that name, if the method has it."""
        return next((p for p in self.parameters if p.name == name), None)


METHODS: dict[str, Method] = {}


def method(
    name: str,
    *,
    title: str,
    source: str,
    base: Base,
    experts: tuple[int, int | None],
    parameters: tuple[Parameter, ...] = (),
    exact: bool = True,
    check: Callable[[Arguments], str | None] | None = None,
    holds: Holds = Holds.SUMS,
    torch: bool | tuple[str, bool] = False,
) -> Callable[[Function], Function]:
    """Register the function below as the merge method ``name``.

    ``experts`` bounds how many models there may be beside the base. ``exact`` says that the result is a function of
    the inputs to the bit, on every machine and backend. ``check`` says what is wrong with parameters together.
    ``torch`` says that there are no fused loops for it, or none when the parameter named has the value given.
    """

    def register(function: Function) -> Function:
        doc = (function.__doc__ or "").strip()
        METHODS[name] = Method(
            name, title, source, base, experts, parameters, exact, _unless_empty(function), doc, check, holds, torch
        )
        return function

    return register


def _unless_empty(function: Function) -> Function:
    """An empty tensor is not surveyed: there is nothing to count, and any form makes nothing of it."""

    def merge(field: "Field", arguments: Arguments) -> "Form":
        from umm.forms import Blend

        return function(field, arguments) if field.size else Blend(())

    return merge
