"""What a store promises when its process is killed, or its disk is full."""

import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from protocol.blobs.store import Store
from tests.protocol.blobs.mortal import DATA, KEPT, LISTS, QUOTA_BYTES, chunk

ROOT = Path(__file__).parents[3]
BOUND_SECONDS = 60


def command(what: str, folder: Path) -> list[str]:
    return [sys.executable, "-m", "tests.protocol.blobs.mortal", what, str(folder)]


def noted(lines: Iterable[str]) -> set[tuple[int, int]]:
    pairs = [line.split() for line in lines]
    return {(int(seed), int(index)) for seed, index in pairs if int(seed) in KEPT}


def disk_bytes(store: Store) -> int:
    return sum(path.stat().st_size for path in (store.folder / "blobs").rglob("*") if path.is_file())


def check(folder: Path, acknowledged: set[tuple[int, int]]) -> None:
    """Everything acknowledged is there, nothing else is believed, and the rest can be put."""
    with Store(folder, QUOTA_BYTES) as store:
        assert store.used_bytes == disk_bytes(store) <= QUOTA_BYTES
        for seed, chunks in LISTS.items():
            for index in range(len(chunks.digests)):
                found = store.read(chunks.id, index)
                assert found in (None, chunk(seed, index))
                assert found is not None or (seed, index) not in acknowledged
        for seed in KEPT:
            store.put(DATA[seed], "test")
            assert store.missing(LISTS[seed].id) == ()
        assert store.used_bytes == disk_bytes(store) <= QUOTA_BYTES


@pytest.mark.must("BLB-19")
def test_a_writer_killed_at_any_system_call_loses_nothing_acknowledged(tmp_path: Path) -> None:
    subprocess.run(command("sweep", tmp_path), cwd=ROOT, check=True, timeout=BOUND_SECONDS)
    calls = sorted(int(path.stem) for path in tmp_path.glob("*.noted"))
    *killed, finished = [noted((tmp_path / f"{call}.noted").read_text().splitlines()) for call in calls]
    assert len(killed) > 30, "the sweep did not reach the calls it is about"
    assert killed[0] == set()
    assert len(finished) == 5
    assert {len(acknowledged) for acknowledged in killed} == set(range(5))
    for call, acknowledged in zip(calls, [*killed, finished], strict=True):
        check(tmp_path / str(call), acknowledged)


@pytest.mark.must("BLB-19")
@pytest.mark.parametrize("lines", [1, 4, 23])
def test_a_writer_killed_from_outside_loses_nothing_acknowledged(tmp_path: Path, lines: int) -> None:
    with subprocess.Popen(command("stream", tmp_path), cwd=ROOT, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        heard = [writer.stdout.readline() for _ in range(lines)]
        assert writer.poll() is None
        writer.kill()
        heard += writer.stdout.readlines()
    last_round = heard[max((i + 1 for i, line in enumerate(heard) if line == "again\n"), default=0) :]
    check(tmp_path, noted(line for line in last_round if line.endswith("\n")))


@pytest.mark.must("BLB-23")
def test_a_file_that_may_not_grow_is_an_error_with_advice_and_the_store_stays_whole(tmp_path: Path) -> None:
    tried = subprocess.run(
        command("full", tmp_path), cwd=ROOT, check=True, timeout=BOUND_SECONDS, capture_output=True, text=True
    )
    put, opened, small, assembled = tried.stdout.splitlines()
    for message in (put, opened, assembled):
        assert message.startswith("cannot ")
        assert "size limit of this process or file system (see `ulimit -f`)" in message
    assert small == "done"
    assert not (tmp_path / "model").exists()
    assert not list(tmp_path.glob(".model*"))
    with Store(tmp_path / "store", 10**9) as store:
        assert store.missing(LISTS[1].id) == (range(1, 3),)
        assert store.read(LISTS[1].id, 0) == chunk(1, 0)
        assert store.read(LISTS[2].id, 0) == DATA[2]
        assert not list((store.folder / "partial").iterdir())
        assert store.used_bytes == disk_bytes(store)


@pytest.mark.must("BLB-23")
def test_a_full_disk_loses_nothing_and_takes_the_blob_once_there_is_room(tmp_path: Path) -> None:
    """On a real file system of 4 MiB, which users may mount in a namespace of their own on most systems."""
    mount = f"mount -t tmpfs -o size=4m none {shlex.quote(str(tmp_path))}"
    alone = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
    if shutil.which("unshare") is None or subprocess.run([*alone, mount], capture_output=True).returncode:
        pytest.skip("this system lets nobody mount a small disk")
    within = f"{mount} && {shlex.join(command('brimful', tmp_path))}"
    tried = subprocess.run(
        [*alone, within], cwd=ROOT, check=True, timeout=BOUND_SECONDS, capture_output=True, text=True
    )
    refusal, before, after = tried.stdout.splitlines()
    assert refusal.endswith("the disk is full; free some space or choose a folder on another disk")
    assert before == "[True, True, False] False"
    assert after == "[True, True, False] True"
