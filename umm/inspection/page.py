"""A report as one HTML page that needs nothing else: no script, no network, light and dark.

Every value is text in a table cell, so that a screen reader and a copy find what a colour shows; hovering
a cell adds the digits and the names.
"""

import re
from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path

from umm.inspection import shares
from umm.inspection.caution import FAR, Caution
from umm.inspection.grid import OUTSIDE, Grid, grid
from umm.inspection.numeral import DASH, angle, count, decimal, percent
from umm.inspection.report import Group, Report

MEASURES = "‖δ‖/‖base‖ of each expert; how often signs conflict, and how often tossed coins would"
MID, STRONG = 0.52, 0.66  # from there on a dark page, a light page needs the other ink on a coloured cell


def page(report: Report, cautions: Sequence[Caution]) -> str:
    """The whole document."""
    name = Path(report.base).resolve().name
    style = files("umm.inspection").joinpath("page.css").read_text("utf-8")
    sections = [
        _head(report, name),
        _warnings(cautions),
        _experts(report),
        _maps(report),
        _pairs(report) if len(report.experts) > 1 else "",
        _groups("By kind of tensor", "kind", [(k.value, g) for k, g in report.kinds().items()], report),
        _groups("By layer", "layer", [(_layer(n), g) for n, g in report.layers().items()], report),
        _tensors(report),
    ]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>A look at {escape(name)} before merging</title>\n<style>\n{style}</style>\n</head>\n<body>\n"
        + "\n".join(sections)
        + "\n</body>\n</html>\n"
    )


def table(head: Sequence[str], rows: Iterable[Sequence[str]], caption: str) -> str:
    """A plain table of text; the first cell of each row names it."""
    top = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in head)
    body = "\n".join(
        f'<tr><th scope="row">{escape(row[0])}</th>{"".join(f"<td>{escape(c)}</td>" for c in row[1:])}</tr>'
        for row in rows
    )
    return (
        f'<div class="wide"><table class="plain"><caption>{escape(caption)}</caption>\n'
        f"<thead><tr>{top}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>"
    )


def _layer(layer: int | None) -> str:
    return OUTSIDE if layer is None else str(layer)


def _head(report: Report, name: str) -> str:
    layers = sum(layer is not None for layer in report.layers())
    return (
        f"<header><h1>{escape(name)} and {_number(report)}</h1>\n"
        f'<p class="soft">base <code>{escape(report.base)}</code>, {report.total.sums.count:,} values in '
        f"{len(report.looks)} tensors, {layers} layers. A delta is an expert minus the base.</p></header>"
    )


def _number(report: Report) -> str:
    return f"{len(report.experts)} expert{'s' * (len(report.experts) > 1)}"


def _warnings(cautions: Sequence[Caution]) -> str:
    items = "\n".join(
        f'<li class="{c.level.value}"><b>{c.level.value.capitalize()}: {escape(c.what)}</b> '
        f"<span>({escape(c.where)})</span><p>{escape(c.evidence[0].upper() + c.evidence[1:])}.</p>"
        f"<p>{_code(escape(c.advice))}</p></li>"
        for c in cautions
    )
    body = f'<ul class="warnings">\n{items}\n</ul>' if cautions else "<p>None.</p>"
    return f"<section><h2>Warnings</h2>\n{body}</section>"


def _code(text: str) -> str:
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", text)


def _experts(report: Report) -> str:
    whole = report.total
    head = ("expert", "‖δ‖/‖base‖", "max |δ|", "zero", "swallowed", "top energy", "effective rank")
    columns: tuple[Iterable[str], ...] = (
        report.experts,
        map(decimal, shares.relative(whole.sums)),
        map(decimal, whole.sums.peak.tolist()),
        map(percent, shares.zeros(whole.sums)),
        map(percent, shares.swallowed(whole.sums)),
        map(percent, whole.top),
        map(count, whole.rank),
    )
    caption = (
        "Zero: positions left as they were. Swallowed: changes that a mean stored as bfloat16 would lose. "
        "Top energy and effective rank: of matrices, approximate, from a sample of rows."
    )
    return f"<section><h2>Experts</h2>\n{table(head, zip(*columns, strict=True), caption)}</section>"


