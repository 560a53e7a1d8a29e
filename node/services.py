"""What everything in a running node shares."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from node.config import Config
from node.database import Database
from node.home import Home
from node.peers import Peers
from protocol.blobs.source import Library
from protocol.blobs.store import Store
from protocol.identity import Key
from protocol.swarm.interface import Directory


@dataclass
class Services:
    """What rounds share."""

    home: Home
    config: Config
    key: Key
    database: Database
    store: Store
    library: Library
    peers: Peers
    directory: Directory
    address: str
    """Of our direct road, as others reach it."""
    clock: Callable[[], float]
    """Unix seconds."""
    heavy: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))
    paused: bool = False
