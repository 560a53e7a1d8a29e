"""Tests that are coroutines, each in an event loop of its own."""

import asyncio
import functools
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, ParamSpec

Arguments = ParamSpec("Arguments")


def on_loop(test: Callable[Arguments, Coroutine[Any, Any, None]]) -> Callable[Arguments, None]:
    """A test that pytest can call."""

    @functools.wraps(test)
    def run(*args: Arguments.args, **kwargs: Arguments.kwargs) -> None:
        asyncio.run(test(*args, **kwargs))

    return run


async def soon(condition: Callable[[], bool], attempts: int = 200) -> None:
    """Until the condition holds; for what happens in other threads or on the other side of a socket."""
    for _ in range(attempts):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never came to pass")


async def each(*works: Awaitable[None]) -> None:
    """All of them at once."""
    await asyncio.gather(*works)
