"""Every deterministic method in float64, written from its formula and as plainly as possible.

This is neither fast nor sparing: whole tensors, full sorts, double precision. Beside the values, each
method says where they are *decided*. Some rules choose on a knife's edge: which of many equally large
entries of a delta survive a density, which sign wins a vote that comes out as zero but for rounding, which
side of a threshold an importance falls. There, any two correct programs may differ, so those places are
counted apart.
"""

from collections.abc import Callable, Sequence
from itertools import combinations

import numpy as np

from benchmarks.problem import Answer, Array, Mask, Problem
from benchmarks.problem import sure as _sure

VOTE_EDGE = 1e-6  # |sum| of a vote, relative to the sum of magnitudes, under which float32 cannot be sure
RANK_EDGE = 1e-6  # relative distance to a threshold of a computed statistic under which float32 cannot be sure
FUSION_EDGE = 0.02  # the same for arcee_fusion, whose importance is a small difference of large sums


def linear(p: Problem) -> Answer:
    """Σ w·θ, divided by Σ w if normalised."""
    w = p.each("weight", None)
    total = sum(w) if p.whole("normalize", 1) else 1.0
    return _sure(np.asarray(sum(a * e for a, e in zip(w, p.experts, strict=True)) / total))


def passthrough(p: Problem) -> Answer:
    """s·θ."""
    return _sure(p.experts[0] * p.each("scale", 1)[0])


# ---- deltas: sparsify, vote, sum -------------------------------------------------------------------


def task_vectors(
    p: Problem, sparsify: Callable[[Array, Problem, int], Answer] | None, vote: bool, normalize: bool
) -> Answer:
    """θ0 + λ·Σ w·τ̂ over the entries that survive, divided by the weights that took part if normalised."""
    base, deltas = p.needed_base(), p.deltas()
    sure = np.ones(base.shape, bool)
    if sparsify:
        for i in range(len(deltas)):
            deltas[i], known = sparsify(deltas[i], p, i)
            sure &= known
    w = np.array(p.each("weight", None)).reshape(-1, *[1] * base.ndim)
    weighted = deltas * w
    agree = np.ones(weighted.shape, bool)
    if vote:
        agree, known = elect(weighted)
        sure &= known
    total = (w * agree).sum(0)
    total = np.where(np.abs(total) < (1e-12 if vote else 1e-8), 1.0, total)
    mixed = (weighted * agree).sum(0) / (total if p.whole("normalize", normalize) else 1.0)
    return base + p.whole("lambda", 1) * mixed, sure


def elect(weighted: Array) -> tuple[Mask, Mask]:
    """Entries on the side of the heavier sign, zero counting as plus; and where that vote is clear."""
    total, mass = weighted.sum(0), np.abs(weighted).sum(0)
    winner = np.where(total >= 0, 1.0, -1.0)
    return np.sign(weighted) == winner, (np.abs(total) > VOTE_EDGE * mass) | (mass == 0)


def keep_ranks(delta: Array, order_key: Array, first: int, last: int) -> Answer:
    """Keep the entries with ranks first to last: largest first, and lower index first among equals."""
    flat = order_key.reshape(-1)
    order = np.lexsort((np.arange(flat.size), -flat))
    keep = np.zeros(flat.size, bool)
    keep[order[first:last]] = True
    sure = np.ones(flat.size, bool)
    for cut in (
        first,
        last,
    ):  # a cut through a run of equal magnitudes decides by index, which is our rule only
        if 0 < cut < flat.size and flat[order[cut - 1]] == flat[order[cut]]:
            sure &= flat != flat[order[cut]]
    return delta * keep.reshape(delta.shape), sure.reshape(delta.shape)


def _rescaled(delta: Array, kept: Array, p: Problem) -> Array:
    before, after = np.abs(delta).sum(), np.abs(kept).sum()
    grow = p.whole("rescale", 0) and min(before, after) >= 1e-7
    return kept * (before / after) if grow else kept


def largest(delta: Array, p: Problem, i: int) -> Answer:
    """The density share with the largest magnitude, at least one entry."""
    density = p.each("density", 1)[i]
    if density >= 1:
        return _sure(delta)
    if density <= 0:
        return _sure(np.zeros_like(delta))
    kept, sure = keep_ranks(delta, np.abs(delta), 0, max(1, int(density * delta.size)))
    return _rescaled(delta, kept, p), sure


def without_outliers(delta: Array, p: Problem, i: int) -> Answer:
    """The density share below the gamma share of largest magnitudes."""
    density, n = p.each("density", 1)[i], delta.size
    if density >= 1:
        return _sure(delta)
    target = int(density * n)
    bottom = max(0, n - target - int(p.each("gamma", 0.01)[i] * n))
    kept, sure = keep_ranks(delta, np.abs(delta), n - bottom - target, n - bottom)
    return _rescaled(delta, kept, p), sure


