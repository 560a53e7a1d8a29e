import pytest

from protocol.errors import MalformedError, TooLargeError
from protocol.exchange.requests import (
    MAX_CHUNK_INDEX,
    MAX_CHUNKS_PER_REQUEST,
    MAX_RECORDS_PER_REQUEST,
    ChunkListRequest,
    ChunksRequest,
    RecordsRequest,
)

BLOB = bytes(32)


@pytest.mark.must("EXC-1")
@pytest.mark.parametrize(
    "ids",
    [(), (BLOB[:31],), (BLOB + b"\0",), (BLOB, b"\1" * 32, BLOB)],
    ids=["none", "short", "long", "twice"],
)
def test_a_request_for_records_is_refused_when_it_is_not_a_set_of_ids(ids: tuple[bytes, ...]) -> None:
    with pytest.raises(MalformedError):
        RecordsRequest(ids)


@pytest.mark.must("EXC-1")
def test_no_more_records_are_asked_for_than_fit() -> None:
    ids = tuple(number.to_bytes(32, "big") for number in range(MAX_RECORDS_PER_REQUEST + 1))
    RecordsRequest(ids[1:])
    with pytest.raises(TooLargeError):
        RecordsRequest(ids)


@pytest.mark.must("EXC-2")
@pytest.mark.parametrize("blob_id", [b"", BLOB[:31], BLOB + b"\0"], ids=len)
def test_a_blob_id_has_32_bytes(blob_id: bytes) -> None:
    with pytest.raises(MalformedError):
        ChunkListRequest(blob_id)
    with pytest.raises(MalformedError):
        ChunksRequest(blob_id, (0,))


@pytest.mark.must("EXC-2")
@pytest.mark.parametrize("indices", [(), (1, 0), (3, 3), (-1,)], ids=["none", "descending", "twice", "negative"])
def test_chunks_are_asked_for_in_ascending_order(indices: tuple[int, ...]) -> None:
    with pytest.raises(MalformedError):
        ChunksRequest(BLOB, indices)


@pytest.mark.must("EXC-2")
@pytest.mark.parametrize("indices", [tuple(range(MAX_CHUNKS_PER_REQUEST + 1)), (MAX_CHUNK_INDEX + 1,)], ids=len)
def test_chunks_beyond_the_limits_are_refused(indices: tuple[int, ...]) -> None:
    ChunksRequest(BLOB, (*range(MAX_CHUNKS_PER_REQUEST - 1), MAX_CHUNK_INDEX))
    with pytest.raises(TooLargeError):
        ChunksRequest(BLOB, indices)
