"""The heat map as numbers: relative delta norms by layer and kind, one map per expert, one scale for all."""

from dataclasses import dataclass

from umm.inspection import shares
from umm.inspection.caution import FAR
from umm.inspection.report import Report

OUTSIDE = "outside"  # the row for tensors that belong to no layer


@dataclass(frozen=True)
class Grid:
    """``maps[expert][row][column]`` is ‖δ‖/‖base‖, None where a layer has no such tensor.

    ``full`` is the value shown at full strength: the largest of all, but never more than FAR, so that one
    broken tensor does not bleach the rest.
    """

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    maps: tuple[tuple[shares.Each, ...], ...]
    full: float

    def strength(self, value: float) -> float:
        """Where a value lies on the scale, from 0 to 1."""
        return min(1.0, value / self.full) if self.full > 0 else 0.0


def grid(report: Report) -> Grid:
    """The heat map of a report."""
    layers, kinds = list(report.layers()), list(report.kinds())
    ratios = {place: shares.relative(cell.sums) for place, cell in report.cells().items()}
    nothing: shares.Each = (None,) * len(report.experts)
    maps = tuple(
        tuple(tuple(ratios.get((layer, kind), nothing)[expert] for kind in kinds) for layer in layers)
        for expert in range(len(report.experts))
    )
    largest = max((value for each in ratios.values() for value in each if value is not None), default=0.0)
    rows = tuple(OUTSIDE if layer is None else str(layer) for layer in layers)
    return Grid(rows, tuple(kind.value for kind in kinds), maps, min(FAR, largest))
