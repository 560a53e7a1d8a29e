"""What is raced: for each method a recipe as users write it, and how much faster we promise to be."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml

WEIGHTS = (0.4, 0.3, 0.2, 0.1, 0.25, 0.15, 0.35, 0.05)  # one per expert
MEMORY_BAR_MB = 600  # peak anonymous memory, for every method

Cast = Literal["base+experts", "experts", "base+one", "two", "base+two", "one"]


@dataclass(frozen=True)
class Contest:
    """One method's recipe in outline, and the bars it must meet.

    ``cast`` says which checkpoints take part. ``faster`` is how many times less wall time than mergekit we
    must need, ``floors`` how many times the floor we may take; None where nothing was promised.
    """

    method: str
    cast: Cast = "base+experts"
    weighted: bool = False
    expert: Mapping[str, float] = field(default_factory=dict)
    merge: Mapping[str, float | bool] = field(default_factory=dict)
    faster: float | None = None
    floors: float | None = None

    def models(self, base: Path, experts: Sequence[Path]) -> list[Path]:
        """The checkpoints that a run has to read."""
        return {
            "base+experts": [base, *experts],
            "experts": list(experts),
            "base+one": [base, experts[0]],
            "two": list(experts[:2]),
            "base+two": [base, *experts[:2]],
            "one": [experts[0]],
        }[self.cast]

    def recipe(self, base: Path, experts: Sequence[Path]) -> str:
        """The YAML document."""
        taking_part = [m for m in self.models(base, experts) if m != base]
        listed: list[dict[str, Any]] = []
        for model, weight in zip(taking_part, WEIGHTS, strict=False):
            own = ({"weight": weight} if self.weighted else {}) | dict(self.expert)
            listed.append({"model": str(model)} | ({"parameters": own} if own else {}))
        document: dict[str, Any] = {"models": listed, "merge_method": self.method}
        if self.cast.startswith("base"):
            document["base_model"] = str(base)
        if self.merge:
            document["parameters"] = dict(self.merge)
        return yaml.safe_dump(document | {"dtype": "bfloat16"}, sort_keys=False)


HALF = {"density": 0.5}
CRUMBS = {"density": 0.5, "gamma": 0.01}
PRUNED = {"density": 0.5, "epsilon": 0.15}

CONTESTS: dict[str, Contest] = {
    "linear": Contest("linear", "experts", weighted=True, faster=4, floors=1.5),
    "task_arithmetic": Contest("task_arithmetic", weighted=True, faster=4, floors=1.5),
    "ties": Contest("ties", weighted=True, expert=HALF, faster=40, floors=3),
    "dare_linear": Contest("dare_linear", weighted=True, expert=HALF),
    "dare_ties": Contest("dare_ties", weighted=True, expert=HALF, faster=10),
    "breadcrumbs": Contest("breadcrumbs", weighted=True, expert=CRUMBS, faster=40),
    "breadcrumbs_ties": Contest("breadcrumbs_ties", weighted=True, expert=CRUMBS),
    "della": Contest("della", weighted=True, expert=PRUNED, faster=40),
    "della_linear": Contest("della_linear", weighted=True, expert=PRUNED),
    "sce": Contest("sce", merge={"select_topk": 1.0}, faster=10),
    "sce_half": Contest("sce", merge={"select_topk": 0.5}, faster=10),
    "model_stock": Contest("model_stock"),
    "ram": Contest("ram"),
    "ramplus_tl": Contest("ramplus_tl"),
    "multislerp": Contest("multislerp", "experts", weighted=True),
    "karcher": Contest("karcher", "experts"),
    "slerp": Contest("slerp", "base+one", merge={"t": 0.4}),
    "nuslerp": Contest("nuslerp", "two", weighted=True),
    "nearswap": Contest("nearswap", "base+one", merge={"t": 0.001}),
    "arcee_fusion": Contest("arcee_fusion", "base+one"),
    "passthrough": Contest("passthrough", "one"),
}
