"""A checkpoint moves between real processes while they are killed, stopped, starved and lied to."""

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import pytest

from protocol.blobs.assemble import assemble
from protocol.blobs.chunks import ChunkList
from protocol.blobs.folder import manifest_of_folder
from protocol.blobs.kinds import Checkpoint
from protocol.blobs.layout import lay_out
from protocol.blobs.manifest import FileEntry, Manifest, TensorEntry
from protocol.blobs.store import Store

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

MIB = 1 << 20
TENSOR_BYTES = 8 * MIB + 12_345
TENSORS = 8
"""About 64 MiB: enough to be killed in the middle of."""

SLOW = ("--rate", str(12 * MIB))

MOST_MEMORY = 150 * MIB


def make_model(folder: Path, tensors: int = TENSORS, tensor_bytes: int = TENSOR_BYTES) -> Path:
    """A checkpoint of random bytes, the same every time; one tensor is in memory at a time."""
    names = {f"layer.{n:03d}": n for n in range(tensors)}
    ids = {name: ChunkList.of(values(n, tensor_bytes)).id for name, n in names.items()}
    config = b'{"model_type":"llama"}'
    manifest = Manifest(
        Checkpoint(),
        (FileEntry("config.json", len(config), ChunkList.of(config).id),),
        tuple(TensorEntry(name, "U8", (tensor_bytes,), ids[name]) for name in names),
    )
    folder.mkdir(parents=True)
    (folder / "config.json").write_bytes(config)
    for shard in lay_out(manifest, 1 << 40).shards:
        with (folder / shard.file).open("wb") as file:
            file.write(shard.head)
            for tensor in shard.tensors:
                file.write(values(names[tensor.name], tensor_bytes))
    return folder


def values(seed: int, size: int) -> bytes:
    return Random(seed).randbytes(size)  # noqa: S311


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("models") / "model")


@dataclass
class Node:
    """A child process that prints lines of JSON."""

    process: "subprocess.Popen[str]"
    lines: list[dict[str, Any]] = field(default_factory=list)

    def read(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise EOFError(f"the process ended with {self.process.wait()}")
        self.lines.append(json.loads(line))
        return self.lines[-1]

    def until(self, *keys: str) -> dict[str, Any]:
        """The next line with one of these keys."""
        while True:
            line = self.read()
            if any(name in line for name in keys):
                return line

    def landed(self) -> list[tuple[str, int]]:
        return [(line["blob_id"], line["index"]) for line in self.lines if line.get("event") == "Landed"]

    def until_landed(self, chunks: int) -> None:
        while len(self.landed()) < chunks:
            self.read()

    @property
    def manifest(self) -> str:
        """What a serving one serves."""
        return str(self.lines[0]["manifest"])

    def started_with(self) -> int:
        """Bytes that the store had when the checkpoint's download began, the manifest being here already."""
        return int([line["here_bytes"] for line in self.lines if line.get("event") == "Started"][-1])

    def end(self) -> None:
        """Let a serving one end by itself."""
        if self.process.stdin is not None:
            self.process.stdin.close()
            self.process.stdin = None

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.process.pid, number)


@contextmanager
def started(road: str, *arguments: str, **popen: Any) -> Iterator[Node]:
    command = [sys.executable, "-m", "tests.system.transfer_node", "--road", road, *arguments]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **popen)
    node = Node(process)
    try:
        yield node
    finally:
        with suppress(ProcessLookupError):
            node.signal(signal.SIGCONT)
        process.kill()
        process.communicate()


@contextmanager
def serving(road: str, folder: Path | None, key: int, *arguments: str) -> Iterator[tuple[Node, str]]:
    what = ("--folder", str(folder)) if folder is not None else ()
    with started(road, "serve", "--key", str(key), *what, *arguments) as node:
        yield node, f"{key}={node.until('address')['address']}"


def fetching(road: str, store: Path, manifest: str, *peers: str, **popen: Any) -> Any:
    return started(road, "fetch", "--store", str(store), "--manifest", manifest, "--peers", *peers, **popen)


def finish(node: Node) -> dict[str, Any]:
    """The outcome, having read everything; memory stayed within its bound."""
    outcome = node.until("seconds", "error")
    assert node.until("peak")["peak"] < MOST_MEMORY
    return outcome


def assert_assembled(store: Path, model: Path, tmp_path: Path) -> None:
    """The store holds what is needed to write the model again, and its root is the same."""
    manifest = manifest_of_folder(model)
    with Store(store, 1 << 40) as opened:
        assemble(manifest, opened, tmp_path / "again")
    assert manifest_of_folder(tmp_path / "again").root == manifest.root


ROADS = pytest.mark.parametrize("road", ["grpc", "libp2p"])


@ROADS
def test_a_peer_killed_in_the_middle_costs_nothing_but_time(road: str, model: Path, tmp_path: Path) -> None:
    with (
        serving(road, model, 1, *SLOW) as (victim, one),
        serving(road, model, 2, *SLOW) as (_, two),
        fetching(road, tmp_path / "store", victim.manifest, one, two) as node,
    ):
        node.until_landed(16)
        victim.signal(signal.SIGKILL)
        assert "seconds" in finish(node)
    landed = node.landed()
    assert len(landed) == len(set(landed)) == 9 * TENSORS + 1
    assert_assembled(tmp_path / "store", model, tmp_path)


