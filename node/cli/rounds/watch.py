"""``umm round watch``: a round as it happens. A picture on a terminal, lines elsewhere."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import aclosing

import click

from node.cli.asking import ask, round_id
from node.cli.plain import plain
from node.cli.screen import Screen, printable
from node.cli.times import stamp
from node.cli.verb import verb
from node.control.client import Client
from node.control.orders import RoundOrder, ShowRoundOrder
from node.control.progress import Progress
from node.control.views import Event, RoundDetail

SECOND = 1.0

EVENTS_SHOWN = 8
"""Below the tables."""

STALE_SECONDS = 10.0
"""After which the round is looked at again though nothing was heard."""


@verb(
    "watch",
    help="See a round happen, until Ctrl-C: its phase and what is left of it, the contributions, what the stewards "
    "say. With --json, or where nobody looks, each event is a line.",
)
@click.argument("round", metavar="ROUND")
def command(screen: Screen, round: str) -> None:  # noqa: A002 - its name on the command line
    """Watch until it ends or somebody has seen enough."""

    async def watch(client: Client) -> None:
        order = RoundOrder(round=await round_id(client, round))
        async with aclosing(client.watch_round(order)) as happening:
            if screen.live:
                await _Picture(client, order.round).show(happening)
            else:
                await _lines(screen, happening)

    ask(watch)


async def _lines(screen: Screen, happening: AsyncGenerator[Event | Progress, None]) -> None:
    async for one in happening:
        screen.event(plain(one) | {"event": "progress" if isinstance(one, Progress) else one.what})
        if isinstance(one, Event):
            screen.say(line(one))


def line(event: Event) -> str:
    """An event for people."""
    return f"{stamp(event.at)}  {printable(event.text)}"


class _Picture:
    """The round on a terminal, drawn anew when something happens and each second."""

    def __init__(self, client: Client, round_id: bytes) -> None:
        self._client, self._round = client, round_id
        self._events: deque[Event] = deque(maxlen=EVENTS_SHOWN)
        self._progress: Progress | None = None
        self._changed = True
        self._looked = 0.0
        self._detail: RoundDetail

    async def show(self, happening: AsyncGenerator[Event | Progress, None]) -> None:
        """Until the events end."""
        from rich.console import Console
        from rich.live import Live

        from node.cli.rounds.picture import picture

        console = Console()
        await self._look()
        listening = asyncio.ensure_future(self._listen(happening))
        try:
            with Live(console=console, auto_refresh=False, vertical_overflow="crop") as live:
                while not listening.done():
                    await self._look()
                    now = time.time()  # noqa: TID251 - spans are shown from now
                    live.update(picture(self._detail, self._events, self._progress, now, console.height), refresh=True)
                    await asyncio.wait([listening], timeout=SECOND)
            await listening
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)

    async def _listen(self, happening: AsyncGenerator[Event | Progress, None]) -> None:
        async for one in happening:
            if isinstance(one, Progress):
                self._progress = one
            else:
                self._events.append(one)
                self._progress = None
                self._changed = True

    async def _look(self) -> None:
        now = time.monotonic()
        if self._changed or now > self._looked + STALE_SECONDS:
            self._changed, self._looked = False, now
            self._detail = await self._client.show_round(ShowRoundOrder(round=self._round))
