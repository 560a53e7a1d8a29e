"""A report as a picture: one heat map per expert, and their cosines. Needs the extra ``plot``."""

from itertools import product
from math import ceil
from pathlib import Path
from typing import Any

from umm.errors import EnvironmentFault
from umm.inspection import shares
from umm.inspection.caution import FAR
from umm.inspection.grid import Grid, grid
from umm.inspection.numeral import DASH
from umm.inspection.report import Report

ABREAST = 4  # maps in one row of the picture
CELL = (0.3, 0.16)  # inches
LABELLED = 40  # layers whose numbers fit beside a map
NUMBERED = 16  # experts up to which cosines are written into their cells


def draw(report: Report, file: Path) -> None:
    """Write the picture of ``report`` as a PNG file."""
    try:
        from matplotlib.figure import Figure  # slow to import, and only needed here
    except ImportError as missing:
        raise EnvironmentFault("--png needs matplotlib: pip install 'umm-node[plot]'") from missing
    heat = grid(report)
    panels = len(report.experts) + (len(report.experts) > 1)
    across = min(ABREAST, panels)
    down = ceil(panels / across)
    width = across * (max(8, len(heat.columns)) * CELL[0] + 0.4) + 1.2
    height = down * (max(12, len(heat.rows)) * CELL[1] + 1.3)
    figure = Figure(figsize=(width, height), layout="constrained")
    figure.suptitle(f"What each expert changed of {Path(report.base).resolve().name}", fontsize=11)
    axes = figure.subplots(down, across, squeeze=False).ravel().tolist()
    images = [_map(axes[i], heat, i, name) for i, name in enumerate(report.experts)]
    for panel in axes[: len(report.experts) : across]:
        panel.set_ylabel("layer", fontsize=8)
    bar = figure.colorbar(images[0], ax=axes, aspect=30, extend="max" if heat.full == FAR else "neither")
    bar.set_label("‖δ‖ / ‖base‖", fontsize=8)
    bar.ax.tick_params(labelsize=7)
    if len(report.experts) > 1:
        _cosines(axes[len(report.experts)], report)
    for empty in axes[panels:]:
        empty.set_axis_off()
    try:
        figure.savefig(file, dpi=150, format="png")
    except OSError as fault:
        raise EnvironmentFault(f"cannot write {file}: {fault.strerror}; choose another file") from fault


def _map(panel: Any, heat: Grid, expert: int, name: str) -> Any:
    values = [[float("nan") if v is None else v for v in row] for row in heat.maps[expert]]
    image = panel.imshow(values, aspect="auto", cmap="YlOrRd", vmin=0, vmax=heat.full or 1)
    panel.set_facecolor("0.93")
    panel.set_title(_short(name), fontsize=9)
    panel.set_xticks(range(len(heat.columns)), heat.columns, rotation=60, ha="right", fontsize=7)
    step = ceil(len(heat.rows) / LABELLED)
    panel.set_yticks(range(0, len(heat.rows), step), heat.rows[::step], fontsize=7)
    return image


def _cosines(panel: Any, report: Report) -> None:
    matrix = shares.cosines(report.total.sums)
    values = [[float("nan") if v is None else v for v in row] for row in matrix]
    panel.imshow(values, cmap="RdBu_r", vmin=-1, vmax=1)
    places = range(len(report.experts))
    labels = [_short(name) for name in report.experts]
    panel.set_facecolor("0.93")
    panel.set_title("cosine of deltas (−1 blue, 1 red)", fontsize=9)
    panel.set_xticks(places, labels, rotation=60, ha="right", fontsize=7)
    panel.set_yticks([])  # as along the other side
    if len(report.experts) <= NUMBERED:
        for i, j in product(places, places):
            ink = "white" if abs(matrix[i][j] or 0) > 0.6 else "black"
            panel.text(j, i, _cosine(matrix[i][j]), ha="center", va="center", fontsize=6, color=ink)


def _cosine(value: float | None) -> str:
    return DASH if value is None else f"{value:.2f}".replace("-0.00", "0.00")


def _short(name: str, room: int = 22) -> str:
    return name if len(name) <= room else f"…{name[1 - room :]}"
