"""A round while it goes on, drawn again and again: who does what, and how long the phase still lasts."""

import asyncio
import time
from collections import deque
from collections.abc import Mapping

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from node.control.client import Client
from node.control.orders import RoundOrder, ShowRoundOrder
from node.control.views import RoundDetail
from node.errors import MachineFault

LOOK_SECONDS = 0.4

GIVE_UP_SECONDS = 240.0

LINES = 8
"""Of what happened lately."""

PHASES = {
    "commit": "contributors sign what they will offer, without showing it",
    "reveal": "contributions are shown; the steward fetches and checks each of them",
    "roster": "the steward says what goes in",
    "merge": "everybody could merge now; the steward does",
}


async def watch(steward: Client, round_id: bytes, roles: Mapping[bytes, str], console: Console) -> RoundDetail:
    """Show the round until it has a result."""
    lately: deque[str] = deque(maxlen=LINES)
    listening = asyncio.create_task(_listen(steward, round_id, lately, console))
    deadline = time.monotonic() + GIVE_UP_SECONDS
    try:
        with Live(console=console, refresh_per_second=5, transient=True) as live:
            while True:
                detail = await steward.show_round(ShowRoundOrder(round=round_id))
                live.update(_picture(detail, roles, lately))
                if detail.outcomes:
                    return detail
                if time.monotonic() > deadline:
                    raise MachineFault("the round has no result after four minutes; this machine is very busy")
                await asyncio.sleep(LOOK_SECONDS)
    finally:
        listening.cancel()
        await asyncio.wait([listening])


async def _listen(steward: Client, round_id: bytes, lately: deque[str], console: Console) -> None:
    began = time.monotonic()
    async for event in steward.watch_round(RoundOrder(round=round_id)):
        line = f"{time.monotonic() - began:5.1f} s  {getattr(event, 'text', '')}"
        lately.append(line)
        if not console.is_terminal:
            console.print(f"   {line}", highlight=False)


def _picture(detail: RoundDetail, roles: Mapping[bytes, str], lately: deque[str]) -> Group:
    summary = detail.summary
    left = max(0.0, (summary.phase_ends or 0) - time.time())  # noqa: TID251 - schedules are by the wall clock
    head = Text.assemble(
        ("   " + summary.phase, "bold cyan"), f"  {left:3.0f} s left   ", (PHASES.get(summary.phase, ""), "dim")
    )
    table = Table(box=None, padding=(0, 3, 0, 3))
    for column in ("node", "expert in", "its contribution"):
        table.add_column(column, style="bold" if column == "node" else "")
    for entry in detail.entries:
        table.add_row(entry.author.name, roles.get(entry.author.point, entry.domain), entry.state.value)
    hidden = detail.commitments - len(detail.entries)
    if hidden > 0:
        table.add_row(f"{hidden} more", "", "committed, still hidden", style="dim")
    return Group(head, table, Text("\n".join(f"   {line}" for line in lately), style="dim"))
