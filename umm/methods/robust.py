"""Robust means of like-minded experts: coordinate-wise median and trimmed mean, geometric median.

With a base they work on deltas, without one on values. They assume honest experts trained for the same thing; experts
of different domains are exactly what such rules throw away.
"""

import math
from typing import TYPE_CHECKING

import numpy as np

from umm.forms import Blend, Elementwise, Form
from umm.methods.parameters import LINES, MOST_ITERATIONS
from umm.methods.registry import Arguments, Base, Parameter, method

if TYPE_CHECKING:
    import torch

    from umm.field import Field


def _middle(field: "Field", arguments: Arguments, drop: int) -> Form:
    """The mean of the values left when ``drop`` are dropped at both ends of their order."""
    deltas = field.has_base

    def merge(base: "torch.Tensor | None", experts: "torch.Tensor") -> "torch.Tensor":
        import torch

        values = experts - base if base is not None else experts
        ordered = torch.sort(values + 0.0, dim=0).values  # + 0.0 makes one zero of two, so their order cannot matter
        kept = ordered[drop : len(ordered) - drop]
        total = torch.zeros_like(kept[0])
        for value in kept:
            total = total + value
        return total / len(kept)

    return Elementwise(merge, delta=deltas, scale=field.depth_scale(arguments))


@method(
    "median",
    title="Coordinate median",
    source="Yin et al., arXiv 1803.01498",
    base=Base.OPTIONAL,
    experts=(1, None),
    torch=True,
    parameters=LINES,
)
def median(field: "Field", arguments: Arguments) -> Form:
    """The median of each coordinate; of an even number, the mean of the middle two."""
    return _middle(field, arguments, (field.experts - 1) // 2)


@method(
    "trimmed_mean",
    title="Trimmed mean",
    source="Yin et al., arXiv 1803.01498",
    base=Base.OPTIONAL,
    experts=(1, None),
    torch=True,
    parameters=(
        Parameter("trim", "share of experts to drop at each end", default=0.25, low=0, high=0.5),
        *LINES,
    ),
)
def trimmed_mean(field: "Field", arguments: Arguments) -> Form:
    """The mean of each coordinate without its ``floor(trim * K)`` least and largest values."""
    drop = min(int(arguments.number("trim") * field.experts), (field.experts - 1) // 2)
    return _middle(field, arguments, drop)


@method(
    "geometric_median",
    title="Geometric median",
    source="Pillutla et al., arXiv 1912.13445; Weiszfeld 1937",
    base=Base.OPTIONAL,
    experts=(1, None),
    parameters=(
        Parameter("max_iter", "most iterations", kind=int, default=100, low=1, high=MOST_ITERATIONS),
        Parameter("tol", "stop when no coefficient moves by more", default=1e-10, low=0),
        *LINES,
    ),
)
def geometric_median(field: "Field", arguments: Arguments) -> Form:
    """The point with the least sum of distances to the experts, by Weiszfeld's iteration on the Gram matrix.

    The point stays a convex combination ``sum_k c_k x_k``; ``|x_k - point|^2`` follows from dot products of deltas
    (without a base, of differences from the first expert).
    """
    gram = field.gram(deltas=field.has_base)
    count = len(gram)
    if not field.has_base:
        origin = gram - gram[0:1] - gram[:, 0:1] + gram[0, 0]
        gram = origin
    shares = np.full(count, 1.0 / count)
    for _ in range(int(arguments.number("max_iter"))):
        inverse = np.empty(count)
        for k in range(count):
            offset = -shares.copy()
            offset[k] += 1.0
            square = 0.0
            for i in range(count):
                for j in range(count):
                    square += float(offset[i]) * float(gram[i, j]) * float(offset[j])
            inverse[k] = 1.0 / max(math.sqrt(max(square, 0.0)), 1e-12)
        total = 0.0
        for k in range(count):
            total += float(inverse[k])
        moved = inverse / total
        if float(np.max(np.abs(moved - shares))) <= arguments.number("tol"):
            break
        shares = moved
    depth = field.depth_scale(arguments) if field.has_base else 1.0
    return Blend(tuple(float(s) * depth for s in shares), deltas=field.has_base)
