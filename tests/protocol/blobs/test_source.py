"""Sources seen from the event loop: the same answers, off the loop, and a library that passes over what fails."""

import asyncio
import threading
from pathlib import Path

import pytest

from protocol.blobs.chunks import ChunkList
from protocol.blobs.folder import FolderSource
from protocol.blobs.source import DISK_THREADS, DiskSource, Library, Source, StoreDamage
from protocol.blobs.store import Store
from protocol.errors import EnvironmentFault, UsageError
from tests.protocol.blobs.folders import model_folder, values

DATA = values(5000)
CHUNKS = ChunkList.of(DATA)


class Rotten(DiskSource):
    """Has every blob, and none of it can be read."""

    def find(self, blob_id: bytes) -> ChunkList | None:
        raise EnvironmentFault("this disk is gone")

    def read(self, blob_id: bytes, index: int) -> bytes | None:
        raise StoreDamage(blob_id, index, "this chunk has rotted")


class Counting(DiskSource):
    """Answers when as many readers are in as are allowed in."""

    def __init__(self) -> None:
        super().__init__()
        self.together = threading.Barrier(DISK_THREADS)
        self.inside = 0
        self.most = 0
        self.lock = threading.Lock()

    def find(self, blob_id: bytes) -> ChunkList | None:
        return None

    def read(self, blob_id: bytes, index: int) -> bytes | None:
        with self.lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
        self.together.wait(10)
        with self.lock:
            self.inside -= 1
        return bytes([index])


def test_a_store_and_a_folder_answer_from_the_event_loop(tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "model", {"a": ("U8", (5000,), DATA)})

    async def ask(source: Source) -> tuple[ChunkList | None, bytes | None, ChunkList | None, bytes | None]:
        here = await source.chunk_list(CHUNKS.id), await source.read_chunk(CHUNKS.id, 0)
        return *here, await source.chunk_list(bytes(32)), await source.read_chunk(bytes(32), 0)

    with Store(tmp_path / "store", 2**20) as store, FolderSource(folder) as source:
        store.put(DATA)
        for one in (store, source, Library(store, source)):
            assert asyncio.run(ask(one)) == (CHUNKS, DATA, None, None)


def test_chunks_are_put_from_the_event_loop(tmp_path: Path) -> None:
    async def put(store: Store) -> None:
        await store.off_loop(store.open, CHUNKS)
        await store.off_loop(store.put_chunk, CHUNKS.id, 0, DATA)

    with Store(tmp_path / "store", 2**20) as store:
        asyncio.run(put(store))
        assert store.read_whole(CHUNKS.id, 5000) == DATA


@pytest.mark.must("BLB-24")
def test_no_more_than_a_few_reads_of_a_source_are_in_progress_at_once() -> None:
    async def ask(source: Source) -> list[bytes | None]:
        return await asyncio.gather(*(source.read_chunk(bytes(32), i) for i in range(5 * DISK_THREADS)))

    with Counting() as source:
        assert asyncio.run(ask(source)) == [bytes([i]) for i in range(5 * DISK_THREADS)]
        assert source.most == DISK_THREADS


def test_a_closed_source_says_so(tmp_path: Path) -> None:
    store = Store(tmp_path / "store", 2**20)
    store.close()
    store.close()
    with pytest.raises(UsageError, match="this Store is closed"):
        asyncio.run(store.chunk_list(bytes(32)))


def test_a_library_asks_in_order_and_passes_over_what_fails(tmp_path: Path) -> None:
    with Store(tmp_path / "one", 2**20) as one, Store(tmp_path / "two", 2**20) as two, Rotten() as rotten:
        one.open(CHUNKS)
        two.put(DATA)
        library = Library(rotten, one)
        assert asyncio.run(library.chunk_list(CHUNKS.id)) == CHUNKS
        with pytest.raises(StoreDamage, match="rotted"):
            asyncio.run(library.read_chunk(CHUNKS.id, 0))
        library.add(two)
        assert asyncio.run(library.read_chunk(CHUNKS.id, 0)) == DATA
        library.remove(rotten)
        library.remove(two)
        assert asyncio.run(library.read_chunk(CHUNKS.id, 0)) is None


def test_an_empty_library_has_nothing() -> None:
    assert asyncio.run(Library().chunk_list(bytes(32))) is None