@ROADS
def test_a_peer_that_is_stopped_is_replaced_within_ten_seconds(road: str, model: Path, tmp_path: Path) -> None:
    with (
        serving(road, model, 1, *SLOW) as (victim, one),
        serving(road, model, 2, *SLOW) as (_, two),
        fetching(road, tmp_path / "store", victim.manifest, one, two) as node,
    ):
        node.until_landed(16)
        victim.signal(signal.SIGSTOP)
        assert finish(node)["seconds"] < 25
    assert_assembled(tmp_path / "store", model, tmp_path)


@ROADS
def test_a_peer_with_bad_bytes_is_dropped_and_others_bring_the_rest(road: str, model: Path, tmp_path: Path) -> None:
    with (
        serving(road, model, 1, "--lies") as (liar, one),
        serving(road, model, 2) as (_, two),
        fetching(road, tmp_path / "store", liar.manifest, one, two) as node,
    ):
        assert "seconds" in finish(node)
    [lost] = [line for line in node.lines if line.get("event") == "Lost"]
    assert lost["source"].endswith(one.split("=")[1])
    assert lost["reason"].startswith("dropped, sent what it should not have")
    assert_assembled(tmp_path / "store", model, tmp_path)


@ROADS
def test_after_a_sigkill_of_the_receiver_no_chunk_that_landed_is_fetched_twice(
    road: str, model: Path, tmp_path: Path
) -> None:
    landed: list[tuple[str, int]] = []
    with serving(road, model, 1, "--rate", str(24 * MIB)) as (server, one):
        for chunks in (10, 20):
            with fetching(road, tmp_path / "store", server.manifest, one) as node:
                node.until_landed(chunks)
                node.signal(signal.SIGKILL)
                with suppress(EOFError, json.JSONDecodeError):
                    node.until("nothing")
            landed += node.landed()
        with fetching(road, tmp_path / "store", server.manifest, one) as node:
            assert "seconds" in finish(node)
    assert len(landed) == len(set(landed)) >= 30
    assert set(landed).isdisjoint(node.landed())
    assert node.started_with() >= sum(min(MIB, TENSOR_BYTES - index * MIB) for _, index in landed) - MIB
    assert_assembled(tmp_path / "store", model, tmp_path)


def test_a_store_without_room_says_so_and_keeps_what_came(model: Path, tmp_path: Path) -> None:
    with serving("grpc", model, 1) as (server, one):
        with fetching("grpc", tmp_path / "store", server.manifest, one, "--quota", str(20 * MIB)) as node:
            outcome = finish(node)
        assert outcome["error"] == "EnvironmentFault"
        assert "raise the quota" in outcome["message"]
        with fetching("grpc", tmp_path / "store", server.manifest, one) as node:
            assert "seconds" in finish(node)
    assert node.started_with() > 0


def test_a_disk_that_takes_no_more_says_so(model: Path, tmp_path: Path) -> None:
    def limited() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4 * MIB, 4 * MIB))

    with (
        serving("grpc", model, 1) as (server, one),
        fetching("grpc", tmp_path / "store", server.manifest, one, preexec_fn=limited) as node,
    ):
        outcome = finish(node)
    assert outcome["error"] == "EnvironmentFault"
    assert "size limit" in outcome["message"]


def test_when_every_peer_is_gone_the_error_names_them(model: Path, tmp_path: Path) -> None:
    with (
        serving("grpc", model, 1, *SLOW) as (server, one),
        fetching("grpc", tmp_path / "store", server.manifest, one) as node,
    ):
        node.until_landed(8)
        server.signal(signal.SIGKILL)
        outcome = finish(node)
    assert outcome["error"] == "UnavailableError"
    assert "what came is kept. Tried: " in outcome["message"]
    assert one.split("=")[1] in outcome["message"]


@ROADS
def test_three_limited_peers_are_half_again_as_fast_as_one(road: str, model: Path, tmp_path: Path) -> None:
    slow = ("--rate", str(10 * MIB))
    with (
        serving(road, model, 1, *slow) as (server, one),
        serving(road, model, 2, *slow) as (_, two),
        serving(road, model, 3, *slow) as (_, three),
    ):
        with fetching(road, tmp_path / "alone", server.manifest, one) as node:
            alone = finish(node)["seconds"]
        with fetching(road, tmp_path / "together", server.manifest, one, two, three) as node:
            together = finish(node)["seconds"]
    assert alone / together >= 1.5, (alone, together)


def test_memory_does_not_grow_with_what_is_moved(tmp_path: Path) -> None:
    big = make_model(tmp_path / "big", tensors=4, tensor_bytes=100 * MIB)
    with (
        serving("grpc", big, 1) as (server, one),
        fetching("grpc", tmp_path / "store", server.manifest, one) as node,
    ):
        assert "seconds" in finish(node)
        server.end()
        assert server.until("peak")["peak"] < MOST_MEMORY


def test_a_mirror_and_a_peer_together(model: Path, tmp_path: Path) -> None:
    with (
        serving("grpc", model, 1, "--rate", str(10 * MIB)) as (server, one),
        fetching("grpc", tmp_path / "store", server.manifest, one, "--mirrors", str(model)) as node,
    ):
        assert "seconds" in finish(node)
    assert str(model) in {line["source"] for line in node.lines if line.get("event") == "Landed"}
    assert_assembled(tmp_path / "store", model, tmp_path)