def _maps(report: Report) -> str:
    heat = grid(report)
    top = f"{heat.full:.3g}{' and more' if heat.full == FAR else ''}"
    figures = "\n".join(_map(heat, i, name) for i, name in enumerate(report.experts))
    return (
        "<section><h2>Where each expert changed the base</h2>\n"
        '<p class="soft">‖δ‖/‖base‖ by layer and kind of tensor, on one scale for all.</p>\n'
        f'<div class="legend"><span>0</span><i></i><span>{top}</span></div>\n'
        f'<div class="maps">\n{figures}\n</div></section>'
    )


def _map(heat: Grid, expert: int, name: str) -> str:
    kinds = (escape(kind).replace(".", ".<wbr>") for kind in heat.columns)
    top = "".join(f'<th scope="col">{kind}</th>' for kind in kinds)
    body = "\n".join(
        f'<tr><th scope="row">{row}</th>'
        + "".join(_warm(heat, v, row, kind) for kind, v in zip(heat.columns, values, strict=True))
        + "</tr>"
        for row, values in zip(heat.rows, heat.maps[expert], strict=True)
    )
    return (
        f"<figure><figcaption>{escape(name)}</figcaption>"
        f'<div class="wide"><table class="heat">\n<thead><tr><th scope="col">layer</th>{top}</tr></thead>\n'
        f"<tbody>\n{body}\n</tbody></table></div></figure>"
    )


def _warm(heat: Grid, value: float | None, row: str, kind: str) -> str:
    if value is None:
        return f'<td class="none">{DASH}</td>'
    hover = f"{kind}, {row if row == OUTSIDE else f'layer {row}'}: {value:.6g}"
    return _cell(heat.strength(value), decimal(value, 3), hover)


def _cell(strength: float, shown: str, hover: str, name: str = "") -> str:
    ink = "strong" if strength > STRONG else "mid" if strength > MID else ""
    names = " ".join(filter(None, (name, ink)))
    kind = f' class="{names}"' if names else ""
    return f'<td{kind} style="--v:{strength:.3f}" title="{escape(hover)}">{shown}</td>'


def _pairs(report: Report) -> str:
    sums = report.total.sums
    top = "".join(f'<th scope="col">{escape(name)}</th>' for name in report.experts)
    body = "\n".join(
        f'<tr><th scope="row">{escape(one)}</th>'
        + "".join(_angle(v, one, other) for v, other in zip(row, report.experts, strict=True))
        + "</tr>"
        for one, row in zip(report.experts, shares.cosines(sums), strict=True)
    )
    mean, plain = shares.reach(sums)
    return (
        "<section><h2>How the experts stand to one another</h2>\n"
        '<div class="wide"><table class="heat signed">'
        "<caption>Cosine of deltas: 1 the same direction, 0 unrelated, −1 opposite</caption>\n"
        f'<thead><tr><th scope="col">expert</th>{top}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>\n'
        f"<p>Signs conflict at {percent(shares.conflict(sums))} of the positions that at least two experts "
        f"changed; coin tosses would at {percent(shares.chance(sums))}. The mean of the deltas lies "
        f"{decimal(mean)} of ‖base‖ away from the base, their plain sum {decimal(plain)}.</p></section>"
    )


def _angle(value: float | None, one: str, other: str) -> str:
    if value is None:
        return f'<td class="none">{DASH}</td>'
    return _cell(abs(value), angle(value), f"{one} and {other}: {value:.6f}", "minus" if value < 0 else "")


def _groups(title: str, label: str, groups: Iterable[tuple[str, Group]], report: Report) -> str:
    head = (label, "tensors", *report.experts, "sign conflict", "by chance")
    rows = ((name, str(part.tensors), *_measures(part)) for name, part in groups)
    return f"<details><summary>{escape(title)}</summary>\n{table(head, rows, MEASURES)}</details>"


def _tensors(report: Report) -> str:
    head = ("tensor", "shape", *report.experts, "sign conflict", "by chance")
    rows = (
        (look.subject.name, "×".join(map(str, look.subject.shape)), *_measures(Group(look.sums, 1, (), ())))
        for look in report.looks
    )
    return f"<details><summary>By tensor</summary>\n{table(head, rows, MEASURES)}</details>"


def _measures(part: Group) -> tuple[str, ...]:
    return (
        *map(decimal, shares.relative(part.sums)),
        percent(shares.conflict(part.sums)),
        percent(shares.chance(part.sums)),
    )
