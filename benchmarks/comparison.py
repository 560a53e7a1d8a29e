"""Two outputs of one recipe side by side: how far apart, and how far each is from the float64 reference."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.problem import Answer, Array, Number, Problem
from benchmarks.reference import METHODS
from benchmarks.resolve import parameter, place
from benchmarks.tensorfile import Bits, bits, decode, encode, read, tensors_of

BAR = 0.999  # share of values that must be equal to the peer's or within one unit in the last place
SAME = 1e-3  # relative; the programs order their operations differently, so exact halves round either way
PEERS = (
    "linear",
    "karcher",
    "passthrough",
)  # a base that is named takes part like any other model, as the last
Look = Callable[[int | None, str, Number], float]  # index of an input, or None; parameter; default


@dataclass(frozen=True)
class Nearness:
    """How many bfloat16 values agree, of all and of those that the rules decide."""

    values: int
    equal: int
    near: int  # equal or one unit in the last place apart
    decided: int
    decided_near: int

    @property
    def equal_share(self) -> float:
        """Of all values."""
        return self.equal / self.values

    @property
    def near_share(self) -> float:
        """Of all values."""
        return self.near / self.values

    @property
    def decided_share(self) -> float:
        """How many values the rules decide."""
        return self.decided / self.values

    @property
    def decided_near_share(self) -> float:
        """Of the decided values."""
        return self.decided_near / max(1, self.decided)

    @property
    def verdict(self) -> str:
        """Whether the bar is met, and where."""
        if self.near_share >= BAR:
            return "met"
        return "met where decided" if self.decided_near_share >= BAR else "missed"


@dataclass(frozen=True)
class Errors:
    """Absolute errors of both programs against the reference, over the decided values."""

    values: int
    mean_ours: float
    mean_theirs: float
    largest_ours: float
    largest_theirs: float

    @property
    def verdict(self) -> str:
        """Whether ours is never larger; a difference under a thousandth counts as none."""
        mean, largest = (
            _ratio(self.mean_ours, self.mean_theirs),
            _ratio(self.largest_ours, self.largest_theirs),
        )
        if max(mean, largest) > 1 + SAME:
            return "LARGER"
        return "same" if mean > 1 - SAME else "smaller"


def _ratio(ours: float, theirs: float) -> float:
    return ours / theirs if theirs else float(ours > 0) + 1


def units_apart(a: Bits, b: Bits) -> NDArray[np.int32]:
    """Distance of bfloat16 values in units in the last place; both zeros are the same."""
    line = [np.where(x & 0x8000, -(x & 0x7FFF).astype(np.int32), (x & 0x7FFF).astype(np.int32)) for x in (a, b)]
    apart: NDArray[np.int32] = np.abs(line[0] - line[1])
    return apart


def nearness(ours: Path, theirs: Path, answers: Mapping[str, Answer]) -> Nearness:
    """Compare two checkpoints value by value. Without a reference, every value counts as decided."""
    mine, peer = tensors_of(ours), tensors_of(theirs)
    if mine.keys() != peer.keys():
        raise ValueError(f"the outputs differ in their tensors: {sorted(mine.keys() ^ peer.keys())[:4]}")
    counts = np.zeros(5, np.int64)
    for name, slot in mine.items():
        if slot.shape != peer[name].shape or {slot.code, peer[name].code} != {"BF16"}:
            raise ValueError(f"{name}: {slot.code} {slot.shape} and {peer[name].code} {peer[name].shape}")
        apart = units_apart(bits(slot), bits(peer[name]))
        sure = answers[name][1].reshape(-1) if name in answers else np.ones(apart.shape, bool)
        near = apart <= 1
        counts += [apart.size, (apart == 0).sum(), near.sum(), sure.sum(), (near & sure).sum()]
    return Nearness(*(int(c) for c in counts))


def errors(ours: Path, theirs: Path, answers: Mapping[str, Answer]) -> Errors:
    """Measure both, as bfloat16, against the reference."""
    sums, largest, count = [0.0, 0.0], [0.0, 0.0], 0
    folders = [tensors_of(ours), tensors_of(theirs)]
    for name, (values, sure) in answers.items():
        count += int(sure.sum())
        for i, tensors in enumerate(folders):
            stored = read(tensors[name])
            if tensors[name].code != "BF16":  # mergekit's ramplus_tl and arcee_fusion write float32 whatever is asked
                stored = decode(encode(stored, "BF16"), "BF16").reshape(stored.shape)
            away = np.abs(stored.astype(np.float64) - values)[sure]
            sums[i] += float(away.sum())
            largest[i] = max(largest[i], float(away.max(initial=0)))
    return Errors(count, sums[0] / count, sums[1] / count, *largest)


def solve(recipe: Mapping[str, Any], folders: Mapping[str, Path], layers: int) -> dict[str, Answer]:
    """The reference's answer for every tensor; empty for recipes with slices, which it does not do."""
    if "models" not in recipe:
        return {}
    base = recipe.get("base_model")
    listed: list[tuple[str, int | None]] = [(m["model"], i) for i, m in enumerate(recipe["models"])]
    if base and recipe["merge_method"] in PEERS:
        listed.append((base, None))
    tensors = {model: tensors_of(folders[model]) for model in {base or listed[0][0], *(m for m, _ in listed)}}

    def load(model: str, name: str) -> Array:
        return read(tensors[model][name]).astype(np.float64)

    answers = {}
    for name in tensors[listed[0][0]]:
        origin = load(base, name) if base and recipe["merge_method"] not in PEERS else None
        look = partial(_look, recipe, name, place(name, layers))
        inputs = tuple(load(model, name) for model, _ in listed)
        problem = Problem(origin, inputs, partial(_each, look, [i for _, i in listed]), partial(look, None))
        answers[name] = METHODS[recipe["merge_method"]](problem)
    return answers


def _each(look: Look, indices: Sequence[int | None], key: str, default: Number) -> tuple[float, ...]:
    return tuple(look(i, key, default) for i in indices)


def _look(recipe: Mapping[str, Any], name: str, t: float, index: int | None, key: str, default: Number) -> float:
    found = parameter(recipe, index, key, name, t)
    if found is None and default is None:
        raise KeyError(f"{recipe['merge_method']} needs {key}")
    return float(default if found is None else found)  # type: ignore[arg-type]  # one of them is a number
