"""Weighted means of whole models, and copying one."""

from typing import TYPE_CHECKING

from umm.arithmetic import fold
from umm.forms import Blend, Form
from umm.methods.parameters import WEIGHT, normalize, sum_problem
from umm.methods.registry import Arguments, Base, Parameter, method

if TYPE_CHECKING:
    from umm.field import Field


def _weights_problem(arguments: Arguments) -> str | None:
    return sum_problem(arguments.each("weight")) if arguments.flag("normalize") else None


@method(
    "linear",
    title="Linear",
    source="Wortsman et al., Model soups, arXiv 2203.05482",
    base=Base.PEER,
    experts=(1, None),
    parameters=(WEIGHT, normalize(default=True)),
    check=_weights_problem,
)
def linear(field: "Field", arguments: Arguments) -> Form:  # noqa: ARG001 - every method has this signature
    """``sum_k w_k x_k``, divided by ``sum_k w_k`` unless ``normalize`` is off."""
    weights = arguments.each("weight")
    return Blend(weights, fold(weights) if arguments.flag("normalize") else None)


@method(
    "passthrough",
    title="Passthrough",
    source="mergekit",
    base=Base.UNUSED,
    experts=(1, 1),
    parameters=(Parameter("scale", "multiply the tensor", scope="expert", default=None),),
)
def passthrough(field: "Field", arguments: Arguments) -> Form:  # noqa: ARG001 - every method has this signature
    """``x``, or ``scale * x``."""
    return Blend(arguments.each("scale") or (1.0,))
