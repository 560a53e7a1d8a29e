"""Requests and frames of the libp2p road, byte by byte."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import (
    BusyError,
    ForgedError,
    MalformedError,
    PeerError,
    TooLargeError,
    TooNewError,
    TooOldError,
    UnavailableError,
)
from protocol.exchange.answers import LONGEST_RETRY_SECONDS, MAX_REASON_CHARACTERS
from protocol.exchange.pieces import Piece
from protocol.exchange.requests import (
    MAX_CHUNK_INDEX,
    MAX_CHUNKS_PER_REQUEST,
    MAX_RECORDS_PER_REQUEST,
    ChunkListRequest,
    ChunksRequest,
    RecordsRequest,
)
from protocol.roads.libp2p_frames import (
    HEAD_BYTES,
    LENGTH_BYTES,
    MAX_REQUEST_BYTES,
    AnyRequest,
    Say,
    WhoRequest,
    read_error,
    read_head,
    read_piece,
    read_request,
    request_length,
    write_error,
    write_frame,
    write_piece,
    write_request,
)
from tests.fuzz import fuzz_libp2p_frames
from tests.vectors.make_libp2p_frames import vectors

TESTS = Path(__file__).parent.parent.parent
VECTORS = json.loads((TESTS / "vectors" / "libp2p_frames.json").read_text(encoding="utf-8"))
HOSTILE = TESTS / "protocol" / "hostile"

REFUSALS: dict[str, tuple[type[PeerError], str]] = {
    "longer_than_the_limit": (TooLargeError, "65535 bytes; at most 4098"),
    "shorter_than_its_own_head": (MalformedError, "begins with version and kind"),
    "of_version_zero": (TooOldError, "version 0, which is no longer read"),
    "of_a_version_to_come": (TooNewError, "version 2; this node reads up to 1"),
    "of_an_unknown_kind": (MalformedError, "kind 9 with 0 bytes"),
    "who_with_a_body": (MalformedError, "kind 1 with 1 bytes"),
    "no_records": (MalformedError, "for no records"),
    "a_record_twice": (MalformedError, "the same record twice"),
    "half_a_record_id": (MalformedError, "cannot be cut into parts of 32"),
    "blob_id_too_short": (MalformedError, "a blob id of 31 bytes"),
    "no_chunks": (MalformedError, "for no chunks"),
    "chunks_not_ascending": (MalformedError, "indices ascend"),
    "a_chunk_twice": (MalformedError, "indices ascend"),
    "a_chunk_beyond_the_largest_blob": (TooLargeError, "chunk 1048576"),
    "half_an_index": (MalformedError, "cannot be cut into parts of 4"),
    "too_many_chunks": (TooLargeError, "65 chunks"),
}

FRAME_REFUSALS: dict[str, tuple[type[PeerError], str]] = {
    "of_an_unknown_kind": (MalformedError, "begins with 0b"),
    "of_kind_zero": (MalformedError, "begins with 00"),
    "cut_in_its_head": (MalformedError, "begins with 040000"),
    "a_piece_of_four_gigabytes": (TooLargeError, r"\(piece\) of 4294967295 bytes; at most 262152"),
    "a_piece_without_an_index": (MalformedError, r"\(piece\) of 7 bytes; it has at least 8"),
    "a_record_beyond_the_limit": (TooLargeError, r"\(record\) of 32769 bytes; at most 32768"),
    "an_empty_record": (MalformedError, r"\(record\) of 0 bytes"),
    "a_key_of_32_bytes": (MalformedError, r"\(key\) of 32 bytes; it has at least 33"),
    "an_end_with_a_payload": (TooLargeError, r"\(end\) of 1 bytes; at most 0"),
    "busy_without_a_time": (MalformedError, r"\(busy\) of 0 bytes"),
    "a_refusal_of_megabytes": (TooLargeError, r"\(refused\) of 2097152 bytes; at most 200"),
}

digests = st.binary(min_size=32, max_size=32)
requests: st.SearchStrategy[AnyRequest] = st.one_of(
    st.just(WhoRequest()),
    st.builds(RecordsRequest, st.lists(digests, min_size=1, max_size=MAX_RECORDS_PER_REQUEST, unique=True).map(tuple)),
    st.builds(ChunkListRequest, digests),
    st.builds(
        ChunksRequest,
        digests,
        st.sets(st.integers(0, MAX_CHUNK_INDEX), min_size=1, max_size=MAX_CHUNKS_PER_REQUEST).map(
            lambda found: tuple(sorted(found))
        ),
    ),
)


def request_of(vector: Any) -> AnyRequest:
    match vector:
        case {"asks": "who"}:
            return WhoRequest()
        case {"asks": "records", "ids": ids}:
            return RecordsRequest(tuple(map(bytes.fromhex, ids)))
        case {"asks": "chunk list", "blob": blob}:
            return ChunkListRequest(bytes.fromhex(blob))
        case _:
            return ChunksRequest(bytes.fromhex(vector["blob"]), tuple(vector["indices"]))


def test_the_golden_file_is_what_its_generator_makes() -> None:
    assert vectors() == VECTORS


@pytest.mark.must("P2P-2")
@pytest.mark.parametrize("vector", VECTORS["requests"], ids=lambda vector: vector["asks"])
def test_a_golden_request_is_written_and_read(vector: Any) -> None:
    data = bytes.fromhex(vector["bytes"])
    assert write_request(request_of(vector)) == data
    assert request_length(data[:LENGTH_BYTES]) == len(data) - LENGTH_BYTES
    assert read_request(data[LENGTH_BYTES:]) == request_of(vector)


@pytest.mark.must("P2P-3")
@pytest.mark.parametrize("vector", VECTORS["frames"], ids=lambda vector: vector["says"])
def test_a_golden_frame_is_written_and_read(vector: Any) -> None:
    data, payload, kind = bytes.fromhex(vector["bytes"]), bytes.fromhex(vector["payload"]), Say[vector["says"]]
    assert write_frame(kind, payload) == data
    assert read_head(data[:HEAD_BYTES]) == (kind, len(payload))
    if kind is Say.PIECE:
        piece = Piece(vector["index"], vector["size"], bytes.fromhex(vector["data"]))
        assert read_piece(payload) == piece
        assert b"".join(write_piece(piece)) == data


@given(requests)
def test_a_request_survives_the_way(request: AnyRequest) -> None:
    data = write_request(request)
    assert len(data) - LENGTH_BYTES <= MAX_REQUEST_BYTES
    assert read_request(data[LENGTH_BYTES:]) == request


@pytest.mark.must("P2P-2", "P2P-4", "P2P-8")
@pytest.mark.parametrize("fault", sorted(REFUSALS))
def test_a_hostile_request_is_refused_by_name(fault: str) -> None:
    data = (HOSTILE / "libp2p_request" / f"{fault}.bin").read_bytes()
    error, words = REFUSALS[fault]
    with pytest.raises(error, match=words):
        read_request(data[LENGTH_BYTES:][: request_length(data[:LENGTH_BYTES])])


@pytest.mark.must("P2P-3", "P2P-4")
@pytest.mark.parametrize("fault", sorted(FRAME_REFUSALS))
def test_a_hostile_frame_is_refused_by_name_before_its_payload_is_read(fault: str) -> None:
    data = (HOSTILE / "libp2p_frame" / f"{fault}.bin").read_bytes()
    error, words = FRAME_REFUSALS[fault]
    with pytest.raises(error, match=words):
        read_head(data[:HEAD_BYTES])


def test_every_hostile_file_has_its_refusal() -> None:
    assert {path.stem for path in (HOSTILE / "libp2p_request").iterdir()} == set(REFUSALS)
    assert {path.stem for path in (HOSTILE / "libp2p_frame").iterdir()} == set(FRAME_REFUSALS)


@pytest.mark.must("P2P-7", "P2P-8")
@pytest.mark.parametrize(
    ("error", "kind", "raised"),
    [
        (BusyError("full", 1.5), Say.BUSY, BusyError),
        (UnavailableError("no such blob"), Say.ABSENT, UnavailableError),
        (MalformedError("nonsense"), Say.REFUSED, UnavailableError),
        (ForgedError("somebody else"), Say.REFUSED, UnavailableError),
        (TooLargeError("too much"), Say.REFUSED, UnavailableError),
        (TooOldError("of yesterday"), Say.TOO_OLD, TooNewError),
        (TooNewError("of tomorrow"), Say.TOO_NEW, TooOldError),
    ],
)
def test_an_error_of_the_server_has_its_frame_and_its_error_at_the_client(
    error: PeerError, kind: Say, raised: type[PeerError]
) -> None:
    frame = write_error(error)
    assert read_head(frame[:HEAD_BYTES]) == (kind, len(frame) - HEAD_BYTES)
    answer = read_error(kind, frame[HEAD_BYTES:], "a peer")
    assert type(answer) is raised
    if isinstance(answer, BusyError):
        assert answer.retry_after == 1.5


@pytest.mark.parametrize("seconds", [1e30, float("inf")])
def test_nobody_is_sent_away_for_longer_than_an_hour(seconds: float) -> None:
    frame = write_error(BusyError("full", seconds))
    answer = read_error(Say.BUSY, frame[HEAD_BYTES:], "a peer")
    assert isinstance(answer, BusyError)
    assert answer.retry_after == LONGEST_RETRY_SECONDS
    loudest = read_error(Say.BUSY, b"\xff" * 4, "a peer")
    assert isinstance(loudest, BusyError)
    assert loudest.retry_after == LONGEST_RETRY_SECONDS


def test_a_refusal_is_cut_and_cannot_steer_a_terminal() -> None:
    frame = write_error(MalformedError("\x1b[2J" + "x" * 1000))
    assert len(frame) == HEAD_BYTES + MAX_REASON_CHARACTERS
    answer = read_error(Say.REFUSED, frame[HEAD_BYTES:], "a peer")
    assert answer is not None
    assert str(answer).startswith("a peer refuses the request: ?[2Jxxx")


def test_a_whole_answer_ends_without_an_error() -> None:
    assert read_error(Say.END, b"", "a peer") is None


@given(st.binary(max_size=300))
def test_bytes_of_any_kind_raise_only_errors_of_peers(data: bytes) -> None:
    fuzz_libp2p_frames.one(data)
