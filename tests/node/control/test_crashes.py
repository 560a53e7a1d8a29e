"""A node in a process of its own that is killed or hangs, and the one that comes after it."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from node.control.client import Client
from node.control.orders import LogOrder
from node.errors import UnreachableError, UserError
from tests.node.control.ends import serving
from tests.node.control.memory_node import MemoryNode
from tests.node.control.samples import LINES
from tests.protocol.exchange.loop import on_loop


@contextmanager
def child(path: Path) -> Iterator[subprocess.Popen[str]]:
    """A node that takes orders at ``path``."""
    command = [sys.executable, "-m", "tests.node.control.child_node", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


@on_loop
async def test_a_node_that_was_killed_can_be_started_again_at_once(folder: Path) -> None:
    path = folder / "s"
    with child(path) as process:
        async with await Client.connect(path) as client:
            with pytest.raises(UserError, match="running"):
                async with serving(MemoryNode(), path):
                    raise AssertionError("two nodes in one folder")
            lines = client.log(LogOrder(lines=1, follow=True))
            assert await anext(lines) == LINES[-1]
            process.send_signal(signal.SIGKILL)
            with pytest.raises(UnreachableError, match="umm node"):
                await anext(lines)
            process.wait()
    assert path.is_socket(), "the dead leave it behind"
    with pytest.raises(UnreachableError, match="not running"):
        await Client.connect(path)
    async with serving(MemoryNode(), path), await Client.connect(path) as client:
        await client.status()


@on_loop
async def test_a_node_that_is_told_to_stop_answers_and_cleans_up(folder: Path) -> None:
    with child(folder / "s") as process:
        async with await Client.connect(folder / "s") as client:
            await client.stop()
        assert process.wait(10) == 0
    assert list(folder.iterdir()) == []


@pytest.mark.slow
@on_loop
async def test_a_node_that_hangs_is_given_up(folder: Path) -> None:
    with child(folder / "s") as process:
        async with await Client.connect(folder / "s") as client:
            lines = client.log(LogOrder(lines=1, follow=True))
            assert await anext(lines) == LINES[-1]
            process.send_signal(signal.SIGSTOP)
            with pytest.raises(UnreachableError):
                await anext(lines)
            with pytest.raises(UnreachableError, match="does not answer"):
                await Client.connect(folder / "s")


@pytest.mark.slow
@on_loop
async def test_a_stream_that_is_silent_for_long_is_not_given_up(folder: Path) -> None:
    node = MemoryNode()
    async with serving(node, folder / "s"), await Client.connect(folder / "s") as client:
        lines = client.log(LogOrder(lines=1, follow=True))
        assert await anext(lines) == LINES[-1]
        silent = asyncio.create_task(anext(lines))
        done, _ = await asyncio.wait({silent}, timeout=60)
        assert not done
        silent.cancel()
        await asyncio.wait({silent})
