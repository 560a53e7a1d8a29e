"""The store: verified in and out, kept once, counted to the byte, and damaged in every way a disk may think of."""

import os
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from protocol.blobs.blobfile import file_bytes
from protocol.blobs.chunks import CHUNK_BYTES, ChunkList, Hasher
from protocol.blobs.source import StoreDamage
from protocol.blobs.store import Store
from protocol.errors import EnvironmentFault, ForgedError, TooLargeError, UsageError
from tests.protocol.blobs.folders import values

QUOTA = 64 * 2**20
LONG = values(2 * CHUNK_BYTES + 10, 1)
SHORT = values(3000, 2)
SMALL = 5 * 4096
"""Room for two blobs of a page or less (each has a page of its own before it), and a page to spare."""


def pieces(data: bytes) -> list[bytes]:
    return [data[i : i + CHUNK_BYTES] for i in range(0, len(data), CHUNK_BYTES)]


def paths(store: Store) -> list[Path]:
    return sorted(path for path in (store.folder / "blobs").rglob("*") if path.is_file())


def disk_bytes(store: Store) -> int:
    return sum(path.stat().st_size for path in paths(store))


def path_of(store: Store, chunks: ChunkList) -> Path:
    return store.folder / "blobs" / chunks.id.hex()[:2] / chunks.id.hex()


def flip(path: Path, offset: int) -> None:
    with path.open("r+b") as file:
        file.seek(offset, os.SEEK_SET if offset >= 0 else os.SEEK_END)
        byte = file.read(1)[0]
        file.seek(offset, os.SEEK_SET if offset >= 0 else os.SEEK_END)
        file.write(bytes([byte ^ 0x40]))


def whole(store: Store, chunks: ChunkList) -> bytes | None:
    return store.read_whole(chunks.id, QUOTA)


# -- in and out ------------------------------------------------------------------------------------------------


def test_chunks_come_in_any_order_and_are_missing_until_they_do(tmp_path: Path) -> None:
    chunks = ChunkList.of(LONG)
    with Store(tmp_path, QUOTA) as store:
        assert store.find(chunks.id) is None
        assert chunks.id not in store
        store.open(chunks)
        assert chunks.id in store
        assert store.find(chunks.id) == chunks
        assert store.missing(chunks.id) == (range(3),)
        store.put_chunk(chunks.id, 1, pieces(LONG)[1])
        assert store.missing(chunks.id) == (range(1), range(2, 3))
        assert store.read(chunks.id, 0) is None
        assert store.read(chunks.id, 1) == pieces(LONG)[1]
        assert whole(store, chunks) is None
        for index in (2, 0):
            store.put_chunk(chunks.id, index, memoryview(pieces(LONG)[index]))
        assert store.missing(chunks.id) == ()
        assert whole(store, chunks) == LONG


@pytest.mark.must("BLB-18")
@pytest.mark.parametrize("bad", [b"", LONG[:-1], LONG[1 : CHUNK_BYTES + 1], bytes(CHUNK_BYTES)], ids=len)
def test_a_chunk_that_is_not_the_right_one_never_touches_the_disk(tmp_path: Path, bad: bytes) -> None:
    chunks = ChunkList.of(LONG)
    with Store(tmp_path, QUOTA) as store:
        store.open(chunks)
        before = path_of(store, chunks).read_bytes()
        with pytest.raises(ForgedError):
            store.put_chunk(chunks.id, 0, bad)
        assert path_of(store, chunks).read_bytes() == before
        assert store.missing(chunks.id) == (range(3),)


@pytest.mark.parametrize("index", [-1, 3, 2**40])
def test_a_chunk_beyond_the_blob_is_refused_in_and_absent_out(tmp_path: Path, index: int) -> None:
    with Store(tmp_path, QUOTA) as store:
        chunks = store.put(LONG)
        with pytest.raises(ForgedError, match="has no chunk"):
            store.put_chunk(chunks.id, index, b"x")
        assert store.read(chunks.id, index) is None


