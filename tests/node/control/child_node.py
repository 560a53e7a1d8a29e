"""``python -m tests.node.control.child_node SOCKET``: a node in a process of its own, to be killed."""

import asyncio
import sys
from pathlib import Path

from tests.node.control.ends import serving
from tests.node.control.memory_node import MemoryNode


async def main(path: Path) -> None:
    """Serve until somebody says stop; one line on standard output when orders are taken."""
    node = MemoryNode()
    async with serving(node, path):
        print("ready", flush=True)  # noqa: T201
        await node.stopped.wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