def sce(p: Problem) -> Answer:
    """Select the entries that vary most, weigh experts by energy, erase the minority's signs."""
    base, deltas, sure = p.needed_base(), p.deltas(), np.ones(p.needed_base().shape, bool)
    share = p.whole("select_topk", 1)
    if share < 1:
        variance = deltas.var(0)
        kept = int(share * np.count_nonzero(variance))
        ones, sure = keep_ranks(np.ones_like(variance), variance, 0, kept)
        if kept:
            edge = np.sort(variance, axis=None)[-kept]
            sure &= np.abs(variance - edge) > RANK_EDGE * edge
        deltas = deltas * ones
    agree, known = elect(deltas)
    energy = (deltas**2).reshape(len(deltas), -1).mean(1)
    total = energy.sum()
    w = energy / total if total >= 1e-6 else np.full(len(deltas), 1 / len(deltas))
    erased = w.reshape(-1, *[1] * base.ndim) * agree
    return base + (deltas * erased).sum(0) / np.maximum(erased.sum(0), 1e-6), sure & known


def ram(p: Problem, plus: bool) -> Answer:
    """What one expert changed at full strength (or a little more); what several changed, averaged."""
    base, deltas = p.needed_base(), p.deltas()
    changed = np.abs(deltas) > p.whole("epsilon", 1e-5)
    count = changed.sum(0)
    grow = np.ones(len(deltas))
    if plus:
        axes = tuple(range(1, deltas.ndim))
        shared, unique = (changed & (count > 1)).sum(axes), (changed & (count == 1)).sum(axes)
        ratio = shared / np.maximum(unique, p.whole("epsilon", 1e-5))
        grow = 1 + p.whole("r", 0.1) * np.clip(ratio, 0, p.whole("alpha", 0.2))
    grow = grow.reshape(-1, *[1] * base.ndim)
    strength = np.where(count == 1, grow, 1 / np.maximum(count, 1))
    return _sure(base + (deltas * changed * strength).sum(0))


def model_stock(p: Problem) -> Answer:
    """t·mean(θ) + (1 − t)·θ0 with t = N·cos / (1 + (N − 1)·cos), for a tensor or for each of its rows."""
    base = p.needed_base()
    rows = base.reshape(-1, base.shape[-1]) if p.whole("filter_wise", 0) and base.ndim > 1 else base.reshape(1, -1)
    deltas = [e.reshape(rows.shape) - rows for e in p.experts]
    cosines = []
    for a, b in combinations(deltas, 2):
        norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
        cosines.append(np.clip((a * b).sum(1) / np.maximum(norms, 1e-6), -1, 1))
    cosine, n = np.mean(cosines, axis=0)[:, None], len(deltas)
    below = 1 + (n - 1) * cosine
    t = np.where(np.abs(below) < 1e-6, 0.0, n * cosine / np.where(np.abs(below) < 1e-6, 1.0, below))
    return _sure((rows + t * np.mean(deltas, axis=0)).reshape(base.shape))


# ---- spheres ---------------------------------------------------------------------------------------


def _norm(x: Array, axis: int | None = None) -> Array:
    return np.asarray(np.sqrt((x * x).sum(axis=axis, keepdims=axis is not None)))


def slerp(p: Problem) -> Answer:
    """Along the great circle from base to expert; straight where they are nearly parallel."""
    a, b, t = p.needed_base(), p.experts[0], p.whole("t", None)
    lengths = [n if n > 1e-8 else 1.0 for n in (_norm(a), _norm(b))]
    cosine = float(np.clip((a / lengths[0] * (b / lengths[1])).sum(), -1, 1))
    if abs(cosine) > 0.9995:
        return _sure((1 - t) * a + t * b)
    angle = np.arccos(cosine)
    return _sure((np.sin((1 - t) * angle) * a + np.sin(t * angle) * b) / np.sin(angle))


def nuslerp(p: Problem) -> Answer:
    """Slerp of two experts or of their deltas, over the tensor, its last axis or (row-wise) its first."""
    w = p.each("weight", None)
    t = w[1] / sum(w) if abs(sum(w)) >= 1e-6 else 0.5
    origin = np.zeros_like(p.experts[0]) if p.base is None else p.base
    a, b = (e - origin for e in p.experts)
    axis = 0 if p.whole("nuslerp_row_wise", 0) else -1
    if p.whole("nuslerp_flatten", 1):
        a, b, axis = a.reshape(-1), b.reshape(-1), 0
    cosine = (a / np.maximum(_norm(a, axis), 1e-7) * (b / np.maximum(_norm(b, axis), 1e-7))).sum(axis, keepdims=True)
    cosine = np.clip(cosine, -1, 1)
    parallel = 1 - cosine**2 <= 1e-16
    angle = np.arccos(np.where(parallel, 0, cosine))
    curved = (np.sin((1 - t) * angle) * a + np.sin(t * angle) * b) / np.sin(angle)
    mixed = np.where(parallel, (1 - t) * a + t * b, curved)
    return _sure(origin + mixed.reshape(origin.shape))