@pytest.mark.parametrize("blob_id", [b"", bytes(31), bytes(32), bytes(33), b"../" * 20], ids=len)
def test_a_blob_that_is_not_here_is_absent_whatever_its_id(tmp_path: Path, blob_id: bytes) -> None:
    with Store(tmp_path, QUOTA) as store:
        assert store.find(blob_id) is None
        assert store.read(blob_id, 0) is None
        assert store.read_whole(blob_id, QUOTA) is None
        with pytest.raises(UsageError, match="not open"):
            store.missing(blob_id)
        with pytest.raises(UsageError, match="not open"):
            store.put_chunk(blob_id, 0, b"x")


def test_an_empty_blob_is_complete_when_it_is_opened(tmp_path: Path) -> None:
    with Store(tmp_path, QUOTA) as store:
        chunks = store.put(b"")
        assert store.missing(chunks.id) == ()
        assert whole(store, chunks) == b""


def test_a_small_blob_is_read_whole_only_up_to_a_limit(tmp_path: Path) -> None:
    with Store(tmp_path, QUOTA) as store:
        chunks = store.put(SHORT)
        assert store.read_whole(chunks.id, 3000) == SHORT
        with pytest.raises(TooLargeError, match="3000 bytes; the limit here is 2999"):
            store.read_whole(chunks.id, 2999)


@pytest.mark.must("BLB-19")
def test_everything_is_there_again_when_the_store_is_opened_again(tmp_path: Path) -> None:
    with Store(tmp_path, QUOTA) as store:
        short, long = store.put(SHORT), ChunkList.of(LONG)
        store.open(long)
        store.put_chunk(long.id, 2, pieces(LONG)[2])
        store.flush()
        used = store.used_bytes
    with Store(tmp_path, QUOTA) as store:
        assert store.used_bytes == used
        assert whole(store, short) == SHORT
        assert store.missing(long.id) == (range(2),)
        assert store.read(long.id, 2) == pieces(LONG)[2]


def test_a_store_has_one_process_at_a_time(tmp_path: Path) -> None:
    with Store(tmp_path, QUOTA), pytest.raises(EnvironmentFault, match="another process uses the store"):
        Store(tmp_path, QUOTA)
    Store(tmp_path, QUOTA).close()


def test_the_stores_folder_is_private(tmp_path: Path) -> None:
    with Store(tmp_path / "store", QUOTA) as store:
        chunks = store.put(SHORT)
        assert store.folder.stat().st_mode & 0o777 == 0o700
        assert path_of(store, chunks).stat().st_mode & 0o777 == 0o600


