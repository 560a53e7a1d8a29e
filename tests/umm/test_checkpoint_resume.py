"""Work that was cut short: killed anywhere, resumed, and the same bytes in the end."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from umm.checkpoint.reader import Checkpoint
from umm.checkpoint.writer import OutTensor, Writer
from umm.digest import checkpoint_root
from umm.errors import CheckpointError

MERGE = '''
"""A small merge that writes into ``folder`` and calls ``step`` at every point where it could be killed."""

from umm.checkpoint.writer import OutTensor, Writer

TENSORS = [OutTensor(name, "U8", (size,)) for name, size in (("a", 5000), ("b", 9000), ("c", 0), ("d", 7000))]
FILES = {"config.json": b"{}", "tokenizer.json": b"[]", "README.md": b"card"}


def content(tensor):
    return bytes((7 * i + len(tensor.name) + tensor.size) % 251 for i in range(tensor.size))


def merge(folder, shard_bytes, step):
    with Writer(folder, TENSORS, shard_bytes=shard_bytes, fingerprint="recipe and inputs") as writer:
        for tensor in TENSORS:
            if tensor.name in writer.done:
                continue
            sink = writer.begin(tensor.name)
            data = content(tensor)
            for at in range(0, tensor.size, 4096):
                step()
                sink.write(data[at : at + 4096])
            step()
            sink.finish()
        return writer.commit(FILES)
'''

KILLED = """
import os, signal, sys
from pathlib import Path

there, shard_bytes = Path(sys.argv[1]), int(sys.argv[2])
EVENTS = ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate", "open", "shutil.rmtree")
left = 0

def step():
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)

for point in range(1, 1000):
    child = os.fork()
    if child == 0:
        left = point
        folder = str(there / str(point))
        def hook(event, args):
            if event in EVENTS and args and str(args[0]).startswith(folder):
                step()
        sys.addaudithook(hook)
        merge(Path(folder), shard_bytes, step)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    if os.WIFEXITED(status):
        sys.exit(os.WEXITSTATUS(status))
    assert os.WTERMSIG(status) == signal.SIGKILL
