"""Processes that die while they use a store: ``python -m tests.protocol.blobs.mortal WHAT FOLDER``.

``sweep`` forks a writer for every system call that a writer makes, and kills it with SIGKILL at that call: before it,
or, where it writes bytes, after half of them. ``stream`` writes and says so until somebody kills it. Whatever
``put_chunk`` returned for is noted as ``SEED INDEX``. ``full`` may write no large files any more, and ``brimful`` is on
a disk of 4 MiB.
"""

import os
import resource
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from protocol.blobs.assemble import assemble
from protocol.blobs.blobfile import file_bytes
from protocol.blobs.chunks import CHUNK_BYTES, ChunkList
from protocol.blobs.kinds import Checkpoint
from protocol.blobs.manifest import FileEntry, Manifest, TensorEntry
from protocol.blobs.store import Store
from protocol.errors import EnvironmentFault
from tests.protocol.blobs.folders import values

KEPT = {1: 2 * CHUNK_BYTES + 77, 2: 5000, 3: CHUNK_BYTES}
"""Sizes of the blobs that are pinned, by seed."""

PASSING = {4: 60_000, 5: 50_000, 6: 60_000}
"""Of those that are not, only one fits at a time."""

QUOTA_BYTES = sum(map(file_bytes, KEPT.values())) + file_bytes(60_000)

DEADLY = ("pwrite", "ftruncate", "replace", "unlink", "mkdir", "open")
"""The system calls at which a writer is killed."""

DATA = {seed: values(size, seed) for seed, size in (KEPT | PASSING).items()}
LISTS = {seed: ChunkList.of(data) for seed, data in DATA.items()}


def chunk(seed: int, index: int) -> bytes:
    """One chunk of one of the blobs."""
    return DATA[seed][index * CHUNK_BYTES : (index + 1) * CHUNK_BYTES]


def fill(folder: Path, note: int) -> None:
    """Write all blobs, what is unpinned in between, noting every chunk in the file ``note`` once it is put."""
    with Store(folder, QUOTA_BYTES) as store:
        for seed in (4, 1, 5, 2, 6, 3):
            chunks = LISTS[seed]
            store.open(chunks, holder="test" if seed in KEPT else None)
            for index in (i for gap in store.missing(chunks.id) for i in gap):
                store.put_chunk(chunks.id, index, chunk(seed, index))
                os.write(note, b"%d %d\n" % (seed, index))


def sweep(root: Path) -> None:
    """Folders ``root/1``, ``root/2`` and so on, each left behind by a writer killed at that call."""
    for call in range(1, 1000):
        folder = root / str(call)
        folder.mkdir()
        note = os.open(root / f"{call}.noted", os.O_WRONLY | os.O_CREAT)
        if (child := os.fork()) == 0:
            _die_at(call)
            fill(folder, note)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        os.close(note)
        if os.WIFEXITED(status):
            sys.exit(os.waitstatus_to_exitcode(status))
        if os.WTERMSIG(status) != signal.SIGKILL:
            sys.exit(f"call {call} ended with signal {os.WTERMSIG(status)}")
    sys.exit("a writer needs more calls than that?")


def _die_at(call: int) -> None:
    left = call

    def deadly(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*arguments: Any, **named: Any) -> Any:
            nonlocal left
            left -= 1
            if left == 0:
                if name == "pwrite":
                    fd, data, offset = arguments
                    real(fd, bytes(data)[: len(data) // 2], offset)
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*arguments, **named)

        return wrapped

    for name in DEADLY:
        setattr(os, name, deadly(name, getattr(os, name)))


def stream(folder: Path) -> None:
    """Write for ever, one round after another."""
    while True:
        fill(folder, 1)
        os.write(1, b"again\n")
        shutil.rmtree(folder / "blobs")


def full(folder: Path) -> None:
    """Try to write more than the disk takes, then less; print what was said."""
    store = Store(folder / "store", 10**9)
    store.open(LISTS[1])
    store.put_chunk(LISTS[1].id, 0, chunk(1, 0))
    store.put(DATA[3])
    resource.setrlimit(resource.RLIMIT_FSIZE, (CHUNK_BYTES + CHUNK_BYTES // 2, -1))
    tensors = tuple(TensorEntry(name, "U8", (KEPT[3],), LISTS[3].id) for name in ("a", "b"))
    manifest = Manifest(Checkpoint(), (FileEntry("config.json", KEPT[2], LISTS[2].id),), tensors)
    for what in (
        lambda: store.put_chunk(LISTS[1].id, 1, chunk(1, 1)),
        lambda: store.open(ChunkList.of(values(3 * CHUNK_BYTES))),
        lambda: store.put(DATA[2]),
        lambda: assemble(manifest, store, folder / "model"),
    ):
        try:
            what()
        except EnvironmentFault as error:
            print(error)  # noqa: T201 - the test reads it
        else:
            print("done")  # noqa: T201
    store.close()


def brimful(folder: Path) -> None:
    """Fill the disk to the brim, try to open a blob, make room, try again; print what was said and what is there."""
    with Store(folder / "store", 10**9) as store:
        store.open(LISTS[1])
        store.put_chunk(LISTS[1].id, 0, chunk(1, 0))
        (folder / "others").write_bytes(bytes(shutil.disk_usage(folder).free))
        store.put_chunk(LISTS[1].id, 1, chunk(1, 1))  # its room was set aside
        for _ in range(2):
            try:
                store.open(LISTS[2])
                store.put_chunk(LISTS[2].id, 0, chunk(2, 0))
            except EnvironmentFault as error:
                print(error)  # noqa: T201
            good = [store.read(LISTS[1].id, i) == chunk(1, i) for i in range(3)]
            print(good, store.read(LISTS[2].id, 0) == chunk(2, 0))  # noqa: T201
            (folder / "others").unlink(missing_ok=True)


if __name__ == "__main__":
    {"sweep": sweep, "stream": stream, "full": full, "brimful": brimful}[sys.argv[1]](Path(sys.argv[2]))
