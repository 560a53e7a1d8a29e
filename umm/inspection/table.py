"""A report as plain text for a terminal of 100 columns."""

from collections.abc import Iterable, Iterator, Sequence
from textwrap import wrap

from umm.inspection import shares
from umm.inspection.caution import Caution, Level
from umm.inspection.grid import OUTSIDE
from umm.inspection.numeral import angle, count, decimal, percent
from umm.inspection.report import Group, Report

WIDTH = 100  # columns
ABREAST = 8  # experts side by side in one table
_MARK = {Level.DANGER: "!!", Level.CAUTION: "! ", Level.NOTE: "  "}

Line = Sequence[str]


def text(report: Report, cautions: Sequence[Caution]) -> str:
    """The whole report: experts, kinds, layers, pairs, warnings."""
    sections = [_head(report), _experts(report)]
    for start in range(0, len(report.experts), ABREAST):
        chosen = range(start, min(start + ABREAST, len(report.experts)))
        kinds = ((kind.value, group) for kind, group in report.kinds().items())
        layers = ((OUTSIDE if n is None else str(n), group) for n, group in report.layers().items())
        sections += [_groups("kind", kinds, chosen), _groups("layer", layers, chosen)]
        if len(report.experts) > 1:
            sections.append(_cosines(report, chosen))
    sections += [_together(report), _warnings(cautions)]
    return "\n\n".join(section for section in sections if section)


def letter(expert: int) -> str:
    """The short name of an expert in tables: A … Z, then E27 and so on."""
    return chr(ord("A") + expert) if expert < 26 else f"E{expert + 1}"


def columns(lines: Iterable[Line]) -> str:
    """Lines of cells as aligned columns: the first to the left, the others to the right."""
    rows = list(lines)
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join([row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))])
        for row in rows
    )


def _head(report: Report) -> str:
    layers = sum(layer is not None for layer in report.layers())
    return (
        f"base  {report.base}\n      {report.total.sums.count:,} values in {len(report.looks)} tensors, {layers} layers"
    )


def _experts(report: Report) -> str:
    whole = report.total
    cells = zip(
        map(decimal, shares.relative(whole.sums)),
        map(decimal, whole.sums.peak.tolist()),
        map(percent, shares.zeros(whole.sums)),
        map(percent, shares.swallowed(whole.sums)),
        map(percent, whole.top),
        map(count, whole.rank),
        strict=True,
    )
    room = WIDTH - 70
    return columns(
        [
            ("expert", "‖δ‖/‖base‖", "max |δ|", "zero", "swallowed", "top energy*", "rank*"),
            *(
                (f"{letter(i)} {_cut(name, room)}", *row)
                for i, (name, row) in enumerate(zip(report.experts, cells, strict=True))
            ),
        ]
    ) + ("\n* approximate: from a sample of rows, mean over matrices weighted by the energy of their deltas")


def _cut(name: str, room: int) -> str:
    return name if len(name) <= room else f"…{name[1 - room :]}"


def _groups(title: str, groups: Iterable[tuple[str, Group]], chosen: range) -> str:
    lines = [_group(label, group, chosen) for label, group in groups]
    head = (f"‖δ‖/‖base‖ by {title}", *(letter(i) for i in chosen), "conflict", "by chance")
    return columns([head[: len(lines[0])], *lines] if lines else [])


def _group(label: str, group: Group, chosen: range) -> Line:
    ratios = shares.relative(group.sums)
    signs = (percent(shares.conflict(group.sums)), percent(shares.chance(group.sums)))
    return (label, *(decimal(ratios[i], 3) for i in chosen), *(signs if len(ratios) > 1 else ()))


def _cosines(report: Report, chosen: range) -> str:
    matrix = shares.cosines(report.total.sums)
    rows = ((letter(i), *(angle(row[j]) for j in chosen)) for i, row in enumerate(matrix))
    return columns([("cosine of deltas", *(letter(j) for j in chosen)), *rows])


def _together(report: Report) -> str:
    sums = report.total.sums
    if len(report.experts) < 2:
        return ""
    mean, plain = shares.reach(sums)
    return (
        f"signs conflict at {percent(shares.conflict(sums))} of the contested positions "
        f"(coin tosses would at {percent(shares.chance(sums))})\n"
        f"the mean of the deltas lies {decimal(mean)} of ‖base‖ away, their plain sum {decimal(plain)}"
    )


def _warnings(cautions: Sequence[Caution]) -> str:
    if not cautions:
        return "no warnings"
    return "\n".join(line for caution in cautions for line in _warning(caution))


def _warning(caution: Caution) -> Iterator[str]:
    lines = wrap(f"{caution.level.value}: {caution}", WIDTH - 3)
    yield f"{_MARK[caution.level]} {lines[0]}"
    yield from (f"   {line}" for line in lines[1:])
