"""Interpolation on spheres. All of it happens in the plane of the inputs, so a Gram matrix is all that is surveyed.

A point on the sphere that these methods compute is a linear combination of the inputs; norms, dot products, and so
every angle and every iteration, follow from the inputs' dot products. The tensor itself is read twice: once for the
Gram matrix, once to apply the coefficients.
"""

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from umm.arithmetic import fold
from umm.errors import RecipeError
from umm.forms import Blend, Form
from umm.methods.parameters import LINES, MOST_ITERATIONS, WEIGHT, sum_problem
from umm.methods.registry import Arguments, Base, Parameter, method

if TYPE_CHECKING:
    from umm.field import Field

Gram = NDArray[np.float64]

COLINEAR = 0.9995  # beyond this cosine SLERP falls back to straight interpolation
NO_NORM = 1e-8  # vectors shorter than this have no direction


def _norm(gram: Gram, coefficients: NDArray[np.float64]) -> float:
    return math.sqrt(max(0.0, float(_dot(gram, coefficients, coefficients))))


def _dot(gram: Gram, a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """``a' G b`` with plain sequential float64 sums, so that no BLAS decides the order."""
    total = 0.0
    for i in range(len(a)):
        for j in range(len(b)):
            total += float(a[i]) * float(gram[i, j]) * float(b[j])
    return total


@method(
    "slerp",
    title="SLERP",
    source="Shoemake 1985",
    base=Base.ENDPOINT,
    experts=(1, 1),
    parameters=(Parameter("t", "0 is the base model, 1 the other", required=True),),
)
def slerp(field: "Field", arguments: Arguments) -> Form:
    """``sin((1-t) a)/sin a * base + sin(t a)/sin a * expert`` with ``a`` the angle between the flattened tensors.

    Nearly parallel tensors (cosine beyond 0.9995) are interpolated straight.
    """
    t = arguments.number("t")
    gram = field.gram(deltas=False)
    norms = [math.sqrt(float(gram[i, i])) for i in (0, 1)]
    scale = [n if n > NO_NORM else 1.0 for n in norms]
    cosine = float(gram[0, 1]) / (scale[0] * scale[1])
    if abs(cosine) > COLINEAR:
        return Blend((1.0 - t, t))
    angle = math.acos(cosine)
    sine = math.sin(angle)
    return Blend((math.sin((1.0 - t) * angle) / sine, math.sin(t * angle) / sine))


def _nuslerp_coefficients(t: float, aa: float, bb: float, ab: float) -> tuple[float, float]:
    """Coefficients of two vectors from their dot products; a vector without a norm is at a right angle."""
    lengths = max(math.sqrt(max(aa, 0.0)), 1e-7) * max(math.sqrt(max(bb, 0.0)), 1e-7)
    angle = math.acos(min(1.0, max(-1.0, ab / lengths)))
    sine = math.sin(angle)
    if abs(sine) < NO_NORM:
        return 1.0 - t, t
    return math.sin((1.0 - t) * angle) / sine, math.sin(t * angle) / sine


@method(
    "nuslerp",
    title="NuSLERP",
    source="mergekit",
    base=Base.OPTIONAL,
    experts=(2, 2),
    torch=("nuslerp_flatten", False),
    parameters=(
        WEIGHT,
        Parameter("nuslerp_flatten", "one angle per tensor instead of one per vector", kind=bool, default=True),
        Parameter("nuslerp_row_wise", "without flatten: vectors run along the first axis", kind=bool, default=False),
        *LINES,
    ),
)
def nuslerp(field: "Field", arguments: Arguments) -> Form:
    """SLERP with ``t = w_2 / (w_1 + w_2)``; with a base, of the two deltas, added to the base.

    Without ``nuslerp_flatten`` every vector along the last axis (with ``nuslerp_row_wise``, the first) has an angle
    of its own.
    """
    first, second = arguments.each("weight")
    t = 0.5 if abs(first + second) < 1e-6 else second / (first + second)
    deltas, depth = field.has_base, field.depth_scale(arguments) if field.has_base else 1.0
    if arguments.flag("nuslerp_flatten"):
        gram = field.gram(deltas=deltas)
        pair = _nuslerp_coefficients(t, float(gram[0, 0]), float(gram[1, 1]), float(gram[0, 1]))
        return Blend((depth * pair[0], depth * pair[1]), deltas=deltas)
    by_column = arguments.flag("nuslerp_row_wise") and len(field.shape) > 1
    grams = field.vector_grams(deltas=deltas, by_column=by_column)
    rows = [_nuslerp_coefficients(t, float(g[0, 0]), float(g[1, 1]), float(g[0, 1])) for g in grams]
    table = (depth * np.array(rows)).astype(np.float32)
    return Blend((), deltas=deltas, rows=table.T.copy(), by_column=by_column)


def _weights_problem(arguments: Arguments) -> str | None:
    if arguments.flag("normalize_weights") and len(arguments.experts) > 1:
        return sum_problem(arguments.each("weight"))
    return None


@method(
    "multislerp",
    title="Multi-SLERP",
    source="Goddard, goddard.blog/posts/multislerp-wow-what-a-cool-idea",
    base=Base.OPTIONAL,
    experts=(1, None),
    parameters=(
        WEIGHT,
        Parameter("normalize_weights", "make the weights sum to 1", kind=bool, default=True),
        Parameter("eps", "added to norms before dividing by them", default=1e-8, low=0.0),
        *LINES,
    ),
    check=_weights_problem,
)
def multislerp(field: "Field", arguments: Arguments) -> Form:
    """Average the inputs' directions in the tangent space at their weighted mean, map back, restore the mean norm."""
    weights, eps = list(arguments.each("weight")), arguments.number("eps")
    count, deltas = len(weights), field.has_base
    depth = field.depth_scale(arguments) if deltas else 1.0
    if count == 1:
        return Blend((1.0 - depth, depth) if deltas else (1.0,))
    if arguments.flag("normalize_weights"):
        total = fold(weights)
        weights = [w / total for w in weights]
    gram = field.gram(deltas=deltas)
    norms = [math.sqrt(float(gram[i, i])) for i in range(count)]
    units = np.diag([1.0 / (n + eps) if n + eps > 0 else 0.0 for n in norms])  # row i: input i's direction
    mean = np.array([w * units[i, i] for i, w in enumerate(weights)])
    length = _norm(gram, mean)
    if length < eps or length == 0:
        if count == 2 or not gram.any():
            return Blend(tuple(depth * w for w in weights), deltas=deltas)
        raise RecipeError(
            f"multislerp: the weighted directions of {field.name} cancel out exactly, so their mean has no direction; "
            "use other weights"
        )
    mean = mean / length
    tangent = np.zeros(count)
    for unit, w in zip(units, weights, strict=True):
        tangent = tangent + w * (unit - _dot(gram, unit, mean) * mean)
    angle = _norm(gram, tangent) + eps
    size = depth * sum(n * w for n, w in zip(norms, weights, strict=True))
    result = size * (math.cos(angle) * mean + (math.sin(angle) / angle if angle > 0 else 1.0) * tangent)
    return Blend(tuple(float(c) for c in result), deltas=deltas)


@method(
    "karcher",
    title="Karcher mean",
    source="Riemannian centre of mass; for model weights arXiv 2603.04972",
    base=Base.PEER,
    experts=(1, None),
    parameters=(
        Parameter("max_iter", "most iterations", kind=int, default=10, low=1, high=MOST_ITERATIONS),
        Parameter("tol", "stop when a step is shorter than this angle", default=1e-5, low=0.0),
    ),
)
def karcher(field: "Field", arguments: Arguments) -> Form:
    """The point of the unit sphere with the least sum of squared angles to the inputs' directions, times mean norm."""
    tol = arguments.number("tol")
    gram = field.gram(deltas=False)
    count = len(gram)
    norms = [math.sqrt(float(gram[i, i])) for i in range(count)]
    valid = [i for i in range(count) if norms[i] > tol]
    if not valid:
        return Blend((0.0,) * count)
    units = [np.eye(count)[i] / norms[i] for i in valid]
    point = sum((u / len(valid) for u in units), start=np.zeros(count))
    length = _norm(gram, point)
    point = units[0] if length < tol or length == 0 else point / length
    for _ in range(int(arguments.number("max_iter"))):
        step = np.zeros(count)
        for unit in units:
            cosine = min(1.0, max(-1.0, _dot(gram, point, unit)))
            angle = math.acos(cosine)
            if angle >= tol and angle > 0:
                step = step + (angle / math.sin(angle) / len(valid)) * (unit - cosine * point)
        size = _norm(gram, step)
        if size < tol or size == 0:
            break
        point = math.cos(size) * point + (math.sin(size) / size) * step
        point = point / _norm(gram, point)
    scale = sum(n / count for n in norms)
    return Blend(tuple(float(scale * c) for c in point))
