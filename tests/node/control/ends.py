"""A node and somebody who gives it orders, in one process."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from node.control.client import Client
from node.control.interface import Node
from node.control.server import ControlServer, Remote
from node.control.socket_file import SocketFile


@asynccontextmanager
async def serving(node: Node, path: Path, remote: Remote | None = None) -> AsyncGenerator[ControlServer, None]:
    """A real server on a real socket."""
    with SocketFile.claim(path) as file:
        server = await ControlServer.start(node, file, remote)
        try:
            yield server
        finally:
            await server.close(0)


@asynccontextmanager
async def both(node: Node, folder: Path) -> AsyncGenerator[Client, None]:
    """A client of a server."""
    path = folder / "control.sock"
    async with serving(node, path), await Client.connect(path) as client:
        yield client
