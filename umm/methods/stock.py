"""Model Stock: how far to go from the base towards the mean, told by the angle between experts."""

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from umm.forms import Blend, Form
from umm.methods.parameters import LINES
from umm.methods.registry import Arguments, Base, Parameter, method

if TYPE_CHECKING:
    from umm.field import Field

SHORT = 1e-6  # least product of two norms to divide by


def _step(gram: NDArray[np.float64]) -> float:
    """``t = N cos / (1 + (N - 1) cos)`` with the mean cosine; where that divides by zero, 0: the base stays."""
    n = len(gram)
    total = 0.0
    for i in range(n):
        for j in range(i + 1, n):
            norms = math.sqrt(float(gram[i, i])) * math.sqrt(float(gram[j, j]))
            total += min(1.0, max(-1.0, float(gram[i, j]) / max(norms, SHORT)))
    cosine = total / (n * (n - 1) // 2)
    divisor = 1.0 + (n - 1) * cosine
    return n * cosine / divisor if abs(divisor) >= SHORT else 0.0


@method(
    "model_stock",
    title="Model Stock",
    source="Jang et al., arXiv 2403.19522",
    base=Base.REQUIRED,
    experts=(2, None),
    torch=("filter_wise", True),
    parameters=(
        Parameter("filter_wise", "one angle per row instead of one per tensor", kind=bool, default=False),
        *LINES,
    ),
)
def model_stock(field: "Field", arguments: Arguments) -> Form:
    """``t * mean_k(x_k) + (1 - t) * base`` with ``t`` from the mean angle between the experts' deltas."""
    depth = field.depth_scale(arguments)
    if not arguments.flag("filter_wise"):
        share = _step(field.gram(deltas=True)) * depth / field.experts
        return Blend((share,) * field.experts, deltas=True)
    grams = field.vector_grams(deltas=True, by_column=False)
    shares = np.array([_step(g) * depth / field.experts for g in grams], np.float32)
    return Blend((), deltas=True, rows=np.broadcast_to(shares, (field.experts, len(shares))).copy())
