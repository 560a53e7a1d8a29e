"""The direct road between real servers and clients on loopback; attacks on who is who are in ``test_grpc_attacks``."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager

import grpc
import grpc.aio
import pytest

from protocol.blobs.chunks import CHUNK_BYTES
from protocol.envelope import MAX_ENVELOPE_BYTES
from protocol.errors import (
    EnvironmentFault,
    MalformedError,
    PeerError,
    TooLargeError,
    TooOldError,
    UnavailableError,
)
from protocol.exchange.clock import LoopClock
from protocol.exchange.pieces import PIECE_BYTES, Piece
from protocol.exchange.requests import ChunksRequest, RecordsRequest
from protocol.exchange.server import Server
from protocol.exchange.shelf import MemoryShelf
from protocol.roads.grpc import messages
from protocol.roads.grpc.road import GrpcPeer, GrpcRoad
from protocol.roads.grpc.server import GrpcServer
from protocol.roads.grpc.status import error_of
from tests.protocol.exchange.loop import on_loop, soon
from tests.protocol.keys import key
from tests.protocol.roads.wire import NOW, Answer, asked, channel_to, honest, lying, serving

SERVER, CLIENT = key(21), key(22)
BLOB = b"b" * 32
DATA = bytes(range(256)) * (CHUNK_BYTES // 256) * 8

Context = grpc.aio.ServicerContext[bytes, bytes]


@asynccontextmanager
async def peer_of(answer: Answer, stall_seconds: float = 5.0) -> AsyncGenerator[GrpcPeer, None]:
    """A peer that holds its key but answers as it likes."""
    async with lying(honest(SERVER), answer) as port, connected(port, stall_seconds) as peer:
        yield peer


@asynccontextmanager
async def connected(port: int, stall_seconds: float = 5.0) -> AsyncGenerator[GrpcPeer, None]:
    """CLIENT's view of SERVER."""
    async with await GrpcRoad(CLIENT, NOW, stall_seconds).connect(f"127.0.0.1:{port}", SERVER.public) as peer:
        yield peer


def sends(*answers: bytes) -> Answer:
    """A server that sends just this."""

    async def answer(_: bytes, context: Context) -> None:
        for one in answers:
            await context.write(one)

    return answer


async def chunks_of(peer: GrpcPeer, *indices: int) -> list[tuple[int, bytes]]:
    return [chunk async for chunk in peer.chunks(BLOB, indices)]


@pytest.mark.must("EXC-4")
@pytest.mark.parametrize(
    "answers",
    [
        [messages.write_record(b"one"), messages.write_record(b"two")],
        [messages.write_record(b"")],
        [messages.write_record(bytes(MAX_ENVELOPE_BYTES + 1))],
        [b"\xff"],
        [messages.write_record(b"one") + b"\x10\x01"],
    ],
    ids=["more-than-asked-for", "empty", "too-large", "nonsense", "unknown-field"],
)
@on_loop
async def test_records_other_than_asked_for_are_refused(answers: list[bytes]) -> None:
    async with peer_of(sends(*answers)) as peer:
        with pytest.raises(MalformedError):
            await peer.records([BLOB])


@pytest.mark.must("EXC-7")
@on_loop
async def test_pieces_out_of_place_are_refused_at_once() -> None:
    asked_on = asyncio.Event()

    async def answer(_: bytes, context: Context) -> None:
        await context.write(messages.write_piece(Piece(1, 4, b"late")))
        await asked_on.wait()

    async with peer_of(answer) as peer:
        with pytest.raises(MalformedError):
            await chunks_of(peer, 0, 1)
        asked_on.set()


@pytest.mark.must("EXC-8")
@on_loop
async def test_a_stream_that_ends_early_gives_only_what_was_whole() -> None:
    whole = [
        messages.write_piece(Piece(0, 4, b"good")),
        messages.write_piece(Piece(1, CHUNK_BYTES, bytes(PIECE_BYTES))),
    ]
    async with peer_of(sends(*whole)) as peer:
        assert await chunks_of(peer, 0, 1, 2) == [(0, b"good")]
    async with peer_of(sends(messages.write_chunk_list_part((CHUNK_BYTES + 1).to_bytes(8, "little")))) as peer:
        with pytest.raises(UnavailableError, match="before its end"):
            await peer.chunk_list(BLOB)


@pytest.mark.must("EXC-9")
@on_loop
async def test_a_peer_that_falls_silent_is_given_up_and_its_call_ended() -> None:
    ended = asyncio.Event()

    async def answer(_: bytes, context: Context) -> None:
        await context.write(messages.write_piece(Piece(0, CHUNK_BYTES, bytes(PIECE_BYTES))))
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with peer_of(answer, stall_seconds=0.1) as peer:
        with pytest.raises(UnavailableError, match="nothing for"):
            await chunks_of(peer, 0)
        await asyncio.wait_for(ended.wait(), 5)


@pytest.mark.must("EXC-21")
@on_loop
async def test_a_message_beyond_the_limit_is_refused_unread() -> None:
    async with peer_of(sends(messages.write_piece(Piece(0, CHUNK_BYTES, bytes(4 * PIECE_BYTES))))) as peer:
        with pytest.raises(TooLargeError):
            await chunks_of(peer, 0)


@pytest.mark.must("EXC-22")
@on_loop
async def test_a_compressed_answer_is_not_unpacked() -> None:
    answer = sends(messages.write_piece(Piece(0, 4096, bytes(4096))))
    for compression, refused in [(None, False), (grpc.Compression.Gzip, True)]:
        async with lying(honest(SERVER), answer, compression) as port, connected(port) as peer:
            if refused:
                with pytest.raises(PeerError):
                    await chunks_of(peer, 0)
            else:
                assert await chunks_of(peer, 0) == [(0, bytes(4096))]


