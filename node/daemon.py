"""The composition root: everything that a running node is made of, started in order and ended in reverse.

One process, one event loop, one TaskGroup. What others see of this node is its swarm node, its two servers and its
control socket; what it remembers is the database and the store. It never imports torch: that is for child processes.
"""

import asyncio
import logging
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from time import time as unix_time  # noqa: TID251  # the one clock of the program; others are given the time

from protocol.roads.grpc.road import GrpcRoad  # isort: skip  # before other users of grpc
from node.config import Config
from node.control.server import ControlServer, Remote
from node.control.socket_file import SocketFile
from node.database import Database
from node.diary import Diary
from node.errors import UserError
from node.home import Home
from node.peers import Peers
from node.rounds.followed import Rounds
from node.service.node import PAUSED, LocalNode
from node.services import Services
from node.shelf import NodeShelf
from protocol.blobs.folder import FolderSource
from protocol.blobs.source import Library
from protocol.blobs.store import Store
from protocol.errors import ProtocolError
from protocol.exchange.budget import Budget, Limits, Rate
from protocol.exchange.clock import LoopClock
from protocol.exchange.server import Server
from protocol.identity import Key
from protocol.identity.keyfile import load as load_key
from protocol.roads.grpc.address import Address
from protocol.roads.grpc.server import GrpcServer
from protocol.roads.libp2p import Libp2pRoad
from protocol.roads.libp2p_server import Libp2pServer
from protocol.swarm.config import Config as SwarmConfig
from protocol.swarm.node import Swarm

_log = logging.getLogger(__name__)

UPLOAD_BURST_SECONDS = 2.0
"""How much of a limited upload may go at once after a rest."""


def run(home: Home, config: Config) -> None:
    """Run a node until it is told to stop, by a signal or an order."""
    asyncio.run(_run(home, config))


async def _run(home: Home, config: Config) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    async with running(home, config, stopping):
        await stopping.wait()
        _log.info("stopping")


@asynccontextmanager
async def running(home: Home, config: Config, stopping: asyncio.Event) -> AsyncIterator[LocalNode]:
    """A node, for as long as the block lasts."""
    async with AsyncExitStack() as stack:
        socket = stack.enter_context(SocketFile.claim(home.socket))
        diary = Diary.begin(home.log)
        stack.callback(diary.close)
        key = load_key(home.key)
        database = Database(home.database)
        stack.callback(database.close)
        store = Store(home.store, config.storage.quota)
        stack.callback(store.close)
        library = Library(store)
        swarm = await Swarm.start(_swarm(config, key))
        stack.push_async_callback(swarm.close)
        peers = Peers(GrpcRoad(key, unix_time()), Libp2pRoad(lambda: swarm.p2p), unix_time)
        stack.push_async_callback(peers.close)
        services = Services(
            home=home,
            config=config,
            key=key,
            database=database,
            store=store,
            library=library,
            peers=peers,
            directory=swarm,
            address=config.network.exchange_announce,
            clock=unix_time,
            paused=database.fact(PAUSED) == "yes",
        )
        group = await stack.enter_async_context(asyncio.TaskGroup())
        rounds = Rounds(services, group)
        stack.push_async_callback(rounds.close)
        server = Server(NodeShelf(database, library, rounds.page), _budget(config), LoopClock())
        direct = await _direct(config, key, server)
        if direct is not None:
            stack.push_async_callback(direct.close)
            services.address = config.network.exchange_announce or _visible(direct.address)
        behind = await Libp2pServer.start(lambda: swarm.p2p, key.public, server)
        stack.push_async_callback(behind.close)
        node = LocalNode(services, rounds, diary, lambda: swarm.addresses, stopping)
        control = await ControlServer.start(node, socket, Remote.of(config.control, key, unix_time()))
        stack.push_async_callback(control.close)
        await rounds.resume()
        serving = group.create_task(_serve_folders(database, library))  # hashes them, which takes long
        stack.callback(serving.cancel)
        for address, why in swarm.troubles.items():
            _log.warning("the bootstrap address %s does not work: %s", address, why)
        _log.info("%s is running; others reach it at %s", key.public.name, ", ".join(swarm.addresses) or "no address")
        yield node


def _swarm(config: Config, key: Key) -> SwarmConfig:
    network = config.network
    return SwarmConfig(
        key=key,
        listen=network.listen,
        announce=network.announce,
        bootstrap=network.bootstrap,
        relays=network.relays,
        client=network.client,
        relay=network.relay,
        nat=network.nat,
        clock=unix_time,
    )


def _budget(config: Config) -> Budget:
    upload = config.limits.upload
    limits = Limits(upload=Rate(upload, upload * UPLOAD_BURST_SECONDS)) if upload else Limits()
    return Budget(limits, 0.0)


async def _direct(config: Config, key: Key, server: Server) -> GrpcServer | None:
    if not config.network.exchange_listen:
        return None
    try:
        host, _, port = config.network.exchange_listen.rpartition(":")
        where = Address.parse(f"{host}:{port if port != '0' else '1'}")
    except ProtocolError as error:
        raise UserError(f"network.exchange_listen: {error}") from None
    return await GrpcServer.start(key, server, unix_time(), host=where.host, port=int(port))


def _visible(address: Address) -> str:
    """What others may be told of where we listen: nothing, when that is every address of this machine."""
    return "" if address.host in ("0.0.0.0", "::") else str(address)  # noqa: S104


async def _serve_folders(database: Database, library: Library) -> None:
    """Offer again what was offered before; what has changed or gone is forgotten with a word in the log."""
    for manifest_id, (folder, about) in database.folders().items():
        try:
            source = await asyncio.to_thread(FolderSource, folder, about)
        except ProtocolError as error:
            _log.warning("no longer served: %s", error)
            continue
        if source.manifest.id == manifest_id:
            library.add(source)
        else:
            _log.warning("%s has changed and is no longer served as %s", folder, manifest_id.hex())
