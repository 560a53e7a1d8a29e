import asyncio
from contextlib import aclosing

import pytest

from protocol.blobs.chunks import CHUNK_BYTES, ChunkList
from protocol.blobs.source import StoreDamage
from protocol.errors import BusyError, UnavailableError
from protocol.exchange.budget import Budget, Limits, Rate
from protocol.exchange.clock import HandClock
from protocol.exchange.pieces import PIECE_BYTES, Piece
from protocol.exchange.requests import ChunkListRequest, ChunksRequest, RecordsRequest
from protocol.exchange.server import GRACE_SECONDS, LOOKUP_BYTES, SLOWEST_BYTES_PER_SECOND, Server
from protocol.exchange.shelf import MemoryShelf
from tests.protocol.exchange.loop import on_loop

PEER = b"p" * 32
DATA = bytes(range(256)) * (CHUNK_BYTES // 256) + b"tail"


class Watched(MemoryShelf):
    """A shelf that notes which chunks were read, and has some that are damaged."""

    def __init__(self) -> None:
        super().__init__()
        self.read: list[int] = []
        self.damaged: set[int] = set()

    async def record(self, record_id: bytes) -> bytes | None:
        if record_id == b"d" * 32:
            raise StoreDamage(record_id, None, "rotten")
        return record_id[:1] * 1000 if record_id[0] < 100 else None

    async def chunk_list(self, blob_id: bytes) -> ChunkList | None:
        if blob_id == b"d" * 32:
            raise StoreDamage(blob_id, None, "rotten")
        return await super().chunk_list(blob_id)

    async def read_chunk(self, blob_id: bytes, index: int) -> bytes | None:
        self.read.append(index)
        if index in self.damaged:
            raise StoreDamage(blob_id, index, "rotten")
        return await super().read_chunk(blob_id, index)


def made(**limits: object) -> tuple[Server, Watched, Budget, HandClock]:
    """A server with everything around it."""
    clock, shelf = HandClock(), Watched()
    budget = Budget(Limits(**limits), clock.now())  # type: ignore[arg-type]
    return Server(shelf, budget, clock), shelf, budget, clock


@pytest.mark.must("EXC-3")
@on_loop
async def test_records_come_in_the_order_asked_for_without_those_that_are_not_here() -> None:
    server, *_ = made()
    ids = tuple(bytes([n]) * 32 for n in (7, 200, 3))
    assert [r[:1] async for r in server.records(PEER, RecordsRequest(ids))] == [b"\x07", b"\x03"]


@pytest.mark.must("EXC-3")
@on_loop
async def test_an_absent_chunk_is_said_to_be_absent() -> None:
    server, shelf, *_ = made()
    blob = shelf.put_blob(DATA).id
    pieces = [piece async for piece in server.chunks(PEER, ChunksRequest(blob, (1, 2)))]
    assert pieces == [Piece(1, 4, b"tail"), Piece(2, 0, b"")]


@on_loop
async def test_a_blob_that_is_not_here_has_no_chunk_list() -> None:
    server, *_ = made()
    with pytest.raises(UnavailableError):
        await anext(server.chunk_list(PEER, ChunkListRequest(b"x" * 32)))


@pytest.mark.must("EXC-10")
@on_loop
async def test_what_is_damaged_here_is_absent() -> None:
    server, shelf, *_ = made()
    blob = shelf.put_blob(DATA).id
    shelf.damaged = {0}
    pieces = [piece async for piece in server.chunks(PEER, ChunksRequest(blob, (0, 1)))]
    assert pieces == [Piece(0, 0, b""), Piece(1, 4, b"tail")]
    with pytest.raises(UnavailableError):
        await anext(server.chunk_list(PEER, ChunkListRequest(b"d" * 32)))
    assert [r async for r in server.records(PEER, RecordsRequest((b"d" * 32,)))] == []


@pytest.mark.must("EXC-16")
@on_loop
async def test_no_chunk_is_read_before_the_one_before_it_was_taken() -> None:
    server, shelf, *_ = made()
    blob = shelf.put_blob(DATA).id
    async with aclosing(server.chunks(PEER, ChunksRequest(blob, (0, 1)))) as pieces:
        for _ in range(CHUNK_BYTES // PIECE_BYTES):
            await anext(pieces)
        assert shelf.read == [0]


@pytest.mark.must("EXC-12")
@on_loop
async def test_a_peer_that_goes_away_gives_its_stream_back() -> None:
    server, shelf, budget, _ = made()
    blob = shelf.put_blob(DATA).id
    async with aclosing(server.chunks(PEER, ChunksRequest(blob, (0, 1)))) as pieces:
        await anext(pieces)
        assert budget.open_streams == 1
    assert budget.open_streams == 0


@pytest.mark.must("EXC-11")
@on_loop
async def test_nothing_is_looked_up_for_a_request_that_is_refused() -> None:
    server, shelf, *_ = made(streams_per_peer=1)
    blob = shelf.put_blob(DATA).id
    async with aclosing(server.chunk_list(PEER, ChunkListRequest(blob))) as parts:
        await anext(parts)
        with pytest.raises(BusyError):
            await anext(server.chunks(PEER, ChunksRequest(blob, (0,))))
    assert shelf.read == []


@pytest.mark.must("EXC-13")
@on_loop
async def test_pieces_are_sent_no_faster_than_the_upload_allows() -> None:
    rate = PIECE_BYTES + LOOKUP_BYTES
    server, shelf, _, clock = made(upload=Rate(rate, rate))
    blob = shelf.put_blob(DATA).id
    times = list[float]()

    async def take() -> None:
        async for _ in server.chunks(PEER, ChunksRequest(blob, (0,))):
            times.append(clock.now())

    await clock.finish(take())
    assert times == pytest.approx([0, 0, 1, 2])


@pytest.mark.must("EXC-13")
@on_loop
async def test_asking_for_what_is_not_here_is_not_free() -> None:
    server, _, _, clock = made(bytes_per_peer=Rate(LOOKUP_BYTES, LOOKUP_BYTES))
    request = RecordsRequest(tuple(bytes([200 + n]) * 32 for n in range(5)))

    async def ask() -> list[bytes]:
        return [record async for record in server.records(PEER, request)]

    assert await clock.finish(ask()) == []
    assert clock.now() == pytest.approx(3)


@pytest.mark.must("EXC-15")
@on_loop
async def test_a_peer_that_reads_too_slowly_is_let_go_and_one_that_reads_just_fast_enough_is_not() -> None:
    piece_seconds = (PIECE_BYTES + LOOKUP_BYTES) / SLOWEST_BYTES_PER_SECOND
    for seconds, served in [(piece_seconds, True), (piece_seconds + GRACE_SECONDS / 2, False)]:
        server, shelf, budget, clock = made()
        blob = shelf.put_blob(DATA + DATA).id
        request = ChunksRequest(blob, (0, 1))

        async def read(
            server: Server = server, request: ChunksRequest = request, clock: HandClock = clock, wait: float = seconds
        ) -> None:
            async with aclosing(server.chunks(PEER, request)) as pieces:
                async for _ in pieces:
                    await clock.sleep(wait)

        if served:
            await clock.finish(read())
        else:
            with pytest.raises(BusyError, match="too slowly"):
                await clock.finish(read())
        assert budget.open_streams == 0


@pytest.mark.must("EXC-15")
@on_loop
async def test_waiting_for_the_budget_is_not_held_against_the_peer() -> None:
    rate = SLOWEST_BYTES_PER_SECOND / 10
    server, shelf, _, clock = made(upload=Rate(rate, rate), longest_wait=1e9)
    blob = shelf.put_blob(DATA).id

    async def read() -> int:
        return len([piece async for piece in server.chunks(PEER, ChunksRequest(blob, (0,)))])

    assert await clock.finish(read(), within=1e6) == CHUNK_BYTES // PIECE_BYTES


@on_loop
async def test_many_peers_at_once_share_one_upload() -> None:
    rate = 4 * (PIECE_BYTES + LOOKUP_BYTES)
    server, shelf, _, clock = made(upload=Rate(rate, rate))
    blob = shelf.put_blob(DATA).id

    async def read(peer: bytes) -> None:
        async for _ in server.chunks(peer, ChunksRequest(blob, (0,))):
            pass

    async def all_of_them() -> None:
        await asyncio.gather(*(read(bytes([n]) * 32) for n in range(4)))

    await clock.finish(all_of_them())
    assert clock.now() == pytest.approx((16 - 4 - 1) / 4, abs=0.5)
