"""Parameters that several methods share, declared once."""

from collections.abc import Sequence

from umm.arithmetic import fold
from umm.methods.registry import Parameter

MOST_ITERATIONS = 100_000  # nothing looks for a reason to stop while a method iterates

WEIGHT = Parameter("weight", "share of this model", scope="expert", required=True)
LAMBDA = Parameter("lambda", "scale of the merged delta before it is added to the base", default=1.0)
INT8_MASK = Parameter("int8_mask", "accepted for compatibility; changes nothing", kind=bool, default=False)
DENSITY = Parameter("density", "share of the delta to keep", scope="expert", default=1.0, low=0.0, high=1.0)
LINES = (
    Parameter("lines_alpha", "LiNeS: scale of the merged delta in the first layer and outside layers", default=1.0),
    Parameter("lines_beta", "LiNeS: added to lines_alpha linearly up to the last layer", default=0.0),
)


def normalize(default: bool) -> Parameter:
    """Whether to divide by the sum of the weights."""
    return Parameter("normalize", "divide by the sum of the weights that took part", kind=bool, default=default)


def rescale(default: bool) -> Parameter:
    """Whether thinned-out deltas get their L1 norm back."""
    return Parameter("rescale", "give a thinned-out delta its L1 norm back", kind=bool, default=default)


def sum_problem(weights: Sequence[float]) -> str | None:
    """Why weights cannot be normalized, if they cannot."""
    return "the weights sum to zero, so they cannot be normalized" if fold(weights) == 0 else None