def multislerp(p: Problem) -> Answer:
    """Weighted mean in the tangent space at the weighted mean direction, scaled by the mean length."""
    if len(p.experts) == 1:
        return _sure(p.experts[0])
    origin = np.zeros_like(p.experts[0]) if p.base is None else p.base
    x = np.stack([(e - origin).reshape(-1) for e in p.experts])
    w = np.array(p.each("weight", None))
    w = w / w.sum() if p.whole("normalize_weights", 1) else w
    eps = p.whole("eps", 1e-8)
    lengths = _norm(x, 1)
    unit = x / (lengths + eps)
    mean = w @ unit
    mean = mean / _norm(mean)
    tangent = w @ (unit - (unit @ mean)[:, None] * mean)
    angle = _norm(tangent) + eps
    result = (mean * np.cos(angle) + tangent * (np.sin(angle) / angle)) * (w @ lengths[:, 0])
    return _sure(origin + result.reshape(origin.shape))


def karcher(p: Problem) -> Answer:
    """The point on the sphere with the least squared angles to all inputs, found iteratively; mean length."""
    inputs: Sequence[Array] = p.experts
    lengths = [float(_norm(x)) for x in inputs]
    tolerance = p.whole("tol", 1e-5)
    units = [x / n for x, n in zip(inputs, lengths, strict=True) if n > tolerance]
    if not units:
        return _sure(np.zeros_like(inputs[0]))
    mean = np.mean(units, axis=0)
    mean = units[0] if _norm(mean) < tolerance else mean / _norm(mean)
    for _ in range(int(p.whole("max_iter", 10))):
        tangent = np.zeros_like(mean)
        for unit in units:
            cosine = float(np.clip((mean * unit).sum(), -1, 1))
            angle = np.arccos(cosine)
            if angle >= tolerance:
                tangent += angle / np.sin(angle) * (unit - cosine * mean) / len(units)
        step = _norm(tangent)
        if step < tolerance:
            break
        mean = np.cos(step) * mean + np.sin(step) * tangent / step
        mean = mean / _norm(mean)
    return _sure(mean * np.mean(lengths))


# ---- two models ------------------------------------------------------------------------------------


def nearswap(p: Problem) -> Answer:
    """The expert where it is nearer than t, and further away only as far as t towards it."""
    a, b = p.needed_base(), p.experts[0]
    w = np.clip(p.whole("t", None) / np.maximum(np.abs(a - b), 1e-6), 0, 1)
    return _sure(w * b + (1 - w) * a)


def arcee_fusion(p: Problem) -> Answer:
    """The expert where |τ|·KL(softmax rows) reaches median + 1.5·IQR, the base elsewhere."""
    a, b = p.needed_base(), p.experts[0]
    q, r = (_softmax(x) + 1e-8 for x in (b, a))
    importance = np.abs(b - a) * (q * np.log(q / r)).sum(-1, keepdims=True)
    ordered = np.sort(importance, axis=None)
    low, middle, high = (ordered[int(share * (ordered.size - 1))] for share in (0.25, 0.5, 0.75))
    edge = middle + 1.5 * (high - low)
    return np.where(importance >= edge, b, a), np.abs(importance - edge) > FUSION_EDGE * abs(edge)


def _softmax(x: Array) -> Array:
    e = np.exp(x - x.max(-1, keepdims=True))
    return np.asarray(e / e.sum(-1, keepdims=True))


METHODS: dict[str, Callable[[Problem], Answer]] = {
    "linear": linear,
    "passthrough": passthrough,
    "task_arithmetic": lambda p: task_vectors(p, None, vote=False, normalize=False),
    "ties": lambda p: task_vectors(p, largest, vote=True, normalize=True),
    "breadcrumbs": lambda p: task_vectors(p, without_outliers, vote=False, normalize=False),
    "breadcrumbs_ties": lambda p: task_vectors(p, without_outliers, vote=True, normalize=False),
    "sce": sce,
    "ram": lambda p: ram(p, plus=False),
    "ramplus_tl": lambda p: ram(p, plus=True),
    "model_stock": model_stock,
    "slerp": slerp,
    "nuslerp": nuslerp,
    "multislerp": multislerp,
    "karcher": karcher,
    "nearswap": nearswap,
    "arcee_fusion": arcee_fusion,
}
