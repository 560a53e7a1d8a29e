"""Settings of every method that the tests of kernels and the golden digests run through."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Setting:
    """One way to call a method: with how many experts, with a base or without, with which parameters."""

    experts: int = 3
    base: bool = True
    given: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        told = "-".join(f"{k}={v}" for k, v in self.given.items())
        return f"{self.experts}{'' if self.base else '-baseless'}{'-' if told else ''}{told}"


def _set(experts: int = 3, base: bool = True, **given: Any) -> Setting:
    return Setting(experts, base, {name.rstrip("_"): value for name, value in given.items()})


W = [0.5, 1.25, -0.3]
THINNED = (
    _set(1, weight=1.0, density=0.1),
    _set(2, weight=0.6, density=0.5, lambda_=0.7),
    _set(3, weight=W, density=[1.0, 0.5, 0.1], normalize=True, rescale=True),
    _set(3, weight=[0.5, 0.0, 0.5], density=0.5, normalize=False, rescale=True, lambda_=-1.5),
    _set(4, weight=[0.0, 0.0, 1e-8, 0.0], density=[0.0, 0.3, 0.6, 0.9], normalize=True, rescale=False),
    _set(5, weight=[1.0, -1.0, 1.0, -1.0, 0.5], density=0.5, lines_alpha=0.5, lines_beta=0.25),
)
RANKED_ODDS = (
    _set(1, weight=1.0, density=0.5),
    _set(3, weight=W, density=[0.3, 0.5, 0.8], epsilon=[0.1, 0.15, 0.05], normalize=False, rescale=False),
    _set(3, weight=1.0, density=[0.0, 1.0, 0.5], epsilon=[0.5, 0.5, 0.0]),
    _set(5, weight=[1.0, -1.0, 0.0, 2.0, 0.5], density=0.4, lambda_=0.3, lines_beta=1.0),
)
CRUMBS = (
    *THINNED,
    _set(2, weight=1.0, density=0.5, gamma=[0.2, 0.7]),
    _set(2, weight=[1.0, 0.5], density=[0.3, 0.7], gamma=[1.0, 0.0], rescale=True, normalize=True),
)
ROBUST = (
    _set(1),
    _set(2, base=False),
    _set(3, lines_alpha=0.5, lines_beta=0.5),
    _set(4),
    _set(5, base=False),
)

SETTINGS: Mapping[str, tuple[Setting, ...]] = {
    "linear": (
        _set(1, base=False, weight=1.0),
        _set(3, base=False, weight=[0.5, 1.25, -0.3]),
        _set(5, base=False, weight=[0.1, 0.2, 0.0, 0.4, 0.3], normalize=False),
    ),
    "passthrough": (_set(1, base=False), _set(1, base=False, scale=-0.3), _set(1, base=False, scale=0.0)),
    "slerp": (_set(1, t=0.3), _set(1, t=0.0), _set(1, t=1.0), _set(1, t=-0.5)),
    "nuslerp": (
        _set(2, weight=[1.0, 0.5]),
        _set(2, base=False, weight=[0.3, 0.7]),
        _set(2, weight=[1.0, -1.0], nuslerp_flatten=False),
        _set(2, base=False, weight=[0.2, 0.6], nuslerp_flatten=False),
        _set(2, weight=[1.0, 2.0], nuslerp_flatten=False, nuslerp_row_wise=True),
        _set(2, base=False, weight=1.0, nuslerp_flatten=False, nuslerp_row_wise=True),
    ),
    "multislerp": (
        _set(1, weight=0.3),
        _set(2, weight=0.5, base=False),
        _set(3, weight=[0.5, 1.25, 0.3]),
        _set(5, weight=0.3, normalize_weights=False, eps=1e-3),
    ),
    "karcher": (
        _set(1, base=False),
        _set(3, base=False),
        _set(5, base=False, max_iter=3, tol=1e-9),
    ),
    "task_arithmetic": (
        _set(1, weight=1.0),
        _set(3, weight=W, lambda_=0.7, density=0.5),
        _set(4, weight=[0.5, 0.25, 0.0, 0.125], normalize=True, lines_alpha=0.5, lines_beta=0.25),
        _set(2, weight=[1.0, -1.0], normalize=True),
        _set(2, weight=[1e-8, 0.0], normalize=True),
    ),
    "ties": THINNED,
    "dare_linear": THINNED,
    "dare_ties": THINNED,
    "della": RANKED_ODDS,
    "della_linear": RANKED_ODDS,
    "breadcrumbs": CRUMBS,
    "breadcrumbs_ties": CRUMBS,
    "sce": (
        _set(1),
        _set(3, select_topk=0.1),
        _set(2, select_topk=0.5, int8_mask=True),
        _set(5, select_topk=0.9, lines_alpha=0.3),
        _set(3, select_topk=0.0),
    ),
    "rsaf": (
        _set(1),
        _set(3),
        _set(4, ratio=0.5, rate_power=2.0, skew_power=0.1, lines_beta=0.5),
        _set(2, least=0.3, most=0.3),
    ),
    "ram": (_set(1), _set(3, epsilon=0.02), _set(5, epsilon=0.05, lines_alpha=0.5)),
    "ramplus_tl": (
        _set(1),
        _set(3, epsilon=0.02, r=0.5, alpha=0.7),
        _set(2, epsilon=0.05, lines_alpha=0.5),
        _set(3, epsilon=0.0),
    ),
    "consensus": (_set(1, agree=1), _set(3), _set(5, mask_lambda=0.2, agree=3, lambda_=0.4)),
    "model_stock": (
        _set(2),
        _set(3, filter_wise=True),
        _set(5, lines_alpha=0.5, lines_beta=0.5),
    ),
    "nearswap": (_set(1, t=0.02), _set(1, t=0.0), _set(1, t=-1.0)),
    "arcee_fusion": (_set(1),),
    "pcb": (_set(1), _set(3, lambda_=1.2), _set(5, ratio=0.5), _set(2, ratio=1.0)),
    "median": ROBUST,
    "trimmed_mean": (*ROBUST, _set(5, trim=0.0), _set(5, trim=0.5), _set(4, trim=0.5)),
    "geometric_median": (
        _set(1),
        _set(3, base=False),
        _set(4, max_iter=3),
        _set(5, lines_alpha=0.5, lines_beta=0.25, tol=1e-3),
    ),
}

EVERY = [(name, setting) for name, settings in SETTINGS.items() for setting in settings]
