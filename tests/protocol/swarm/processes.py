"""Nodes in processes of their own, and waiting for processes that are not ours to end."""

import asyncio
import json
import os
import select
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).parents[3]

SECONDS = 30
"""For one answer."""


class Program:
    """One running ``tests.protocol.swarm.program``."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.began: dict[str, Any] = {}

    @classmethod
    async def start(cls, *bootstrap: str) -> Self:
        """Until it takes part."""
        self = cls(await spawn(*bootstrap))
        self.began = await self.answer()
        return self

    async def answer(self) -> dict[str, Any]:
        """The next line that it prints."""
        assert self.process.stdout is not None
        async with asyncio.timeout(SECONDS):
            line = await self.process.stdout.readline()
        assert line, "the program ended"
        found: dict[str, Any] = json.loads(line)
        return found

    async def do(self, command: str) -> dict[str, Any]:
        """Tell it, and what it answers."""
        assert self.process.stdin is not None
        self.process.stdin.write(command.encode() + b"\n")
        return await self.answer()

    async def close(self) -> dict[str, Any]:
        """In its own time."""
        answer = await self.do("close")
        await self.process.communicate()
        return answer

    def kill(self) -> None:
        """At once."""
        self.process.kill()


async def spawn(*bootstrap: str) -> Process:
    """Only begun."""
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.protocol.swarm.program", *bootstrap, cwd=ROOT, stdin=PIPE, stdout=PIPE
    )


class Ends:
    """Somebody else's process, which may only end."""

    def __init__(self, pid: int) -> None:
        self._handle = os.pidfd_open(pid)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._handle)

    def within(self, seconds: float) -> bool:
        """Whether it did."""
        return bool(select.select([self._handle], [], [], seconds)[0])
