"""What a client makes of answers, whatever road they came over."""

from collections.abc import AsyncGenerator
from typing import TypeVar

import pytest

from protocol.blobs.chunks import CHUNK_BYTES, MAX_BLOB_BYTES, ChunkList
from protocol.envelope import MAX_ENVELOPE_BYTES
from protocol.errors import ForgedError, MalformedError, TooLargeError, UnavailableError
from protocol.exchange import answers
from protocol.exchange.outcomes import Forged, outcome_of
from protocol.exchange.pieces import PIECE_BYTES, Piece
from protocol.exchange.requests import ChunkListRequest, ChunksRequest, RecordsRequest
from tests.protocol.exchange.loop import on_loop

Item = TypeVar("Item")

BLOB = ChunkList.of(bytes(CHUNK_BYTES) + b"tail")
LIST = BLOB.encode()


async def sent(*items: Item) -> AsyncGenerator[Item, None]:
    for item in items:
        yield item


async def records(*envelopes: bytes) -> list[bytes]:
    return await answers.records(sent(*envelopes), RecordsRequest((b"a" * 32, b"b" * 32)), "a peer")


async def chunk_list(*parts: bytes, limit: int = MAX_BLOB_BYTES) -> ChunkList:
    return await answers.chunk_list(sent(*parts), ChunkListRequest(BLOB.id), limit, "a peer")


@pytest.mark.must("EXC-4")
@on_loop
async def test_records_are_as_many_as_were_asked_for_or_fewer() -> None:
    assert await records(b"one", b"two") == [b"one", b"two"]
    assert await records() == []
    with pytest.raises(MalformedError, match="a peer sent more than the 2 records"):
        await records(b"one", b"two", b"three")


@pytest.mark.must("EXC-4")
@pytest.mark.parametrize("envelope", [b"", bytes(MAX_ENVELOPE_BYTES + 1)], ids=["empty", "too-large"])
@on_loop
async def test_a_record_is_neither_empty_nor_too_large(envelope: bytes) -> None:
    with pytest.raises(MalformedError, match="a peer sent a record of"):
        await records(envelope)


@pytest.mark.must("EXC-8")
@pytest.mark.parametrize("parts", [(), (LIST[:8],), (LIST[:40],)], ids=range(3))
@on_loop
async def test_a_list_that_ends_short_is_nobodys_fault(parts: tuple[bytes, ...]) -> None:
    with pytest.raises(UnavailableError, match="a peer ended the chunk list") as raised:
        await chunk_list(*parts)
    assert not isinstance(outcome_of(raised.value, asked_for_list=True), Forged)


@pytest.mark.must("EXC-5", "EXC-6")
@on_loop
async def test_a_list_is_whole_right_and_no_longer_than_it_says() -> None:
    assert await chunk_list(LIST[:8], LIST[8:]) == BLOB
    with pytest.raises(MalformedError, match="more than the"):
        await chunk_list(LIST, b"\0")
    with pytest.raises(ForgedError):
        await chunk_list(ChunkList.of(b"other").encode())
    with pytest.raises(TooLargeError):
        await chunk_list(LIST, limit=BLOB.size - 1)


@pytest.mark.must("EXC-8")
@on_loop
async def test_of_chunks_only_whole_ones_are_given_on() -> None:
    pieces = sent(Piece(0, 4, b"good"), Piece(1, CHUNK_BYTES, bytes(PIECE_BYTES)))
    assert [chunk async for chunk in answers.chunks(pieces, ChunksRequest(BLOB.id, (0, 1)))] == [(0, b"good")]


@pytest.mark.must("EXC-8", "EXC-23")
def test_a_refusal_is_told_in_harmless_words_and_not_held_against_the_peer() -> None:
    error = answers.refusal("a peer", "\x1b[2J" + "x" * 1000)
    assert str(error) == "a peer refuses the request: ?[2J" + "x" * (answers.MAX_REASON_CHARACTERS - 4)
    assert not isinstance(outcome_of(error, asked_for_list=False), Forged)


@pytest.mark.must("EXC-23")
@pytest.mark.parametrize(("said", "waited"), [(-1.0, 0.0), (1.5, 1.5), (1e30, 3600.0), (float("inf"), 3600.0)])
def test_nobody_is_sent_away_for_longer_than_an_hour(said: float, waited: float) -> None:
    assert answers.bearable(said) == waited
