"""What a look found: sums by tensor, folded by kind, by layer, by both, and in all. Pure; knows no files."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from umm.inspection.kind import Kind
from umm.inspection.lineup import Subject, Vocabulary
from umm.inspection.spectrum import Spectrum
from umm.inspection.sums import Doubles, Sums, total

TOP_ROWS = 0.01  # the share of an embedding's rows that ``Rows.share`` is about
NAMED_ROWS = 5  # rows that are named by number

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class Rows:
    """How unevenly an embedding delta is spread: its strongest 1 % of rows hold ``share`` of its energy.

    ``count`` is how many rows that is; evenly spread, the share would be 0.01. ``top`` names the strongest
    rows (token ids), strongest first.
    """

    share: float
    count: int
    top: tuple[int, ...]


def top_rows(energies: Doubles) -> Rows | None:
    """The concentration of one expert's row energies; None for a delta of zeros."""
    whole = float(energies.sum())
    if whole == 0:
        return None
    count = max(1, round(len(energies) * TOP_ROWS))
    order = np.argsort(-energies, kind="stable")
    return Rows(float(energies[order[:count]].sum()) / whole, count, tuple(order[:NAMED_ROWS].tolist()))


@dataclass(frozen=True)
class Look:
    """One tensor. ``spectra`` and ``rows`` have one entry per expert, None where there is nothing to say."""

    subject: Subject
    sums: Sums
    spectra: tuple[Spectrum | None, ...]
    rows: tuple[Rows | None, ...]


@dataclass(frozen=True)
class Group:
    """Several tensors as one; ``top`` and ``rank`` are means over its matrices, by energy of their deltas."""

    sums: Sums
    tensors: int
    top: tuple[float | None, ...]
    rank: tuple[float | None, ...]


@dataclass(frozen=True)
class Report:
    """A look at experts beside their base, tensor by tensor."""

    base: str
    experts: tuple[str, ...]
    looks: tuple[Look, ...]
    vocabularies: tuple[Vocabulary, ...] = ()
    tied: tuple[str, ...] = ()

    @property
    def total(self) -> Group:
        """Everything as one group."""
        return group(self.looks, len(self.experts))

    def kinds(self) -> dict[Kind, Group]:
        """One group per kind of tensor that occurs, in the order of ``Kind``."""
        found = self._by(lambda look: look.subject.kind)
        return {kind: found[kind] for kind in Kind if kind in found}

    def layers(self) -> dict[int | None, Group]:
        """One group per layer, ascending; None, for tensors outside any layer, comes last."""
        found = self._by(lambda look: look.subject.layer)
        return {layer: found[layer] for layer in sorted(found, key=lambda n: (n is None, n or 0))}

    def cells(self) -> dict[tuple[int | None, Kind], Group]:
        """One group per layer and kind that occur together."""
        return self._by(lambda look: (look.subject.layer, look.subject.kind))

    def _by(self, key: Callable[[Look], Key]) -> dict[Key, Group]:
        found: dict[Key, list[Look]] = {}
        for look in self.looks:
            found.setdefault(key(look), []).append(look)
        return {value: group(tuple(looks), len(self.experts)) for value, looks in found.items()}


def group(looks: tuple[Look, ...], experts: int) -> Group:
    """Several looks folded into one."""
    weights = [np.diagonal(look.sums.gram) for look in looks]
    top, rank = [], []
    for expert in range(experts):
        pairs = ((look.spectra[expert], float(w[expert])) for look, w in zip(looks, weights, strict=True))
        seen = [(spectrum, weight) for spectrum, weight in pairs if spectrum]
        whole = sum(weight for _, weight in seen)
        top.append(sum(s.top * weight for s, weight in seen) / whole if whole else None)
        rank.append(sum(s.rank * weight for s, weight in seen) / whole if whole else None)
    return Group(total([look.sums for look in looks], experts), len(looks), tuple(top), tuple(rank))
