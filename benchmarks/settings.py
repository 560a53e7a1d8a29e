"""The settings under which methods are compared: each method with several values of each of its parameters.

Recipes name checkpoints as ``base`` and ``expert-1`` to ``expert-4``; whoever runs them puts folders in
their place.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Setting = float | bool | str | list[Any]
Parameters = Mapping[str, Any]

EXPERTS = ("expert-1", "expert-2", "expert-3", "expert-4")
UNEQUAL = (0.4, 0.3, 0.2, 0.1)
STRONGER: dict[str, Any] = {"lambda": 1.3}  # a keyword of Python, so it cannot be one of ours
MIXED = (0.7, -0.3, 0.45, 0.15)  # one expert is subtracted


@dataclass(frozen=True)
class Case:
    """One recipe, without its types."""

    name: str
    recipe: Mapping[str, Any]

    @property
    def method(self) -> str:
        """The merge method."""
        return str(self.recipe["merge_method"])


def _case(
    name: str,
    method: str,
    experts: Sequence[str] = EXPERTS,
    base: bool = True,
    weights: Sequence[Any] = (),
    each: Parameters | None = None,
    **merge: Setting,
) -> Case:
    """``each`` goes to every expert, ``weights`` one by one, the rest to the merge."""
    models: list[dict[str, Any]] = []
    for i, expert in enumerate(experts):
        own = dict(each or {}) | ({"weight": weights[i]} if weights else {})
        models.append({"model": expert} | ({"parameters": own} if own else {}))
    recipe: dict[str, Any] = {"models": models, "merge_method": method}
    if base:
        recipe["base_model"] = "base"
    return Case(f"{method}: {name}", recipe | ({"parameters": merge} if merge else {}))


def _filtered(first: Any, second: Any, rest: Any) -> list[dict[str, Any]]:
    return [{"filter": "self_attn", "value": first}, {"filter": "mlp", "value": second}, {"value": rest}]


def _averages() -> list[Case]:
    layered = (_filtered(0.5, [0, 0.3, 1], 0.25), [1, 0.5, 0.1], 0.2, 0.1)
    return [
        _case("unequal weights", "linear", base=False, weights=UNEQUAL),
        _case("weights not normalised", "linear", base=False, weights=UNEQUAL, normalize=False),
        _case("a negative weight", "linear", base=False, weights=MIXED),
        _case("gradients and filters", "linear", base=False, weights=layered),
        _case("the base takes part", "linear", weight=0.5),
        _case("unchanged", "passthrough", EXPERTS[:1], base=False),
        _case("scaled", "passthrough", EXPERTS[:1], base=False, each={"scale": 0.37}),
        _case("some scaled", "passthrough", EXPERTS[:1], base=False, each={"scale": _filtered(0, [1, 0.5], 1)}),
    ]


def _task_vectors() -> list[Case]:
    layered = (_filtered(0.5, [0, 0.3, 1], 0.25), [1, 0.5, 0.1], 0.2, 0.1)
    some: list[Case] = []
    for method in ("task_arithmetic", "ties", "breadcrumbs", "breadcrumbs_ties"):
        thin: Parameters = {} if method == "task_arithmetic" else {"density": 0.5}
        some += [
            _case("unequal weights", method, weights=UNEQUAL, each=thin),
            _case("a negative weight", method, weights=MIXED, each=thin),
            _case("normalised", method, weights=UNEQUAL, each=thin, normalize=True),
            _case("not normalised", method, weights=UNEQUAL, each=thin, normalize=False),
            _case("lambda 1.3", method, weights=UNEQUAL, each=thin, **STRONGER),
            _case("gradients and filters", method, weights=layered, each=thin),
        ]
        if thin:
            some += [
                _case("density 0.3", method, weights=UNEQUAL, each={"density": 0.3}),
                _case("density 1", method, weights=UNEQUAL, each={"density": 1.0}),
                _case("density gradient", method, weights=UNEQUAL, each={"density": [1, 0.7, 0.1]}),
                _case("rescaled", method, weights=UNEQUAL, each=thin, rescale=True),
            ]
        if method.startswith("breadcrumbs"):
            wide = {"density": 0.9, "gamma": 0.2}
            some += [_case("more outliers than room", method, weights=UNEQUAL, each=wide)]
    return [*some, _case("int8 mask", "ties", weights=UNEQUAL, each={"density": 0.5}, int8_mask=True)]


def _selections() -> list[Case]:
    return [
        _case("everything", "sce", select_topk=1.0),
        _case("top 30 %", "sce", select_topk=0.3),
        _case("top 30 %, int8 mask", "sce", select_topk=0.3, int8_mask=True),
        _case("defaults", "ram"),
        _case("epsilon 0.003", "ram", epsilon=0.003),
        _case("defaults", "ramplus_tl"),
        _case("epsilon 0.003, r 0.5, alpha 1", "ramplus_tl", epsilon=0.003, r=0.5, alpha=1.0),
        _case("whole tensors", "model_stock"),
        _case("row by row", "model_stock", filter_wise=True),
        _case("t 0.002", "nearswap", EXPERTS[:1], t=0.002),
        _case("t gradient", "nearswap", EXPERTS[:1], t=[0.0001, 0.01]),
        _case("no parameters", "arcee_fusion", EXPERTS[:1]),
    ]


def _spheres() -> list[Case]:
    bend = _filtered([0, 0.5, 0.3, 0.7, 1], [1, 0.5, 0.7, 0.3, 0], 0.5)
    some = [
        _case("t 0.3", "slerp", EXPERTS[:1], t=0.3),
        _case("gradients and filters", "slerp", EXPERTS[:1], t=bend),
    ]
    for base in (False, True):
        where = "of deltas" if base else "of values"
        two: dict[str, Any] = {"experts": EXPERTS[:2], "base": base, "weights": (0.7, 0.2)}
        some += [
            _case(f"{where}, whole tensor", "nuslerp", **two),
            _case(f"{where}, last axis", "nuslerp", **two, nuslerp_flatten=False),
            _case(f"{where}, row-wise", "nuslerp", **two, nuslerp_flatten=False, nuslerp_row_wise=True),
            _case(f"{where}, four experts", "multislerp", base=base, weights=UNEQUAL),
            _case(f"{where}, two experts", "multislerp", **two),
            _case(
                f"{where}, as they are",
                "multislerp",
                base=base,
                weights=(0.5, 0.6, 0.2, 0.1),
                normalize_weights=False,
            ),
        ]
    return [
        *some,
        _case("four experts", "karcher", base=False),
        _case("the base takes part", "karcher"),
        _case("two steps, coarse", "karcher", base=False, max_iter=2, tol=1e-3),
    ]


def _slices() -> list[Case]:
    stacked = {
        "slices": [
            {"sources": [{"model": "expert-1", "layer_range": [0, 3]}]},
            {"sources": [{"model": "expert-2", "layer_range": [1, 4]}]},
        ],
        "merge_method": "passthrough",
    }
    mixed = {
        "slices": [
            {
                "sources": [
                    {"model": "expert-1", "layer_range": [0, 2], "parameters": {"weight": [0.2, 0.8]}},
                    {"model": "expert-2", "layer_range": [2, 4], "parameters": {"weight": 0.5}},
                ]
            },
            {
                "sources": [{"model": m, "layer_range": [1, 3]} for m in ("expert-3", "expert-4")],
                "parameters": {"weight": 0.5},
            },
        ],
        "merge_method": "linear",
    }
    return [Case("passthrough: stacked slices", stacked), Case("linear: mixed slices", mixed)]


CASES: tuple[Case, ...] = (*_averages(), *_task_vectors(), *_selections(), *_spheres(), *_slices())


@dataclass(frozen=True)
class Draw:
    """A random method with one expert of weight 1, so that its mask can be read off the output."""

    method: str
    density: float
    epsilon: float = 0.0
    rescale: bool = True

    @property
    def name(self) -> str:
        """What it is, in words."""
        spread = f", epsilon {self.epsilon:g}" if self.epsilon else ""
        return f"{self.method}: density {self.density:g}{spread}{'' if self.rescale else ', not rescaled'}"

    def case(self, experts: Sequence[str] = EXPERTS[:1]) -> Case:
        """The recipe."""
        thin = {"density": self.density} | ({"epsilon": self.epsilon} if self.epsilon else {})
        weights = UNEQUAL if len(experts) > 1 else (1.0,)
        return _case(self.name, self.method, experts, weights=weights, each=thin, rescale=self.rescale)


DRAWS: tuple[Draw, ...] = (
    Draw("dare_linear", 0.5),
    Draw("dare_linear", 0.1),
    Draw("dare_linear", 0.5, rescale=False),
    Draw("dare_ties", 0.5),
    Draw("dare_ties", 0.3),
    Draw("della", 0.5, 0.15),
    Draw("della", 0.4, 0.3),
    Draw("della", 0.5, 0.2, rescale=False),
    Draw("della_linear", 0.5, 0.15),
    Draw("della_linear", 0.7, 0.25),
)
