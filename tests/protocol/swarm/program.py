"""``python -m tests.protocol.swarm.program BOOTSTRAP…``: a node in a process of its own, told what to do by lines.

It prints one JSON object at the start and one for each line that it reads: ``publish N`` pointers by N new keys,
``find``, ``join``, ``close``.
"""

import asyncio
import hashlib
import json
import sys
import time
from typing import Any

BEGAN = time.perf_counter()

from protocol.identity import Key  # noqa: E402
from protocol.swarm.node import Swarm  # noqa: E402
from tests.protocol.swarm.net import KIND, ROUND, loopback, pointer  # noqa: E402


def say(**what: Any) -> None:
    """One line."""
    print(json.dumps(what), flush=True)  # noqa: T201


async def obey(swarm: Swarm, command: str, argument: str) -> dict[str, Any]:
    """What came of it."""
    began = time.perf_counter()
    found: dict[str, Any] = {}
    if command == "publish":
        pointers = [pointer(Key.generate()) for _ in range(int(argument))]
        began = time.perf_counter()
        await swarm.publish(ROUND, *pointers)
    elif command == "find":
        authors = [p.author for p in await swarm.find(ROUND, KIND)]
        found = {"count": len(authors), "digest": hashlib.sha256(b"".join(authors)).hexdigest()}
    elif command == "join":
        found = {"joined": await swarm.join()}
    return {**found, "peers": len(swarm.peers), "refused": dict(swarm.refused), "seconds": time.perf_counter() - began}


async def main(*bootstrap: str) -> None:
    """Until ``close`` or the end of the input."""
    loop = asyncio.get_running_loop()
    swarm = await Swarm.start(loopback(Key.generate(), *bootstrap))
    say(
        seconds=time.perf_counter() - BEGAN,
        addresses=swarm.addresses,
        p2pd=swarm._daemon.pid,
        janitor=swarm._daemon._janitor.pid if swarm._daemon._janitor else None,
        folder=str(swarm._daemon.folder),
        heavy=sorted({"torch", "numpy", "scipy", "grpc"} & sys.modules.keys()),
    )
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while (line := (await reader.readline()).decode()) and not line.startswith("close"):
        command, _, argument = line.strip().partition(" ")
        say(**await obey(swarm, command, argument))
    began = time.perf_counter()
    await swarm.close()
    say(closed=True, seconds=time.perf_counter() - began)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
