"""A round as a picture for a terminal: phase and countdown, contributions, stewards, what happened last."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from node.cli.progress import amount
from node.cli.rounds import rows
from node.cli.screen import GAP, printable
from node.cli.times import lasting, stamp
from node.cli.values import plural
from node.control.progress import Progress
from node.control.views import Entry, Event, OfferState, RoundDetail

STATES = {
    OfferState.ACCEPTED: "green",
    OfferState.LISTED: "green",
    OfferState.MERGED: "bold green",
    OfferState.REFUSED: "red",
    OfferState.LEFT_OUT: "yellow",
    OfferState.WITHDRAWN: "yellow",
}

BAR_COLUMNS = 30

ENTRY_COLUMNS = ["by", "kind", "domain", "size", "state", "why"]
"""Of a contribution; what else there is shows `umm round show`."""

FRAME_LINES = 14
"""Of the picture beside contributions, stewards and events."""


def picture(
    detail: RoundDetail, events: Sequence[Event], progress: Progress | None, now: float, height: int
) -> RenderableType:
    """All of it, cut to so many lines."""
    summary = detail.summary
    room = max(height - FRAME_LINES - len(detail.stewards) - len(events), 1)
    parts: list[RenderableType] = [
        Text(printable(summary.title), "bold"),
        Text(f"{summary.id.hex()}", "dim"),
        Text(),
        _phase(detail, now),
        Text(),
        Text(f"Contributions ({detail.total_entries}; {plural(detail.commitments, 'commitment')})", "bold"),
        *_entries(detail.entries, room),
        Text(),
        Text(f"Stewards ({summary.quorum} of {summary.stewards} decide)", "bold"),
        _table(rows.STEWARD_HEADERS, rows.steward_rows(detail.stewards, now)),
    ]
    if progress is not None:
        parts += [Text(), _work(progress)]
    if events:
        parts += [Text(), *(_event(event) for event in events)]
    return Group(*parts)


def _phase(detail: RoundDetail, now: float) -> RenderableType:
    """The phase with what is left of it as a bar, or what came of the round."""
    begins, ends = _span(detail, now)
    if detail.summary.root is not None or ends is None:
        style = "bold green" if detail.summary.root is not None else "yellow"
        return Text(rows.headline(detail, now), style)
    line = Table.grid(padding=(0, 1))
    bar = ProgressBar(total=max(ends - begins, 1.0), completed=max(now - begins, 0.0), width=BAR_COLUMNS)
    line.add_row(Text(detail.summary.phase, "bold cyan"), bar, Text(f"{lasting(ends - now)} left"))
    return line


def _span(detail: RoundDetail, now: float) -> tuple[float, float | None]:
    """When the phase of now began and when it ends; before the round opens there is no beginning to speak of."""
    times = detail.times
    edges = [
        times.commit_opens,
        times.commit_closes,
        times.reveal_closes,
        times.roster_closes,
        times.merge_closes,
    ]
    began = [float(edge) for edge in edges if edge <= now]
    ends = detail.summary.phase_ends
    return (began[-1] if began else now), (None if ends is None or ends <= now else ends)


def _entries(entries: Sequence[Entry], room: int) -> list[RenderableType]:
    """The newest states that fit; those of one's own first."""
    if not entries:
        return [Text("none so far", "dim")]
    chosen = sorted(entries, key=lambda entry: not entry.mine)[:room]
    kept = [rows.ENTRY_HEADERS.index(name) for name in ENTRY_COLUMNS]
    lines = [[line[index] for index in kept] for line in rows.entry_rows(chosen)]
    table = _table(ENTRY_COLUMNS, lines, [STATES.get(entry.state, "") for entry in chosen])
    left = len(entries) - len(chosen)
    return [table, Text(f"and {left} more: umm round show", "dim")] if left else [table]


def _table(headers: Sequence[str], lines: Sequence[Sequence[str]], styles: Sequence[str] = ()) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, len(GAP), 0, 0), header_style="dim")
    for header in headers:
        table.add_column(header, no_wrap=header != headers[-1])  # where room is short, the last one gives way
    for index, line in enumerate(lines):
        cells = [Text(printable(cell), no_wrap=True, overflow="ellipsis") for cell in line]
        table.add_row(*cells, style=styles[index] if styles else "")
    return table


def _work(progress: Progress) -> RenderableType:
    line = Table.grid(padding=(0, 1))
    bar = ProgressBar(total=progress.total or None, completed=progress.done, width=BAR_COLUMNS)
    far = amount(progress.done, progress.total, progress.unit)
    line.add_row(Text(printable(progress.what)), bar, Text(far))
    return line


def _event(event: Event) -> Text:
    return Text(f"{stamp(event.at)}  {printable(event.text)}", "dim", no_wrap=True, overflow="ellipsis")
