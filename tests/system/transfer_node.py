"""A serving and a fetching process for the tests and benchmarks of transfers: ``python -m tests.system.transfer_node``.

``serve`` prints its address and serves a model folder until its input ends; ``fetch`` brings a manifest and everything
it names into a store and prints its events, one line of JSON each; ``drain`` only receives chunks and forgets them, to
see what a road can do. All print the most memory and the CPU time that they used at last.
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack, aclosing, asynccontextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from protocol.blobs.chunks import CHUNK_BYTES, ChunkList
from protocol.blobs.folder import FolderSource
from protocol.blobs.store import Store
from protocol.errors import ProtocolError
from protocol.exchange.budget import UNLIMITED, Budget, Limits, Rate
from protocol.exchange.clock import LoopClock
from protocol.exchange.download import fetch, fetch_manifest
from protocol.exchange.interface import Peer, Road, Shelf
from protocol.exchange.progress import Event, quiet
from protocol.exchange.scores import MAX_REQUEST_CHUNKS
from protocol.exchange.server import Server
from protocol.roads.grpc.road import GrpcRoad
from protocol.roads.grpc.server import GrpcServer
from protocol.roads.mirrors import MirrorRoad
from tests.protocol.keys import key

NOW = datetime.now(UTC).timestamp()
"""Unix seconds; certificates are made around it."""


class FolderShelf:
    """A model folder, served well or, with ``lies``, with a bit of every chunk of a tensor turned over."""

    def __init__(self, source: FolderSource, lies: bool) -> None:
        self._source = source
        self._lies = lies

    async def record(self, record_id: bytes) -> bytes | None:
        return None

    async def chunk_list(self, blob_id: bytes) -> ChunkList | None:
        return await self._source.chunk_list(blob_id)

    async def read_chunk(self, blob_id: bytes, index: int) -> bytes | None:
        data = await self._source.read_chunk(blob_id, index)
        if data is None or not self._lies or blob_id == self._source.manifest.id:
            return data
        return data[:-1] + bytes([data[-1] ^ 1])


class SameShelf:
    """The same chunk for every question: a server that has nothing to do but send."""

    def __init__(self) -> None:
        self._chunk = bytes(range(256)) * (CHUNK_BYTES // 256)

    async def record(self, record_id: bytes) -> bytes | None:
        return None

    async def chunk_list(self, blob_id: bytes) -> ChunkList | None:
        return None

    async def read_chunk(self, blob_id: bytes, index: int) -> bytes | None:
        return self._chunk


def say(what: dict[str, Any]) -> None:
    """One line that the parent process reads at once."""
    print(json.dumps(what), flush=True)  # noqa: T201


def peak_bytes() -> int:
    """The most memory this process had. (``ru_maxrss`` begins with that of the process that forked.)"""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def used() -> dict[str, float]:
    """What this process has used until now."""
    return {"peak": peak_bytes(), "cpu": time.process_time()}


async def serve(options: argparse.Namespace) -> None:
    with ExitStack() as held:
        about: dict[str, Any] = {}
        shelf: Shelf = SameShelf()
        if options.folder is not None:
            source = held.enter_context(FolderSource(options.folder))
            about = {"manifest": source.manifest.id.hex(), "root": source.manifest.root.hex()}
            shelf = FolderShelf(source, options.lies)
        await _serve(options, shelf, about)
    say(used())


async def _serve(options: argparse.Namespace, shelf: Shelf, about: dict[str, Any]) -> None:
    rate = Rate(options.rate, options.rate / 4) if options.rate else UNLIMITED
    plenty = Rate(10_000, 10_000)
    limits = Limits(requests_per_peer=plenty, requests=plenty, bytes_per_peer=rate)
    clock = LoopClock()
    answering = Server(shelf, Budget(limits, clock.now()), clock)
    async with AsyncExitStack() as stack:
        if options.road == "grpc":
            server = await GrpcServer.start(key(options.key), answering, NOW, host="127.0.0.1")
            stack.push_async_callback(server.close)
            address = str(server.address)
        else:
            address = await _serve_libp2p(options.key, answering, stack)
        say({"address": address, "cpu": time.process_time(), **about})
        await asyncio.to_thread(sys.stdin.read)


async def _serve_libp2p(number: int, answering: Server, stack: AsyncExitStack) -> str:
    from protocol.roads.libp2p_server import Libp2pServer

    daemon = await stack.enter_async_context(_p2pd(number))
    server = await Libp2pServer.start(lambda: daemon.p2p, key(number).public, answering)
    stack.push_async_callback(server.close)
    return f"{daemon.p2p._visible_maddrs[0]}/p2p/{key(number).public.peer_id}"


@asynccontextmanager
async def _p2pd(number: int) -> AsyncIterator[Any]:
    from protocol.swarm.config import LOOPBACK, Config
    from protocol.swarm.daemon import Daemon

    daemon = await Daemon.start(Config(key(number), clock=lambda: NOW, listen=LOOPBACK, nat=False))
    try:
        yield daemon
    finally:
        await daemon.stop()


async def bring(options: argparse.Namespace) -> None:
    loop = asyncio.get_running_loop()
    wanted = bytes.fromhex(options.manifest)
    async with AsyncExitStack() as stack:
        store = stack.enter_context(Store(options.store, options.quota))
        road = await _road(options.road, stack)
        peers: list[Peer] = []
        for number, address in (text.split("=", 1) for text in options.peers):
            peer = await road.connect(address, key(int(number)).public)
            stack.push_async_callback(peer.close)
            peers.append(peer)
        try:
            manifest = await fetch_manifest(wanted, store, peers, holder="test")
            mirrors = [await MirrorRoad(manifest, trusted=True).connect(address) for address in options.mirrors]
            for mirror in mirrors:
                stack.push_async_callback(mirror.close)
            began = loop.time()
            told = quiet if options.quiet else _told
            await fetch(manifest.blobs, store, peers, mirrors, progress=told, holder="test")
            say({"seconds": loop.time() - began, "bytes": manifest.total_bytes})
        except ProtocolError as error:
            say({"error": type(error).__name__, "message": str(error)})
    say(used())


async def drain(options: argparse.Namespace) -> None:
    loop = asyncio.get_running_loop()
    requests = iter(range(options.chunks // MAX_REQUEST_CHUNKS))

    async def take(peer: Peer) -> None:
        for _ in requests:
            async with aclosing(peer.chunks(bytes(32), range(MAX_REQUEST_CHUNKS))) as chunks:
                async for _ in chunks:
                    pass

    async with AsyncExitStack() as stack:
        road = await _road(options.road, stack)
        number, address = options.peer.split("=", 1)
        peer = await road.connect(address, key(int(number)).public)
        stack.push_async_callback(peer.close)
        began = loop.time()
        await asyncio.gather(take(peer), take(peer))
        say({"seconds": loop.time() - began, "bytes": options.chunks * CHUNK_BYTES})
    say(used())


async def _road(kind: str, stack: AsyncExitStack) -> Road:
    if kind == "grpc":
        return GrpcRoad(key(99), NOW)
    from protocol.roads.libp2p import Libp2pRoad

    daemon = await stack.enter_async_context(_p2pd(99))
    return Libp2pRoad(lambda: daemon.p2p)


def _told(event: Event) -> None:
    shown = {name: value.hex() if isinstance(value, bytes) else value for name, value in asdict(event).items()}
    say({"event": type(event).__name__, **shown})


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--road", choices=["grpc", "libp2p"], default="grpc")
    commands = parser.add_subparsers(dest="command", required=True)
    serving = commands.add_parser("serve")
    serving.add_argument("--folder", type=Path, help="without it: the same chunk for every question")
    serving.add_argument("--key", type=int, required=True)
    serving.add_argument("--rate", type=float, default=0.0, help="bytes per second for each peer")
    serving.add_argument("--lies", action="store_true")
    fetching = commands.add_parser("fetch")
    fetching.add_argument("--store", type=Path, required=True)
    fetching.add_argument("--quota", type=int, default=1 << 40)
    fetching.add_argument("--manifest", required=True)
    fetching.add_argument("--peers", nargs="*", default=[], help="key=address")
    fetching.add_argument("--mirrors", nargs="*", default=[])
    fetching.add_argument("--quiet", action="store_true")
    draining = commands.add_parser("drain")
    draining.add_argument("--peer", required=True, help="key=address")
    draining.add_argument("--chunks", type=int, required=True)
    options = parser.parse_args()
    asyncio.run({"serve": serve, "fetch": bring, "drain": drain}[options.command](options))


if __name__ == "__main__":
    main()
