"""Chunk lists: golden ids, lists that lie, chunks that are not what they are sent as."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.blobs import chunks
from protocol.blobs.chunks import CHUNK_BYTES, MAX_BLOB_BYTES, ChunkList, Hasher, chunk_digest
from protocol.errors import ForgedError, MalformedError, PeerError, TooLargeError, UsageError
from protocol.merkle import root
from tests.fuzz.fuzz_chunklist import one
from tests.vectors.make_digest import pattern

TESTS = Path(__file__).parents[2]
VECTORS: list[dict[str, Any]] = json.loads((TESTS / "vectors" / "chunks.json").read_text())["blobs"]
HOSTILE = TESTS / "protocol" / "hostile" / "chunklist"
HALF = CHUNK_BYTES // 2

FAULTS: dict[str, tuple[type[PeerError], str]] = {
    "empty": (MalformedError, "of 0 bytes; it begins with a size of 8"),
    "half_a_size": (MalformedError, "of 4 bytes; it begins with a size of 8"),
    "digest_cut_short": (MalformedError, "of 39 bytes; for 1000 bytes of content it has 40"),
    "digest_missing": (MalformedError, "of 40 bytes; for 1048577 bytes of content it has 72"),
    "digest_for_nothing": (MalformedError, "of 40 bytes; for 0 bytes of content it has 8"),
    "byte_behind": (MalformedError, "of 41 bytes; for 1000 bytes of content it has 40"),
    "digest_behind": (MalformedError, "of 72 bytes; for 1000 bytes of content it has 40"),
    "size_big_endian": (TooLargeError, "a blob of 16718206241729413120 bytes"),
    "size_beyond_the_limit": (TooLargeError, "a blob of 1099511627777 bytes; 0 to 1099511627776 are allowed"),
    "size_of_all_ones": (TooLargeError, "0 to 1099511627776 are allowed"),
    "size_without_digests": (MalformedError, "of 8 bytes; for 1099511627776 bytes of content it has 33554440"),
    "another_blob": (ForgedError, "in place of 0000"),
}


def list_of(golden: dict[str, Any]) -> ChunkList:
    return ChunkList.parse(bytes.fromhex(golden["list"]), bytes.fromhex(golden["id"]))


@pytest.mark.must("DIG-1", "DIG-2", "DIG-3")
@pytest.mark.parametrize("golden", VECTORS, ids=lambda g: str(g["size"]))
def test_chunk_lists_are_golden(golden: dict[str, Any]) -> None:
    data = pattern(golden["step"], golden["size"])
    made = ChunkList.of(data)
    assert (made.id.hex(), made.encode().hex()) == (golden["id"], golden["list"])
    assert list_of(golden) == made
    assert len(made.encode()) == chunks.chunk_list_bytes(len(data))
    pieces = [data[i : i + CHUNK_BYTES] for i in range(0, len(data), CHUNK_BYTES)]
    assert [made.chunk_length(i) for i in range(len(pieces))] == [len(piece) for piece in pieces]
    for i, piece in enumerate(pieces):
        made.check(i, memoryview(piece))


@settings(deadline=None, max_examples=25)
@given(st.lists(st.integers(0, 3 * HALF), max_size=5), st.integers(1, 250))
def test_a_list_does_not_depend_on_how_its_bytes_arrive(sizes: list[int], step: int) -> None:
    data = pattern(step, sum(sizes))
    hasher, at = Hasher(), 0
    for size in sizes:
        hasher.update(bytearray(data[at : at + size]))
        at += size
        assert hasher.finish() == ChunkList.of(data[:at])


def test_lists_are_equal_when_their_bytes_are_and_ids_differ_by_size_alone() -> None:
    assert ChunkList.of(b"a") == ChunkList.of(b"a")
    zeros, more = ChunkList.of(bytes(HALF)), ChunkList.of(bytes(HALF + 1))
    assert chunks.blob_id(HALF, root(more.digests)) not in (zeros.id, more.id)


@pytest.mark.must("DIG-3", "DIG-4")
def test_every_hostile_chunk_list_is_refused_with_its_own_error() -> None:
    assert {path.stem for path in HOSTILE.iterdir()} == set(FAULTS)
    for name, (error, words) in FAULTS.items():
        with pytest.raises(error, match=words) as caught:
            ChunkList.parse((HOSTILE / f"{name}.bin").read_bytes(), bytes(32))
        assert type(caught.value) is error, name


@pytest.mark.must("DIG-3")
def test_a_list_beyond_the_largest_is_refused_unread() -> None:
    with pytest.raises(TooLargeError, match="at most 33554440"):
        ChunkList.parse(bytes(chunks.MAX_CHUNK_LIST_BYTES + 1), bytes(32))
    assert chunks.chunk_list_bytes(MAX_BLOB_BYTES) == chunks.MAX_CHUNK_LIST_BYTES


@pytest.mark.must("DIG-4")
@pytest.mark.parametrize("golden", VECTORS[1:], ids=lambda g: str(g["size"]))
def test_a_list_with_one_bit_changed_is_another_blob(golden: dict[str, Any]) -> None:
    encoded = bytes.fromhex(golden["list"])
    for at in {8, len(encoded) - 1}:
        spoiled = encoded[:at] + bytes([encoded[at] ^ 1]) + encoded[at + 1 :]
        with pytest.raises(ForgedError, match=golden["id"]):
            ChunkList.parse(spoiled, bytes.fromhex(golden["id"]))


@pytest.mark.must("DIG-5")
def test_bytes_that_are_not_the_chunk_are_refused() -> None:
    data = pattern(7, CHUNK_BYTES + 9)
    made = ChunkList.of(data)
    first, last = data[:CHUNK_BYTES], data[CHUNK_BYTES:]
    for index, chunk in (
        (0, last),
        (1, first),
        (0, data),
        (0, first[:-1]),
        (1, last[:-1]),
        (1, last + b"\0"),
        (1, b""),
        (0, bytes([first[0] ^ 1]) + first[1:]),
        (2, b""),
        (2, last),
        (-1, last),
    ):
        with pytest.raises(ForgedError):
            made.check(index, chunk)
    with pytest.raises(ForgedError):
        ChunkList.of(b"").check(0, b"")


def test_a_list_is_valid_once_built() -> None:
    digest = chunk_digest(b"x")
    for size, digests in (
        (1, ()),
        (0, (digest,)),
        (CHUNK_BYTES + 1, (digest,)),
        (1, (digest[:31],)),
        (1, (digest,) * 2),
    ):
        with pytest.raises(MalformedError):
            ChunkList(size, digests)
    for size in (-1, MAX_BLOB_BYTES + 1):
        with pytest.raises(TooLargeError):
            ChunkList(size, ())


def test_who_asks_for_a_chunk_beyond_the_end_is_told_so() -> None:
    made = ChunkList.of(bytes(CHUNK_BYTES))
    assert made.chunk_length(0) == CHUNK_BYTES
    for index in (-1, 1):
        with pytest.raises(UsageError):
            made.chunk_length(index)


def test_a_blob_does_not_grow_beyond_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "MAX_BLOB_BYTES", 10)
    hasher = Hasher()
    hasher.update(bytes(10))
    with pytest.raises(TooLargeError):
        hasher.update(b"x")


@settings(deadline=None)
@given(
    st.binary(max_size=200)
    | st.builds(lambda n, rest: n.to_bytes(8, "little") + rest, st.integers(0, 2**64 - 1), st.binary(max_size=100))
)
def test_any_bytes_are_a_list_or_refused_with_a_reason(data: bytes) -> None:
    one(data)


def test_hostile_files_are_refused_by_the_fuzz_target_too() -> None:
    for path in HOSTILE.iterdir():
        one(path.read_bytes())
