import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.blobs.chunks import CHUNK_BYTES, ChunkList
from protocol.errors import MalformedError, TooLargeError
from protocol.exchange.pieces import PIECE_BYTES, Assembly, ListAssembly, Piece, cut, list_parts

WHOLE = bytes(range(256)) * (CHUNK_BYTES // 256)


@given(st.lists(st.tuples(st.integers(0, 1000), st.integers(0, CHUNK_BYTES)), max_size=4, unique_by=lambda c: c[0]))
def test_chunks_arrive_as_they_were_cut_and_absent_ones_are_left_out(chunks: list[tuple[int, int]]) -> None:
    sent = {index: WHOLE[:size] if size else None for index, size in sorted(chunks)}
    assembly = Assembly(list(sent))
    arrived = [assembly.add(piece) for index, chunk in sent.items() for piece in cut(index, chunk)]
    assert [chunk for chunk in arrived if chunk is not None] == [(i, c) for i, c in sent.items() if c is not None]


@pytest.mark.must("EXC-7")
def test_no_piece_is_larger_than_a_message_may_be() -> None:
    assert {len(piece.data) for piece in cut(0, WHOLE)} == {PIECE_BYTES}


TWO = PIECE_BYTES + 5
HALF = Piece(3, TWO, bytes(PIECE_BYTES))


@pytest.mark.must("EXC-7")
@pytest.mark.parametrize(
    ("before", "piece"),
    [
        ([], Piece(4, 5, b"12345")),
        ([], Piece(9, 5, b"12345")),
        ([], Piece(3, 5, b"")),
        ([], Piece(3, 5, b"123456")),
        ([], Piece(3, CHUNK_BYTES, b"1" * (PIECE_BYTES + 1))),
        ([], Piece(3, 0, b"1")),
        ([], Piece(3, TWO, bytes(PIECE_BYTES - 1))),
        ([], Piece(3, CHUNK_BYTES, b"1")),
        ([HALF], Piece(3, TWO, b"1234")),
        ([HALF], Piece(3, TWO, b"123456")),
        ([HALF], Piece(3, TWO + 1, b"12345")),
        ([HALF], Piece(3, 0, b"")),
        ([HALF], Piece(4, 5, b"12345")),
        ([HALF, Piece(3, TWO, b"12345")], Piece(3, 5, b"12345")),
        ([Piece(3, 0, b""), Piece(4, 5, b"12345")], Piece(5, 5, b"12345")),
    ],
    ids=[
        "next-one-first",
        "never-asked-for",
        "empty",
        "beyond-its-size",
        "beyond-a-message",
        "absent-with-data",
        "first-half-not-full",
        "one-byte-of-many",
        "second-half-not-full",
        "second-half-too-long",
        "other-size",
        "absent-after-all",
        "other-chunk-between",
        "again",
        "after-the-last",
    ],
)
def test_a_piece_out_of_place_is_refused(before: list[Piece], piece: Piece) -> None:
    assembly = Assembly([3, 4])
    for good in before:
        assembly.add(good)
    with pytest.raises(MalformedError):
        assembly.add(piece)


@pytest.mark.must("EXC-7")
def test_a_chunk_larger_than_any_is_refused_at_its_first_piece() -> None:
    with pytest.raises(TooLargeError):
        Assembly([3]).add(Piece(3, CHUNK_BYTES + 1, b"1"))


@given(st.integers(0, 40 * CHUNK_BYTES))
def test_a_chunk_list_arrives_as_it_was_sent(size: int) -> None:
    chunks = ChunkList(size, tuple(bytes([i]) * 32 for i in range(-(-size // CHUNK_BYTES))))
    assembly = ListAssembly(size)
    for part in list_parts(chunks):
        assembly.add(part)
    assert assembly.whole() == chunks.encode()


@pytest.mark.must("EXC-8")
def test_half_a_chunk_list_is_none() -> None:
    chunks = ChunkList.of(WHOLE + WHOLE)
    assembly = ListAssembly(chunks.size)
    assert assembly.whole() is None
    assembly.add(chunks.encode()[:-1])
    assert assembly.whole() is None


@pytest.mark.must("EXC-6")
@pytest.mark.parametrize(
    ("parts", "error"),
    [
        ([b""], MalformedError),
        ([bytes(7)], MalformedError),
        ([bytes(PIECE_BYTES + 1)], MalformedError),
        ([bytes(8), b"\0"], MalformedError),
        ([CHUNK_BYTES.to_bytes(8, "little"), b"\0"], MalformedError),
        ([CHUNK_BYTES.to_bytes(8, "little"), bytes(31)], MalformedError),
        ([bytes(8) + b"\0"], MalformedError),
        ([(CHUNK_BYTES + 1).to_bytes(8, "little")], TooLargeError),
        ([b"\xff" * 8], TooLargeError),
    ],
    ids=[
        "empty-part",
        "no-size",
        "part-too-large",
        "a-byte-more",
        "a-byte-at-a-time",
        "not-full",
        "a-byte-more-at-once",
        "beyond-limit",
        "absurd",
    ],
)
def test_a_chunk_list_is_refused_before_it_fills_memory(parts: list[bytes], error: type[Exception]) -> None:
    assembly = ListAssembly(CHUNK_BYTES)
    for good in parts[:-1]:
        assembly.add(good)
    with pytest.raises(error):
        assembly.add(parts[-1])