"""

space: dict[str, object] = {}
exec(MERGE, space)  # noqa: S102 - the same source that the killed process runs


def merge(folder: Path, shard_bytes: int) -> bytes:
    made = space["merge"]
    assert callable(made)
    root = made(folder, shard_bytes, lambda: None)
    assert isinstance(root, bytes)
    return root


def listing(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(folder.iterdir())}


@pytest.mark.parametrize("shard_bytes", [10_000, 2**30], ids=["several files", "one file"])
def test_a_merge_killed_at_any_point_resumes_to_the_same_bytes(tmp_path: Path, shard_bytes: int) -> None:
    root = merge(tmp_path / "whole", shard_bytes)
    expected = listing(tmp_path / "whole")
    child = [sys.executable, "-c", MERGE + KILLED, str(tmp_path), str(shard_bytes)]
    subprocess.run(child, timeout=100, check=True)
    killed = sorted((p for p in tmp_path.iterdir() if p.name.isdigit()), key=lambda p: int(p.name))
    assert len(killed) > 25
    for folder in killed:
        visible = sees_the_model(folder, root)
        if visible and not (folder / ".umm-partial" / "journal").exists():
            remove_the_empty_folder_that_may_remain(folder)
        else:
            assert merge(folder, shard_bytes) == root
        assert listing(folder) == expected


def sees_the_model(folder: Path, root: bytes) -> bool:
    """Whether a reader finds a model; if one does, it must be whole, otherwise nothing may lead to it."""
    if not folder.exists():
        return False
    try:
        seen = checkpoint_root(folder)
    except CheckpointError:
        seen = None
    entrances = [p.name for p in folder.iterdir() if p.name.startswith("model.safetensors")]
    assert seen == root if entrances else seen is None
    return seen is not None


def remove_the_empty_folder_that_may_remain(folder: Path) -> None:
    if (folder / ".umm-partial").exists():
        (folder / ".umm-partial").rmdir()


TENSORS = [OutTensor("a", "U8", (5000,)), OutTensor("b", "U8", (9000,))]


def half_done(folder: Path) -> None:
    """Both tensors written, nothing committed."""
    with Writer(folder, TENSORS, shard_bytes=2**30, fingerprint="f") as writer:
        for tensor in TENSORS:
            sink = writer.begin(tensor.name)
            sink.write(tensor.name.encode() * tensor.size)
            sink.finish()


def resumed(folder: Path) -> list[str]:
    with Writer(folder, TENSORS, shard_bytes=2**30, fingerprint="f") as writer:
        return sorted(writer.done)


def test_finished_tensors_are_found_again_with_their_digests(tmp_path: Path) -> None:
    half_done(tmp_path)
    with Writer(tmp_path, TENSORS, shard_bytes=2**30, fingerprint="f") as writer:
        assert sorted(writer.done) == ["a", "b"]
        with pytest.raises(ValueError, match="a is written already"):
            writer.begin("a")
        root = writer.commit({"config.json": b"{}"})
    assert checkpoint_root(tmp_path) == root


def test_a_changed_byte_is_noticed_and_its_tensor_written_again(tmp_path: Path) -> None:
    half_done(tmp_path)
    partial = tmp_path / ".umm-partial" / "model.safetensors"
    data = bytearray(partial.read_bytes())
    data[-1] ^= 1
    partial.write_bytes(data)
    with Writer(tmp_path, TENSORS, shard_bytes=2**30, fingerprint="f") as writer:
        assert sorted(writer.done) == ["a"]
        sink = writer.begin("b")
        sink.write(b"b" * 9000)
        sink.finish()
        writer.commit({"config.json": b"{}"})
    with Checkpoint.open(tmp_path) as checkpoint:
        assert checkpoint.raw("b") == b"b" * 9000


@pytest.mark.parametrize("keep", [0, 50, 6000])
def test_a_truncated_partial_file_is_mended(tmp_path: Path, keep: int) -> None:
    half_done(tmp_path)
    partial = tmp_path / ".umm-partial" / "model.safetensors"
    partial.write_bytes(partial.read_bytes()[:keep])
    assert resumed(tmp_path) == (["a"] if keep == 6000 else [])
    half = {t.name: t.size for t in TENSORS}
    assert partial.stat().st_size > sum(half.values())


def test_a_partial_file_that_is_gone_is_made_again(tmp_path: Path) -> None:
    half_done(tmp_path)
    (tmp_path / ".umm-partial" / "model.safetensors").unlink()
    assert resumed(tmp_path) == []


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{",
        b"[]",
        b'{"tensor": "zzz", "leaf": "%s"}' % (b"00" * 32),
        b'{"tensor": 1, "leaf": 2}',
        b'{"tensor": "b", "leaf": "xyz"}',
        b'{"tensor": "b", "leaf": "00"}',
        b"\xff\xfe",
    ],
)
def test_a_torn_or_senseless_line_of_the_journal_is_skipped(tmp_path: Path, line: bytes) -> None:
    half_done(tmp_path)
    journal = tmp_path / ".umm-partial" / "journal"
    lines = [whole for whole in journal.read_bytes().split(b"\n") if whole]
    journal.write_bytes(b"\n".join([*lines[:2], line]))
    assert resumed(tmp_path) == ["a"]


def test_a_tensor_noted_after_a_torn_line_is_found_again(tmp_path: Path) -> None:
    half_done(tmp_path)
    journal = tmp_path / ".umm-partial" / "journal"
    journal.write_bytes(journal.read_bytes()[:-30])
    with Writer(tmp_path, TENSORS, shard_bytes=2**30, fingerprint="f") as writer:
        assert sorted(writer.done) == ["a"]
        sink = writer.begin("b")
        sink.write(b"b" * 9000)
        sink.finish()
    assert resumed(tmp_path) == ["a", "b"]


def test_a_journal_with_a_false_digest_is_not_believed(tmp_path: Path) -> None:
    half_done(tmp_path)
    journal = tmp_path / ".umm-partial" / "journal"
    lie = json.dumps({"tensor": "a", "leaf": "00" * 32}).encode()
    journal.write_bytes(journal.read_bytes() + lie + b"\n")
    assert resumed(tmp_path) == ["b"]


def test_a_partial_folder_without_a_journal_is_begun_anew(tmp_path: Path) -> None:
    half_done(tmp_path)
    (tmp_path / ".umm-partial" / "journal").unlink()
    assert resumed(tmp_path) == []
