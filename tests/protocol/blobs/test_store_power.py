"""What a store syncs, and in which order: what a failure of power leaves of it."""

import errno
import os
from pathlib import Path

import pytest

from protocol.blobs.chunks import CHUNK_BYTES, ChunkList
from protocol.blobs.store import Store
from protocol.errors import EnvironmentFault
from tests.protocol.blobs.folders import values

QUOTA = 64 * 2**20
LONG = values(2 * CHUNK_BYTES + 10, 1)
SHORT = values(3000, 2)


def path_of(store: Store, chunks: ChunkList) -> Path:
    return store.folder / "blobs" / chunks.id.hex()[:2] / chunks.id.hex()


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The inodes that were synced, in order."""
    inodes: list[int] = []
    real = os.fsync

    def fsync(fd: int) -> None:
        inodes.append(os.fstat(fd).st_ino)
        real(fd)

    monkeypatch.setattr(os, "fsync", fsync)
    return inodes


def inodes(*paths: Path) -> list[int]:
    return [path.stat().st_ino for path in paths]


@pytest.mark.parametrize("data", [b"", SHORT, LONG], ids=len)
def test_a_flush_syncs_a_blob_and_then_every_name_on_the_way_to_it(
    tmp_path: Path, synced: list[int], data: bytes
) -> None:
    with Store(tmp_path, QUOTA) as store:
        path = path_of(store, store.put(data))
        synced.clear()
        store.flush()
        assert synced == inodes(path, path.parent, tmp_path / "blobs")
        synced.clear()
        store.flush()
        assert not {*synced} & {*inodes(path, path.parent)}


def test_a_flush_syncs_pins_that_were_set_or_dropped(tmp_path: Path, synced: list[int]) -> None:
    pinned = tmp_path / "pins" / "round-1"
    with Store(tmp_path, QUOTA) as store:
        store.pin(bytes(32), "round-1")
        store.pin(bytes([1]) * 32, "round-1")
        synced.clear()
        store.flush()
        assert synced[:2] == inodes(pinned, pinned.parent)
        store.unpin(bytes(32), "round-1")
        synced.clear()
        store.flush()
        assert synced[:2] == inodes(pinned, pinned.parent)
        store.release("round-1")
        synced.clear()
        store.flush()
        assert not pinned.exists()
        assert synced[0] == pinned.parent.stat().st_ino


def test_the_folders_of_a_new_store_are_synced_in_those_above_them(tmp_path: Path, synced: list[int]) -> None:
    folder = tmp_path / "a" / "store"
    Store(folder, QUOTA).close()
    assert synced == inodes(tmp_path, tmp_path / "a", folder, folder, folder)
    synced.clear()
    Store(folder, QUOTA).close()
    assert synced == []


def test_what_could_not_be_flushed_is_flushed_the_next_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(fd: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with Store(tmp_path, QUOTA) as store:
        path = path_of(store, store.put(SHORT, "a"))
        with monkeypatch.context() as broken:
            broken.setattr(os, "fsync", failing)
            with pytest.raises(EnvironmentFault, match="the disk reported a failure"):
                store.flush()
        tried: list[int] = []
        monkeypatch.setattr(os, "fsync", lambda fd: tried.append(os.fstat(fd).st_ino))
        store.flush()
        assert {*inodes(path, path.parent, tmp_path / "pins" / "a", tmp_path / "pins")} <= {*tried}
