"""Task arithmetic and its thinned-out, sign-electing relatives: one family, told apart by three choices.

How deltas are thinned out (not at all, by magnitude, by magnitude without outliers, at random, at random with
magnitude-dependent odds), whether signs are elected, and the defaults of ``normalize`` and ``rescale``.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from umm.forms import Form, Mask, Mix, Window
from umm.methods.parameters import DENSITY, INT8_MASK, LAMBDA, LINES, WEIGHT, normalize, rescale
from umm.methods.registry import Arguments, Base, Holds, Parameter, method

if TYPE_CHECKING:
    from umm.field import Field

Thinning = tuple[tuple[Window | None, ...] | None, Mask | None, tuple[float, ...] | None]

GAMMA = Parameter("gamma", "share of the largest entries to drop", scope="expert", default=0.01, low=0.0, high=1.0)
EPSILON = Parameter(
    "epsilon",
    "keep odds run from density - epsilon to density + epsilon",
    scope="expert",
    default=0.15,
    low=0.0,
    high=1.0,
)


def _everything(field: "Field", arguments: Arguments) -> Thinning:  # noqa: ARG001 - same signature for all
    return None, None, None


def _largest(field: "Field", arguments: Arguments) -> Thinning:
    """Keep the ``density`` share with the largest magnitude, at least one element; equal ones by index."""
    bounds = [(0, max(1, int(d * field.size))) if d > 0 else (0, 0) for d in arguments.each("density")]
    return _by_window(field, arguments, bounds)


def _without_outliers(field: "Field", arguments: Arguments) -> Thinning:
    """Drop the ``gamma`` share of largest entries, then the smallest until ``density`` is left.

    Where both would drop too much, fewer of the largest are dropped.
    """
    bounds = []
    for density, gamma in zip(arguments.each("density"), arguments.each("gamma"), strict=True):
        keep = field.size if density >= 1 else int(density * field.size)
        first = min(int(gamma * field.size), field.size - keep)
        bounds.append((first, first + keep))
    return _by_window(field, arguments, bounds)


def _by_window(field: "Field", arguments: Arguments, bounds: list[tuple[int, int]]) -> Thinning:
    windows = field.windows(bounds)
    scales = field.l1_scales(windows) if arguments.flag("rescale") else None
    return windows, None, scales


def _at_random(field: "Field", arguments: Arguments) -> Thinning:
    """Keep each entry with probability ``density``."""
    mask, scales = field.draw([(d, d) for d in arguments.each("density")])
    return None, mask, scales if arguments.flag("rescale") else None


def _by_rank_odds(field: "Field", arguments: Arguments) -> Thinning:
    """Keep with a probability that grows linearly with the rank of the magnitude within its row."""
    odds = []
    for d, e in zip(arguments.each("density"), arguments.each("epsilon"), strict=True):
        odds.append((d, d) if d in (0.0, 1.0) else (d - e, d + e))
    mask, scales = field.draw(odds)
    return None, mask, scales if arguments.flag("rescale") else None


def _odds_problem(arguments: Arguments) -> str | None:
    for d, e in zip(arguments.each("density"), arguments.each("epsilon"), strict=True):
        if 0 < d < 1 and not (d - e > 0 and d + e < 1):
            return f"density {d:g} with epsilon {e:g}: density - epsilon must be above 0 and density + epsilon below 1"
    return None


def _family(
    name: str,
    title: str,
    source: str,
    thin: Callable[["Field", Arguments], Thinning],
    *,
    elect: bool,
    defaults: tuple[bool, bool],
    extra: tuple[Parameter, ...],
    doc: str,
    check: Callable[[Arguments], str | None] | None = None,
    holds: Holds = Holds.SUMS,
) -> None:
    def merge(field: "Field", arguments: Arguments) -> Form:
        windows, mask, scales = thin(field, arguments)
        return Mix(
            arguments.each("weight"),
            windows=windows,
            mask=mask,
            rescale=scales,
            elect="sum" if elect else None,
            divide=arguments.flag("normalize"),
            scale=arguments.number("lambda") * field.depth_scale(arguments),
        )

    merge.__doc__ = doc
    shared = (WEIGHT, *extra, LAMBDA, normalize(defaults[0]), rescale(defaults[1]), INT8_MASK, *LINES)
    register = method(
        name,
        title=title,
        source=source,
        base=Base.REQUIRED,
        experts=(1, None),
        parameters=shared,
        check=check,
        holds=holds,
    )
    register(merge)


_family(
    "task_arithmetic",
    "Task arithmetic",
    "Ilharco et al., arXiv 2212.04089",
    _everything,
    elect=False,
    defaults=(False, False),
    extra=(DENSITY,),
    doc="``base + lambda * sum_k w_k delta_k``; ``density`` is accepted and unused, as in mergekit.",
)
_family(
    "ties",
    "TIES",
    "Yadav et al., arXiv 2306.01708",
    _largest,
    elect=True,
    defaults=(True, False),
    extra=(DENSITY,),
    holds=Holds.RANKS,
    doc="Trim each delta to its largest ``density`` share, elect the sign of the weighted sum, average who agrees.",
)
_family(
    "dare_linear",
    "DARE",
    "Yu et al., arXiv 2311.03099",
    _at_random,
    elect=False,
    defaults=(False, True),
    extra=(DENSITY,),
    holds=Holds.MASKS,
    doc="Drop entries of each delta at random, rescale to the delta's L1 norm, sum.",
)
_family(
    "dare_ties",
    "DARE with TIES",
    "Yu et al., arXiv 2311.03099",
    _at_random,
    elect=True,
    defaults=(False, True),
    extra=(DENSITY,),
    holds=Holds.MASKS,
    doc="DARE's random thinning followed by TIES' election of signs.",
)
_family(
    "della",
    "DELLA",
    "Deep et al., arXiv 2406.11617",
    _by_rank_odds,
    elect=True,
    defaults=(True, True),
    extra=(DENSITY, EPSILON),
    check=_odds_problem,
    holds=Holds.MASKS,
    doc="Random thinning with odds that grow with the magnitude's rank in its row, then election of signs.",
)
_family(
    "della_linear",
    "DELLA without election",
    "Deep et al., arXiv 2406.11617",
    _by_rank_odds,
    elect=False,
    defaults=(False, True),
    extra=(DENSITY, EPSILON),
    check=_odds_problem,
    holds=Holds.MASKS,
    doc="Random thinning with odds that grow with the magnitude's rank in its row, then the weighted sum.",
)
_family(
    "breadcrumbs",
    "Model Breadcrumbs",
    "Davari and Belilovsky, arXiv 2312.06795",
    _without_outliers,
    elect=False,
    defaults=(False, False),
    extra=(DENSITY, GAMMA),
    holds=Holds.RANKS,
    doc="Drop the largest ``gamma`` share and the smallest entries of each delta, then the weighted sum.",
)
_family(
    "breadcrumbs_ties",
    "Model Breadcrumbs with TIES",
    "Davari and Belilovsky, arXiv 2312.06795",
    _without_outliers,
    elect=True,
    defaults=(False, False),
    extra=(DENSITY, GAMMA),
    holds=Holds.RANKS,
    doc="Breadcrumbs' thinning followed by TIES' election of signs.",
)