@pytest.mark.must("EXC-22")
@on_loop
async def test_a_compressed_request_is_not_unpacked() -> None:
    request = messages.write_records_request(RecordsRequest(tuple(bytes([n]) * 32 for n in range(100))))
    async with serving(SERVER, MemoryShelf()) as (server, _):
        async with channel_to(server, honest(CLIENT)) as channel:
            assert await asked(channel, "Records", request) == []
        async with channel_to(server, honest(CLIENT), grpc.Compression.Gzip) as channel:
            with pytest.raises(grpc.aio.AioRpcError):
                await asked(channel, "Records", request)


@pytest.mark.must("EXC-1", "EXC-2", "EXC-21")
@pytest.mark.parametrize(
    ("method", "request_bytes"),
    [
        ("Records", b""),
        ("Records", b"\xff\xff"),
        ("Records", b"\x0a\x20" + BLOB + b"\x10\x01"),
        ("Records", b"\x0a\x03abc"),
        ("Records", b"\x0a\x20" + BLOB + b"\x0a\x20" + BLOB),
        ("Records", bytes(messages.MAX_REQUEST_BYTES + 1)),
        ("ChunkList", b"\x0a\x03abc"),
        ("Chunks", b"\x0a\x20" + BLOB),
        ("Chunks", b"\x0a\x20" + BLOB + b"\x12\x02\x01\x00"),
    ],
    ids=[
        "nothing",
        "nonsense",
        "unknown-field",
        "short-id",
        "twice",
        "too-large",
        "short-blob",
        "no-chunk",
        "descending",
    ],
)
@on_loop
async def test_a_wrong_request_is_refused(method: str, request_bytes: bytes) -> None:
    async with serving(SERVER, MemoryShelf()) as (server, budget), channel_to(server, honest(CLIENT)) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await asked(channel, method, request_bytes)
        assert refused.value.code() in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.RESOURCE_EXHAUSTED)
        assert budget.remembered == 0


@pytest.mark.must("EXC-23")
@on_loop
async def test_a_peer_of_another_version_is_told_apart() -> None:
    async with serving(SERVER, MemoryShelf()) as (server, _), channel_to(server, honest(CLIENT)) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await asked(channel, "Telepathy", b"")
    assert isinstance(error_of(refused.value.code(), "", (), "x"), TooOldError)


class Endless(MemoryShelf):
    """Has every chunk of every blob."""

    def __init__(self) -> None:
        super().__init__()
        self.chunk = bytes(CHUNK_BYTES)
        self.read = 0

    async def read_chunk(self, blob_id: bytes, index: int) -> bytes | None:
        self.read += 1
        return self.chunk


@pytest.mark.must("EXC-24")
@on_loop
async def test_a_peer_that_stops_reading_is_let_go() -> None:
    shelf = Endless()
    request = messages.write_chunks_request(ChunksRequest(BLOB, tuple(range(64))))
    async with (
        serving(SERVER, shelf, send_seconds=0.1) as (server, budget),
        channel_to(server, honest(CLIENT)) as channel,
    ):
        ask: grpc.aio.UnaryStreamMultiCallable[bytes, bytes] = channel.unary_stream(messages.path("Chunks"))
        call = ask(request)
        await call.read()
        assert budget.open_streams == 1
        await soon(lambda: budget.open_streams == 0)
        assert shelf.read < 64, "not all of it fitted into buffers"
        call.cancel()


@pytest.mark.must("EXC-12")
@on_loop
async def test_leaving_a_transfer_ends_it_on_the_other_side() -> None:
    shelf = MemoryShelf()
    blob = shelf.put_blob(DATA)
    async with serving(SERVER, shelf) as (server, budget), connected(server.address.port) as peer:
        async with aclosing(peer.chunks(blob.id, range(8))) as chunks:
            await anext(chunks)
        await soon(lambda: budget.open_streams == 0)


@pytest.mark.must("EXC-9")
@on_loop
async def test_a_server_that_ends_in_the_middle_is_unavailable() -> None:
    shelf = MemoryShelf()
    blob = shelf.put_blob(DATA)
    async with serving(SERVER, shelf) as (server, _), connected(server.address.port) as peer:
        async with aclosing(peer.chunks(blob.id, range(8))) as chunks:
            await anext(chunks)
            await server.close()
            with pytest.raises(UnavailableError):
                async for _ in chunks:
                    pass
        with pytest.raises(UnavailableError):
            await peer.records([BLOB])


@on_loop
async def test_many_transfers_share_one_connection() -> None:
    shelf = MemoryShelf()
    blob = shelf.put_blob(DATA)
    async with serving(SERVER, shelf) as (server, _), connected(server.address.port) as peer:

        async def get(index: int) -> bytes:
            return b"".join([chunk async for _, chunk in peer.chunks(blob.id, [index])])

        assert b"".join(await asyncio.gather(*(get(index) for index in range(8)))) == DATA


@on_loop
async def test_a_port_in_use_is_this_machines_fault_and_said_plainly() -> None:
    async with serving(SERVER, MemoryShelf()) as (server, budget):
        other = Server(MemoryShelf(), budget, LoopClock())
        with pytest.raises(EnvironmentFault, match="another program"):
            await GrpcServer.start(SERVER, other, NOW, host="127.0.0.1", port=server.address.port)


@on_loop
async def test_a_proxy_for_the_web_is_not_asked_to_reach_a_peer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    async with serving(SERVER, MemoryShelf()) as (server, _), connected(server.address.port) as peer:
        assert await peer.records([BLOB]) == []