def test_a_folder_that_cannot_be_one_is_a_fault_with_advice(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(EnvironmentFault, match=r"cannot open the store .*a part of the path is a file"):
        Store(tmp_path / "file" / "store", QUOTA)


def test_threads_that_fill_the_same_blob_agree(tmp_path: Path) -> None:
    chunks = ChunkList.of(LONG)
    with Store(tmp_path, QUOTA) as store, ThreadPoolExecutor(8) as pool:

        def work(number: int) -> None:
            store.open(chunks, f"thread{number}")
            for index in range(3):
                store.put_chunk(chunks.id, (index + number) % 3, pieces(LONG)[(index + number) % 3])
                assert store.read(chunks.id, (index + number) % 3) is not None

        list(pool.map(work, range(8)))
        assert whole(store, chunks) == LONG
        assert store.used_bytes == disk_bytes(store) == file_bytes(len(LONG))


@pytest.mark.must("BLB-24")
def test_memory_does_not_grow_with_the_size_of_a_blob(tmp_path: Path) -> None:
    hasher, count, piece = Hasher(), 48, bytearray(CHUNK_BYTES)
    for i in range(count):
        piece[0] = i
        hasher.update(piece)
    chunks = hasher.finish()
    tracemalloc.start()
    with Store(tmp_path, QUOTA) as store:
        store.open(chunks)
        for i in range(count):
            piece[0] = i
            store.put_chunk(chunks.id, i, piece)
        assert sum(len(store.read(chunks.id, i) or b"") for i in range(count)) == chunks.size
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5 * CHUNK_BYTES


# -- quota -----------------------------------------------------------------------------------------------------


@pytest.mark.must("BLB-21")
def test_the_same_blob_is_kept_once(tmp_path: Path) -> None:
    with Store(tmp_path, QUOTA) as store:
        store.put(SHORT, "one")
        used = store.used_bytes
        store.put(SHORT, "two")
        assert (store.used_bytes, len(paths(store))) == (used, 1)


@pytest.mark.must("BLB-22")
def test_used_bytes_are_the_bytes_of_the_files(tmp_path: Path) -> None:
    with Store(tmp_path, SMALL) as store:
        for seed in range(30):
            store.put(values(100 * seed, seed))
            assert store.used_bytes == disk_bytes(store) <= SMALL
        assert store.used_bytes > SMALL // 2


@pytest.mark.must("BLB-22")
def test_the_blob_used_longest_ago_makes_room(tmp_path: Path) -> None:
    with Store(tmp_path, SMALL) as store:
        first, second = store.put(values(4096, 1)), store.put(values(4096, 2))
        assert store.read(first.id, 0) is not None
        third = store.put(values(4096, 3))
        assert [chunks.id in store for chunks in (first, second, third)] == [True, False, True]


@pytest.mark.must("BLB-22")
def test_the_order_of_last_use_outlives_the_process(tmp_path: Path) -> None:
    with Store(tmp_path, SMALL) as store:
        first, second = store.put(values(4096, 1)), store.put(values(4096, 2))
        for age, chunks in enumerate((first, second)):
            os.utime(path_of(store, chunks), (age, age))
        assert store.read(first.id, 0) is not None
    with Store(tmp_path, SMALL) as store:
        store.put(values(4096, 3))
        assert first.id in store
        assert second.id not in store


@pytest.mark.must("BLB-22")
def test_pinned_blobs_are_never_evicted_and_the_refusal_is_plain(tmp_path: Path) -> None:
    with Store(tmp_path, SMALL) as store:
        first, second = store.put(values(4096, 1), "round-1"), store.put(values(4096, 2))
        third = store.put(values(4096, 3), "round-1")
        assert [chunks.id in store for chunks in (first, second, third)] == [True, False, True]
        assert store.pinned_bytes == store.used_bytes == 16384
        with pytest.raises(EnvironmentFault, match=r"the store is full.*16384 of them are pinned"):
            store.put(values(4096, 4))
        assert [whole(store, chunks) is not None for chunks in (first, third)] == [True, True]
        store.release("round-1")
        fourth = store.put(values(4096, 4))
        assert [chunks.id in store for chunks in (first, third, fourth)] == [False, True, True]


@pytest.mark.must("BLB-22")
def test_pins_outlive_the_process_and_a_lowered_quota(tmp_path: Path) -> None:
    with Store(tmp_path, QUOTA) as store:
        first, second = store.put(values(4096, 1), "a"), store.put(values(4096, 2))
        store.pin(first.id, "b")
        store.unpin(first.id, "a")
    with Store(tmp_path, 4096) as store:
        assert [chunks.id in store for chunks in (first, second)] == [True, False]
        assert store.pinned_bytes == 8192
        store.unpin(first.id, "b")
        assert not list((tmp_path / "pins").iterdir())
    with Store(tmp_path, 4096) as store:
        assert first.id not in store
        assert store.used_bytes == 0


@pytest.mark.must("BLB-22")
def test_a_blob_larger_than_the_quota_is_refused_before_its_first_byte(tmp_path: Path) -> None:
    with Store(tmp_path, SMALL) as store:
        kept = store.put(SHORT)
        with pytest.raises(
            EnvironmentFault, match="do not fit into a store whose quota is 20480 bytes; raise the quota"
        ):
            store.open(ChunkList.of(bytes(SMALL)))
        assert whole(store, kept) == SHORT


@pytest.mark.parametrize("holder", ["", "..", "a/b", "A", "a" * 81, ".a", "a\n"])
def test_a_holder_is_a_plain_word(tmp_path: Path, holder: str) -> None:
    with Store(tmp_path, QUOTA) as store, pytest.raises(UsageError, match="cannot pin"):
        store.pin(bytes(32), holder)


def test_filling_a_blob_that_was_evicted_meanwhile_says_so(tmp_path: Path) -> None:
    with Store(tmp_path, SMALL) as store:
        chunks = ChunkList.of(values(4096, 1))
        store.open(chunks)
        for seed in (2, 3):
            store.put(values(4096, seed))
        with pytest.raises(UsageError, match="it may have been evicted, so pin it, then open it"):
            store.put_chunk(chunks.id, 0, values(4096, 1))


def test_a_blob_evicted_between_the_bytes_of_a_chunk_and_its_mark_is_not_acknowledged(tmp_path: Path) -> None:
    data = values(4096, 1)
    with Store(tmp_path, SMALL) as store, ThreadPoolExecutor(1) as pool:
        chunks = ChunkList.of(data)
        store.open(chunks)
        with store._lock:  # a writer needs it to mark what it has written
            putting = pool.submit(store.put_chunk, chunks.id, 0, data)
            while not path_of(store, chunks).read_bytes().endswith(data) and not putting.done():
                pass  # bounded: it ends with the writer's last byte, or with the writer
            for seed in (2, 3):
                store.put(values(4096, seed))
        with pytest.raises(UsageError, match="was evicted while it was filled; pin it, then open it again"):
            putting.result(10)
        assert store.used_bytes == disk_bytes(store)


# -- damage ----------------------------------------------------------------------------------------------------


@pytest.mark.must("BLB-18", "BLB-20")
def test_a_flipped_bit_costs_one_chunk_and_is_reported_once(tmp_path: Path) -> None:
    with Store(tmp_path, QUOTA) as store:
        chunks, other = store.put(LONG), store.put(SHORT)
        flip(path_of(store, chunks), -11)
        with pytest.raises(
            StoreDamage, match=r"chunk 1 of .* has rotted on the disk; it was dropped, fetch it"
        ) as damage:
            store.read(chunks.id, 1)
        assert (damage.value.blob_id, damage.value.index) == (chunks.id, 1)
        assert store.missing(chunks.id) == (range(1, 2),)
        assert store.read(chunks.id, 1) is None
        assert [store.read(chunks.id, i) for i in (0, 2)] == [pieces(LONG)[0], pieces(LONG)[2]]
        assert whole(store, other) == SHORT
        store.put_chunk(chunks.id, 1, pieces(LONG)[1])
        assert whole(store, chunks) == LONG


@pytest.mark.must("BLB-20")
@pytest.mark.parametrize("offset", [0, 15, 16, 23, 24, 100], ids=lambda o: f"byte {o}")
def test_a_rotten_list_costs_its_blob_and_no_other(tmp_path: Path, offset: int) -> None:
    with Store(tmp_path, QUOTA) as store:
        chunks, other = store.put(LONG), store.put(SHORT)
        flip(path_of(store, chunks), offset)
    with Store(tmp_path, QUOTA) as store:
        with pytest.raises(StoreDamage, match=r"is damaged .*; it was removed, fetch it again") as damage:
            store.read(chunks.id, 0)
        assert (damage.value.blob_id, damage.value.index) == (chunks.id, None)
        assert store.find(chunks.id) is None
        assert chunks.id not in store
        assert store.used_bytes == disk_bytes(store) == file_bytes(len(SHORT))
        assert whole(store, other) == SHORT
        store.put(LONG)
        assert whole(store, chunks) == LONG


@pytest.mark.must("BLB-20")
def test_opening_a_blob_with_a_rotten_list_makes_it_anew(tmp_path: Path) -> None:
    with Store(tmp_path, QUOTA) as store:
        chunks = store.put(LONG)
        flip(path_of(store, chunks), 30)
    with Store(tmp_path, QUOTA) as store:
        store.open(chunks)
        assert store.missing(chunks.id) == (range(3),)
        assert store.used_bytes == disk_bytes(store)


@pytest.mark.must("BLB-20")
def test_a_flag_that_rots_makes_a_chunk_missing_and_one_that_lies_is_found_out(tmp_path: Path) -> None:
    flags = 16 + 8 + 3 * 32
    with Store(tmp_path, QUOTA) as store:
        chunks = store.put(LONG)
        flip(path_of(store, chunks), flags + 1)
        assert store.missing(chunks.id) == (range(1, 2),)
        assert store.read(chunks.id, 1) is None
        store.put_chunk(chunks.id, 1, pieces(LONG)[1])
        empty = ChunkList.of(LONG[::-1])
        store.open(empty)
        with path_of(store, empty).open("r+b") as file:
            file.seek(flags)
            file.write(b"\x01")
        with pytest.raises(StoreDamage, match="chunk 0"):
            store.read(empty.id, 0)
        assert store.missing(empty.id) == (range(3),)


@pytest.mark.must("BLB-20")
@pytest.mark.parametrize("length", [0, 10, 200, 5000, 4096 + CHUNK_BYTES + 5])
def test_a_file_that_was_cut_off_loses_what_was_cut(tmp_path: Path, length: int) -> None:
    with Store(tmp_path, QUOTA) as store:
        chunks, other = store.put(LONG), store.put(SHORT)
        os.truncate(path_of(store, chunks), length)
    with Store(tmp_path, QUOTA) as store:
        with pytest.raises(StoreDamage):
            store.read(chunks.id, 0)
        assert whole(store, other) == SHORT
        assert whole(store, store.put(LONG)) == LONG
        assert store.used_bytes == disk_bytes(store)


@pytest.mark.must("BLB-20")
def test_a_file_cut_off_while_the_store_is_open_is_found_out_chunk_by_chunk(tmp_path: Path) -> None:
    with Store(tmp_path, QUOTA) as store:
        chunks = store.put(LONG)
        os.truncate(path_of(store, chunks), 4096 + CHUNK_BYTES)
        assert store.read(chunks.id, 0) == pieces(LONG)[0]
        for index in (1, 2):
            with pytest.raises(StoreDamage):
                store.read(chunks.id, index)
        store.put(LONG)
        assert whole(store, chunks) == LONG


def test_a_file_that_somebody_took_away_is_no_longer_counted(tmp_path: Path) -> None:
    with Store(tmp_path, QUOTA) as store:
        chunks = store.put(SHORT, "a")
        path_of(store, chunks).unlink()
        assert store.read(chunks.id, 0) is None
        assert (store.used_bytes, store.pinned_bytes) == (0, 0)
        store.flush()
        assert whole(store, store.put(SHORT)) == SHORT


def test_what_is_not_ours_in_the_folder_is_left_alone(tmp_path: Path) -> None:
    with Store(tmp_path, QUOTA) as store:
        chunks = store.put(SHORT)
    strangers = [tmp_path / "blobs" / "note", tmp_path / "blobs" / chunks.id.hex()[:2] / "x", tmp_path / "pins" / "y"]
    for path in strangers:
        path.write_bytes(b"1")
    (tmp_path / "partial" / "left").write_bytes(b"behind")
    with Store(tmp_path, QUOTA) as store:
        assert store.used_bytes == file_bytes(len(SHORT))
        assert not list((tmp_path / "partial").iterdir())
        assert all(path.exists() for path in strangers)


def test_a_link_in_the_place_of_a_blob_is_not_followed(tmp_path: Path) -> None:
    with Store(tmp_path / "store", QUOTA) as store:
        chunks = store.put(SHORT)
        path = path_of(store, chunks)
        path.rename(tmp_path / "elsewhere")
        path.symlink_to(tmp_path / "elsewhere")
        with pytest.raises(EnvironmentFault, match="cannot open"):
            store.read(chunks.id, 0)
