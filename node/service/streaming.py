"""Work that calls back with its progress, as a stream of progress that ends with the work's answer."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import TypeVar

from node.control.progress import Progress
from protocol.exchange import progress as exchange

End = TypeVar("End")

Hear = Callable[[Progress], None]

MAX_WAITING = 64
"""Reports that nobody has read yet; the oldest is of no interest any more."""


async def streaming(work: Callable[[Hear], Awaitable[End]]) -> AsyncGenerator[Progress | End, None]:
    """Run ``work`` beside whoever reads. Leaving the stream ends the work."""
    reports: asyncio.Queue[Progress | None] = asyncio.Queue(maxsize=MAX_WAITING)

    def hear(progress: Progress | None) -> None:
        if reports.full():
            reports.get_nowait()
        reports.put_nowait(progress)

    task = asyncio.ensure_future(work(hear))
    task.add_done_callback(lambda _: hear(None))
    try:
        while (report := await reports.get()) is not None:
            yield report
        yield await task
    finally:
        task.cancel()
        await asyncio.wait([task])


def of_download(hear: Hear, what: str) -> exchange.Progress:
    """A download's events as progress in bytes."""

    def heard(event: exchange.Event) -> None:
        if isinstance(event, exchange.Started | exchange.Landed):
            hear(Progress(what=what, done=event.here_bytes, total=event.total_bytes, unit="B"))

    return heard


def of_job(hear: Hear) -> Callable[[str, int, int], None]:
    """A child process's reports as progress."""
    return lambda what, done, total: hear(Progress(what=what, done=done, total=total, unit="B"))
