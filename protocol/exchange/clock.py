"""Time as the exchange knows it: a clock that is handed in, so that a test can move it by hand.

Seconds only go forward and mean nothing outside of this process: schedules and expiries of records are measured with
a ``now`` that their caller passes in.
"""

import asyncio
import heapq
from collections.abc import Awaitable
from itertools import count
from typing import Protocol, TypeVar

Result = TypeVar("Result")

MAX_TURNS = 100_000
"""Turns of the event loop that everyone gets to react before :class:`HandClock` moves on. Who is busy for longer turns
in circles."""

BLIND_TURNS = 256
"""The same where the loop does not show whether anything can run: those of asyncio do, uvloop's does not."""


class Clock(Protocol):
    """What waits and what measures waiting."""

    def now(self) -> float:
        """Seconds since some moment."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after that long."""
        ...


class LoopClock:
    """The real one: that of the running event loop."""

    def now(self) -> float:
        """See :class:`Clock`."""
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        """See :class:`Clock`."""
        await asyncio.sleep(seconds)


class HandClock:
    """Stands still until :meth:`advance` moves it; then sleepers wake one after another, in order of their time."""

    def __init__(self, now: float = 0.0) -> None:
        self._now = now
        self._order = count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def now(self) -> float:
        """See :class:`Clock`."""
        return self._now

    async def sleep(self, seconds: float) -> None:
        """See :class:`Clock`. Sleeping for no time only lets others run."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        wake: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._now + seconds, next(self._order), wake))
        await wake

    async def advance(self, seconds: float) -> None:
        """Let that much time pass. What is due wakes at its own time, and what it starts can be due as well."""
        end = self._now + seconds
        await self.settle()
        while (due := self.next_due()) is not None and due <= end:
            self._now = due
            self._wake()
            await self.settle()
        self._now = end

    async def finish(self, work: Awaitable[Result], within: float = 3600.0) -> Result:
        """The result of ``work``, with time moved on whenever everything waits for it; at most ``within`` seconds."""
        task = asyncio.ensure_future(work)
        end = self._now + within
        await self.settle()
        while not task.done():
            due = self.next_due()
            if due is None or due > end:
                task.cancel()
                await asyncio.wait([task])
                raise TimeoutError(f"not finished after {within} seconds by hand: nothing else is due before that")
            await self.advance(due - self._now)
        return await task

    def next_due(self) -> float | None:
        """When the next sleeper wakes; None if nobody sleeps."""
        while self._sleepers and self._sleepers[0][2].done():
            heapq.heappop(self._sleepers)  # it was cancelled
        return self._sleepers[0][0] if self._sleepers else None

    async def settle(self) -> None:
        """Let everybody who can run without time passing do so. What runs in threads is not waited for."""
        ready = getattr(asyncio.get_running_loop(), "_ready", None)  # asyncio has no public word for "nothing to do"
        for _ in range(MAX_TURNS if ready is not None else BLIND_TURNS):
            await asyncio.sleep(0)
            if ready is not None and not ready:
                return

    def _wake(self) -> None:
        _, _, wake = heapq.heappop(self._sleepers)
        wake.set_result(None)


async def within(clock: Clock, seconds: float, work: Awaitable[Result]) -> Result:
    """The result of ``work``, or :class:`TimeoutError` when it takes longer; then ``work`` is cancelled."""
    task = asyncio.ensure_future(work)
    alarm = asyncio.ensure_future(clock.sleep(seconds))
    try:
        await asyncio.wait([task, alarm], return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise TimeoutError
        return task.result()
    finally:
        for one in (task, alarm):
            if not one.done():
                one.cancel()
        await asyncio.gather(task, alarm, return_exceptions=True)
