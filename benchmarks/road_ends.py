"""The two processes of ``benchmarks.roads``: ``python -m benchmarks.road_ends serve|fetch WAY FOLDER [PORT]``."""

import asyncio
import json
import os
import resource
import shutil
import socket
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack, aclosing
from datetime import UTC, datetime
from pathlib import Path

from protocol.blobs.chunks import CHUNK_BYTES, ChunkList
from protocol.blobs.store import Store
from protocol.exchange.budget import Budget, Limits
from protocol.exchange.clock import LoopClock
from protocol.exchange.requests import MAX_CHUNKS_PER_REQUEST
from protocol.exchange.server import Server
from protocol.identity import Key
from protocol.roads.grpc.road import GrpcPeer, GrpcRoad
from protocol.roads.grpc.server import GrpcServer

Report = dict[str, float]
Take = Callable[[int, bytes], Awaitable[None]]
Read = Callable[[int], Awaitable[bytes | None]]


class OneBlob:
    """A shelf with one blob and nothing else, whose chunks come from where ``read`` gets them."""

    def __init__(self, chunks: ChunkList, read: Read) -> None:
        self._chunks, self._read = chunks, read

    async def record(self, record_id: bytes) -> bytes | None:  # noqa: ARG002 (none are served here)
        """No records."""
        return None

    async def chunk_list(self, blob_id: bytes) -> ChunkList | None:
        """The blob's."""
        return self._chunks if blob_id == self._chunks.id else None

    async def read_chunk(self, blob_id: bytes, index: int) -> bytes | None:  # noqa: ARG002 (there is one)
        """Verified or not."""
        return await self._read(index)


def main() -> None:
    """Be one of the two."""
    part, way, folder, *port = sys.argv[1:]
    if part == "serve":
        serve(way, Path(folder))
    else:
        fetch(way, Path(folder), int(port[0]))


def read_list(folder: Path) -> ChunkList:
    """What ``make_blob`` wrote."""
    return ChunkList.parse((folder / "chunks").read_bytes(), (folder / "id").read_bytes())


def cost() -> Report:
    """Of this process until now."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {"cpu": used.ru_utime + used.ru_stime, "mib": used.ru_maxrss / 1024}


def serve(way: str, folder: Path) -> None:
    """Print the port, serve until stdin ends, print what it cost. Preparations do not count."""
    if way == "socket":
        serve_socket(folder)
    else:
        asyncio.run(serve_grpc(way, folder))


def serve_socket(folder: Path) -> None:
    """The blob to whoever connects, once."""
    with socket.create_server(("127.0.0.1", 0)) as listening, (folder / "blob").open("rb") as blob:
        print(listening.getsockname()[1], flush=True)
        connection, _ = listening.accept()
        before = cost()
        with connection:
            connection.sendfile(blob)
    finish(before)


async def serve_grpc(way: str, folder: Path) -> None:
    """The blob to whoever asks."""
    chunks, clock = read_list(folder), LoopClock()
    with ExitStack() as stack:
        if way == "stored":
            store = stack.enter_context(full_store(folder, chunks))
            shelf = OneBlob(chunks, lambda index: store.read_chunk(chunks.id, index))
        else:
            shelf = OneBlob(chunks, reading(folder / "blob", chunks, verifies=way == "hashed"))
        server = Server(shelf, Budget(Limits(), clock.now()), clock)
        running = await GrpcServer.start(Key.generate(), server, datetime.now(UTC).timestamp(), host="127.0.0.1")
        print(running.address.port, flush=True)
        before = cost()
        await asyncio.to_thread(sys.stdin.read)
        await running.close()
    finish(before)


def reading(blob: Path, chunks: ChunkList, verifies: bool) -> Read:
    """Chunks from a file, that is from the page cache."""
    fd = os.open(blob, os.O_RDONLY)

    async def read(index: int) -> bytes:
        chunk = os.pread(fd, CHUNK_BYTES, index * CHUNK_BYTES)
        if verifies:
            chunks.check(index, chunk)
        return chunk

    return read


def full_store(folder: Path, chunks: ChunkList) -> Store:
    """A store with the blob in it; made once."""
    place = folder / "full"
    store = Store(place, 2 * chunks.size + CHUNK_BYTES)
    store.open(chunks, "benchmark")
    with (folder / "blob").open("rb") as blob:
        for missing in store.missing(chunks.id):
            for index in missing:
                blob.seek(index * CHUNK_BYTES)
                store.put_chunk(chunks.id, index, blob.read(CHUNK_BYTES))
    return store


def fetch(way: str, folder: Path, port: int) -> None:
    """Get the blob once and print what it cost."""
    if way == "socket":
        fetch_socket(folder, port)
    else:
        asyncio.run(fetch_grpc(way, folder, port))


def fetch_socket(folder: Path, port: int) -> None:
    """Into one buffer, over and over."""
    size, got, buffer = (folder / "blob").stat().st_size, 0, bytearray(CHUNK_BYTES)
    before, start = cost(), time.perf_counter()
    with socket.create_connection(("127.0.0.1", port)) as connection:
        while count := connection.recv_into(buffer):
            got += count
    check_whole(got, size)
    finish(before, time.perf_counter() - start)


async def fetch_grpc(way: str, folder: Path, port: int) -> None:
    """Request after request on one connection, connecting included."""
    chunks, target = read_list(folder), folder / "fetched"
    shutil.rmtree(target, ignore_errors=True)
    with ExitStack() as stack:
        take: Take = dropping
        if way == "hashed":
            take = checking(chunks)
        elif way == "stored":
            take = storing(chunks, stack.enter_context(Store(target, 2 * chunks.size + CHUNK_BYTES)))
        before, start = cost(), time.perf_counter()
        peer = await GrpcRoad(Key.generate(), datetime.now(UTC).timestamp()).connect(f"127.0.0.1:{port}", None)
        await fetch_all(peer, chunks, take)
        await peer.close()
        wall = time.perf_counter() - start
    shutil.rmtree(target, ignore_errors=True)
    finish(before, wall)


async def fetch_all(peer: GrpcPeer, chunks: ChunkList, take: Take) -> None:
    """Every chunk, in order."""
    count = len(chunks.digests)
    got = 0
    for start in range(0, count, MAX_CHUNKS_PER_REQUEST):
        indices = range(start, min(start + MAX_CHUNKS_PER_REQUEST, count))
        async with aclosing(peer.chunks(chunks.id, indices)) as arriving:
            async for index, chunk in arriving:
                await take(index, chunk)
                got += len(chunk)
    check_whole(got, chunks.size)


def check_whole(got: int, size: int) -> None:
    """A transfer that lost something measured nothing."""
    if got != size:
        raise RuntimeError(f"{got} bytes of {size} arrived")


async def dropping(index: int, chunk: bytes) -> None:
    """Nothing."""


def checking(chunks: ChunkList) -> Take:
    """Verify what arrives."""

    async def take(index: int, chunk: bytes) -> None:
        chunks.check(index, chunk)

    return take


def storing(chunks: ChunkList, store: Store) -> Take:
    """Verify and keep what arrives."""
    store.open(chunks, "benchmark")

    async def take(index: int, chunk: bytes) -> None:
        await store.off_loop(store.put_chunk, chunks.id, index, chunk)

    return take


def finish(before: Report, wall: float = 0.0) -> None:
    """Print what it cost since ``before``."""
    after = cost()
    print(json.dumps({"wall": wall, "cpu": after["cpu"] - before["cpu"], "mib": after["mib"]}), flush=True)


if __name__ == "__main__":
    main()
