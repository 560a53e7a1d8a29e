import asyncio

import pytest

from protocol.exchange.clock import HandClock, LoopClock, within
from tests.protocol.exchange.loop import on_loop


@on_loop
async def test_sleepers_wake_in_order_of_their_time_and_ties_in_order_of_arrival() -> None:
    clock, woken = HandClock(100), list[tuple[str, float]]()

    async def sleeper(name: str, seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append((name, clock.now()))

    async with asyncio.TaskGroup() as group:
        for name, seconds in [("late", 3), ("early", 1), ("tie", 1), ("last", 9)]:
            group.create_task(sleeper(name, seconds))
        await clock.advance(3)
        assert woken == [("early", 101), ("tie", 101), ("late", 103)]
        assert clock.now() == 103
        await clock.advance(6)
    assert woken[-1] == ("last", 109)


@on_loop
async def test_what_a_sleeper_starts_can_be_due_in_the_same_step() -> None:
    clock, ticks = HandClock(), list[float]()

    async def ticking() -> None:
        for _ in range(5):
            await clock.sleep(1)
            ticks.append(clock.now())

    task = asyncio.create_task(ticking())
    await clock.advance(10)
    await task
    assert ticks == [1, 2, 3, 4, 5]
    assert clock.now() == 10


@on_loop
async def test_finish_moves_time_only_as_far_as_the_work_needs() -> None:
    clock = HandClock()
    forever = asyncio.create_task(clock.sleep(10_000))
    await clock.finish(clock.sleep(42))
    assert clock.now() == 42
    forever.cancel()


@on_loop
async def test_finish_tells_when_work_can_never_end() -> None:
    clock = HandClock()
    with pytest.raises(TimeoutError, match="by hand"):
        await clock.finish(asyncio.Event().wait(), within=5)
    with pytest.raises(TimeoutError, match="by hand"):
        await clock.finish(clock.sleep(6), within=5)


@on_loop
async def test_a_cancelled_sleeper_is_forgotten() -> None:
    clock = HandClock()
    task = asyncio.create_task(clock.sleep(5))
    await clock.settle()
    task.cancel()
    await clock.settle()
    assert clock.next_due() is None


@on_loop
async def test_within_returns_what_is_ready_in_time_and_cancels_what_is_not() -> None:
    clock, cancelled = HandClock(), asyncio.Event()

    async def never() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    async def answer() -> int:
        await clock.sleep(2)
        return 7

    assert await clock.finish(within(clock, 3, answer())) == 7
    assert clock.next_due() is None, "the alarm is off"
    with pytest.raises(TimeoutError):
        await clock.finish(within(clock, 3, never()))
    assert cancelled.is_set()


@on_loop
async def test_within_cancelled_leaves_nothing_behind() -> None:
    clock = HandClock()
    task = asyncio.create_task(within(clock, 3, clock.sleep(1)))
    await clock.settle()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert clock.next_due() is None


@on_loop
async def test_the_real_clock_is_that_of_the_loop() -> None:
    clock = LoopClock()
    before = clock.now()
    await clock.sleep(0)
    assert before <= clock.now() <= asyncio.get_running_loop().time()
