"""Writing model folders: the bytes, the split, the root, what is refused, what happens without room."""

import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from umm.checkpoint.dtype import Dtype
from umm.checkpoint.reader import Checkpoint
from umm.checkpoint.writer import OutTensor, Writer
from umm.digest import checkpoint_root
from umm.errors import EnvironmentFault

FILES = {"config.json": b'{"num_hidden_layers": 1}\n', "tokenizer.json": b"{}\n", "README.md": b"# A model\n"}

Contents = Mapping[OutTensor, bytes]


def write(folder: Path, contents: Contents, shard_bytes: int = 2**30, *, force: bool = False) -> bytes:
    tensors = list(contents)
    with Writer(folder, tensors, shard_bytes=shard_bytes, fingerprint="f", force=force) as writer:
        for tensor in tensors:
            sink = writer.begin(tensor.name)
            data = contents[tensor]
            sink.write(data[: len(data) // 2])
            sink.write(memoryview(data)[len(data) // 2 :])
            sink.finish()
        return writer.commit(FILES, {"recipe": "abc"})


def listing(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(folder.iterdir())}


MIXED: Contents = {
    OutTensor("odd", Dtype.BF16, (3,)): b"abcdef",
    OutTensor("wide", Dtype.F32, (2,)): b"12345678",
    OutTensor("ids", "I64", (1,)): b"\x01" + b"\0" * 7,
    OutTensor("empty", Dtype.F16, (0, 4)): b"",
    OutTensor("mask", "BOOL", (3,)): b"\x01\0\x01",
}


KINDS: list[Dtype | str] = [Dtype.BF16, Dtype.F16, Dtype.F32, "U8", "I64"]


@st.composite
def contents(draw: st.DrawFn) -> Contents:
    names = draw(st.sets(st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1, max_size=8)))
    made: dict[OutTensor, bytes] = {}
    for name in sorted(names - {"__metadata__"}):
        dtype = draw(st.sampled_from(KINDS))
        shape = tuple(draw(st.lists(st.integers(0, 4), max_size=3)))
        tensor = OutTensor(name, dtype, shape)
        made[tensor] = draw(st.binary(min_size=tensor.size, max_size=tensor.size))
    return made


@settings(deadline=None, max_examples=20)
@given(contents(), st.integers(1, 300))
def test_what_is_written_is_read_back_however_it_is_split(made: Contents, shard_bytes: int) -> None:
    with tempfile.TemporaryDirectory() as there:
        split, whole = Path(there) / "split", Path(there) / "whole"
        root = write(split, dict(reversed(list(made.items()))), shard_bytes)
        assert root == write(whole, made) == checkpoint_root(split) == checkpoint_root(whole)
        with Checkpoint.open(split) as checkpoint:
            assert list(checkpoint.tensors) == sorted(t.name for t in made)
            for tensor, data in made.items():
                stored = checkpoint.tensors[tensor.name]
                assert (stored.dtype, stored.shape) == (tensor.header_dtype, tensor.shape)
                assert checkpoint.raw(tensor.name) == data
                with safe_open(stored.file, "np") as reference:
                    assert list(reference.get_slice(tensor.name).get_shape()) == list(tensor.shape)


def test_the_reference_implementation_reads_every_tensor(tmp_path: Path) -> None:
    write(tmp_path / "m", {t: d for t, d in MIXED.items() if t.dtype is not Dtype.BF16})
    values = load_file(tmp_path / "m" / "model.safetensors")
    assert {name: value.tobytes() for name, value in values.items()} == {
        t.name: d for t, d in MIXED.items() if t.dtype is not Dtype.BF16
    }


def test_a_file_is_the_reference_implementations_byte_for_byte(tmp_path: Path) -> None:
    values: dict[str, NDArray[Any]] = {
        "b": np.arange(3, dtype=np.float16),
        "a": np.arange(4, dtype=np.float32),
        "é": np.ones(1, np.float16),
    }
    save_file(values, tmp_path / "theirs", metadata={"format": "pt"})
    made = {OutTensor(n, {2: "F16", 4: "F32"}[v.itemsize], v.shape): v.tobytes() for n, v in values.items()}
    write(tmp_path / "m", made)
    assert (tmp_path / "m" / "model.safetensors").read_bytes() == (tmp_path / "theirs").read_bytes()


def test_every_tensor_is_aligned_to_its_width(tmp_path: Path) -> None:
    write(tmp_path / "m", MIXED)
    with Checkpoint.open(tmp_path / "m") as checkpoint:
        widths = {"odd": 2, "wide": 4, "ids": 8, "empty": 2, "mask": 1}
        assert all(t.start % widths[name] == 0 for name, t in checkpoint.tensors.items())


def test_several_files_are_numbered_and_indexed(tmp_path: Path) -> None:
    write(tmp_path / "m", MIXED, shard_bytes=9)
    index = json.loads((tmp_path / "m" / "model.safetensors.index.json").read_text())
    one, two, three = (f"model-0000{i}-of-00003.safetensors" for i in (1, 2, 3))
    assert index == {
        "metadata": {"total_size": 25},
        "weight_map": {"empty": one, "ids": one, "mask": two, "odd": two, "wide": three},
    }


def test_the_same_inputs_give_the_same_bytes_in_every_file(tmp_path: Path) -> None:
    write(tmp_path / "one", MIXED, shard_bytes=9)
    write(tmp_path / "elsewhere" / "two", dict(reversed(list(MIXED.items()))), shard_bytes=9)
    assert listing(tmp_path / "one") == listing(tmp_path / "elsewhere" / "two")


def test_the_receipt_names_the_root_every_leaf_and_what_the_caller_says(tmp_path: Path) -> None:
    root = write(tmp_path / "m", MIXED)
    receipt = json.loads((tmp_path / "m" / "umm.json").read_text())
    assert receipt["root"] == root.hex()
    assert sorted(receipt["tensors"]) == sorted(t.name for t in MIXED)
    assert sorted(receipt["files"]) == ["config.json", "tokenizer.json"]
    assert receipt["about"] == {"recipe": "abc"}


def test_the_card_and_the_receipt_are_no_part_of_the_root(tmp_path: Path) -> None:
    root = write(tmp_path / "m", MIXED)
    (tmp_path / "m" / "README.md").write_text("another card, which may name the root")
    (tmp_path / "m" / "umm.json").unlink()
    assert checkpoint_root(tmp_path / "m") == root
    (tmp_path / "m" / "tokenizer.json").write_text("{ }")
    assert checkpoint_root(tmp_path / "m") != root


def test_the_root_is_known_before_the_commit(tmp_path: Path) -> None:
    tensor = OutTensor("a", Dtype.F32, (1,))
    with Writer(tmp_path / "m", [tensor], shard_bytes=99, fingerprint="f") as writer:
        sink = writer.begin("a")
        sink.write(b"1234")
        sink.finish()
        root = writer.root({"config.json": FILES["config.json"]})
        assert root == writer.commit({"config.json": FILES["config.json"], "README.md": root.hex().encode()})


def test_threads_write_different_tensors_at_once(tmp_path: Path) -> None:
    made = {OutTensor(f"t{i:02d}", "U8", (50_000,)): bytes([i]) * 50_000 for i in range(24)}
    with Writer(tmp_path / "m", list(made), shard_bytes=300_000, fingerprint="f") as writer:

        def fill(share: Sequence[OutTensor]) -> None:
            for tensor in share:
                sink = writer.begin(tensor.name)
                for at in range(0, tensor.size, 7919):
                    sink.write(made[tensor][at : at + 7919])
                sink.finish()

        threads = [threading.Thread(target=fill, args=(list(made)[i::4],)) for i in range(4)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        root = writer.commit(FILES)
    assert root == write(tmp_path / "serial", made) == checkpoint_root(tmp_path / "m")


def test_nothing_is_visible_before_the_commit(tmp_path: Path) -> None:
    with Writer(tmp_path / "m", list(MIXED), shard_bytes=9, fingerprint="f") as writer:
        writer.begin("wide").write(b"1234")
        assert [p.name for p in (tmp_path / "m").iterdir()] == [".umm-partial"]


def test_abandoned_work_leaves_nothing(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "m", list(MIXED), shard_bytes=9, fingerprint="f")
    writer.abandon()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("data", [b"123", b"12345"])
def test_a_tensor_of_the_wrong_length_is_a_programming_error(tmp_path: Path, data: bytes) -> None:
    with Writer(tmp_path / "m", [OutTensor("a", "F32", (1,))], shard_bytes=9, fingerprint="f") as writer:
        sink = writer.begin("a")
        with pytest.raises(ValueError, match="bytes of a"):  # noqa: PT012 - too much is refused at once
            sink.write(data)
            sink.finish()


def test_committing_too_early_is_a_programming_error(tmp_path: Path) -> None:
    with Writer(tmp_path / "m", list(MIXED), shard_bytes=9, fingerprint="f") as writer:
        with pytest.raises(ValueError, match="5 tensors are not finished"):
            writer.commit(FILES)
        assert [p.name for p in (tmp_path / "m").iterdir()] == [".umm-partial"]


@pytest.mark.parametrize("name", ["../config.json", "a/b", "model.safetensors", "umm.json", "journal", ".."])
def test_a_small_file_cannot_take_another_place(tmp_path: Path, name: str) -> None:
    with (
        Writer(tmp_path / "m", [], shard_bytes=9, fingerprint="f") as writer,
        pytest.raises(ValueError, match="not a name for a small file"),
    ):
        writer.commit({name: b""})


def test_one_name_twice_is_a_programming_error(tmp_path: Path) -> None:
    twice = [OutTensor("a", "U8", (1,)), OutTensor("a", "U8", (2,))]
    with pytest.raises(ValueError, match="same name"):
        Writer(tmp_path / "m", twice, shard_bytes=9, fingerprint="f")


def test_a_folder_with_something_in_it_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(EnvironmentFault, match=r"is not empty \(it holds thesis.txt\).*--force"):
        Writer(tmp_path, list(MIXED), shard_bytes=9, fingerprint="f")
    assert listing(tmp_path) == {"thesis.txt": b"precious"}


def test_unfinished_work_of_another_recipe_is_refused_and_kept(tmp_path: Path) -> None:
    Writer(tmp_path / "m", list(MIXED), shard_bytes=9, fingerprint="one").close()
    for fingerprint, shard_bytes in (("two", 9), ("one", 99)):
        with pytest.raises(EnvironmentFault, match=r"unfinished merge of another recipe.*--force"):
            Writer(tmp_path / "m", list(MIXED), shard_bytes=shard_bytes, fingerprint=fingerprint)
    Writer(tmp_path / "m", list(MIXED), shard_bytes=9, fingerprint="one").close()


def test_force_replaces_the_old_model_and_only_at_the_commit(tmp_path: Path) -> None:
    folder = tmp_path / "m"
    old = write(folder, MIXED, shard_bytes=9)
    (folder / "notes.txt").write_text("mine")
    made = {OutTensor("new", "U8", (3,)): b"new"}
    with Writer(folder, list(made), shard_bytes=99, fingerprint="f", force=True):
        assert checkpoint_root(folder) == old
    write(folder, made, force=True)
    assert sorted(listing(folder)) == [
        "README.md", "config.json", "model.safetensors", "notes.txt", "tokenizer.json", "umm.json",
    ]  # fmt: skip
    with Checkpoint.open(folder) as checkpoint:
        assert list(checkpoint.tensors) == ["new"]


def test_force_discards_unfinished_work(tmp_path: Path) -> None:
    Writer(tmp_path / "m", list(MIXED), shard_bytes=9, fingerprint="other").close()
    assert write(tmp_path / "m", MIXED, force=True) == checkpoint_root(tmp_path / "m")


def test_two_merges_do_not_write_into_one_folder(tmp_path: Path) -> None:
    with Writer(tmp_path / "m", list(MIXED), shard_bytes=9, fingerprint="f") as writer:
        with pytest.raises(EnvironmentFault, match="another merge is writing"):
            Writer(tmp_path / "m", list(MIXED), shard_bytes=9, fingerprint="f", force=True)
        for tensor, data in MIXED.items():
            sink = writer.begin(tensor.name)
            sink.write(data)
            sink.finish()
        writer.commit(FILES)
    assert not (tmp_path / "m" / ".umm-partial").exists()


def test_a_model_larger_than_the_disk_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault, match=r"needs \d+\.\d GB and its disk has"):
        Writer(tmp_path / "deep" / "m", [OutTensor("a", "F32", (2**50,))], shard_bytes=2**60, fingerprint="f")
    assert list((tmp_path / "deep").iterdir()) == []


def test_a_path_that_is_a_file_is_an_environment_fault(tmp_path: Path) -> None:
    (tmp_path / "m").write_text("a file")
    with pytest.raises(EnvironmentFault, match="cannot create"):
        Writer(tmp_path / "m", [], shard_bytes=9, fingerprint="f")
    assert (tmp_path / "m").read_text() == "a file"


OUT_OF_ROOM = """
import resource, sys
from pathlib import Path
from umm.checkpoint.writer import OutTensor, Writer
from umm.errors import EnvironmentFault

def limit(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

tensors = [OutTensor("a", "U8", (1000,)), OutTensor("b", "U8", (200000,))]
folder, when = Path(sys.argv[1]), sys.argv[2]
try:
    if when == "at the start":
        limit(50000)
    writer = Writer(folder, tensors, shard_bytes=2**30, fingerprint="f")
    for tensor in tensors:
        if when == tensor.name:
            limit(50000)
        sink = writer.begin(tensor.name)
        for at in range(0, tensor.size, 1000):
            sink.write(b"x" * 1000)
        sink.finish()
    if when == "at the end":
        limit(1)
    writer.commit({"config.json": b"{}"})
except EnvironmentFault as fault:
    sys.stdout.write(str(fault))
"""


@pytest.mark.parametrize("when", ["at the start", "b", "at the end"])
def test_running_out_of_room_is_an_environment_fault_and_publishes_nothing(tmp_path: Path, when: str) -> None:
    folder = tmp_path / "m"
    child = [sys.executable, "-c", OUT_OF_ROOM, str(folder), when]
    ended = subprocess.run(child, capture_output=True, text=True, timeout=60, check=True)
    assert "would exceed the size limit" in ended.stdout
    assert "ulimit -f" in ended.stdout
    left = sorted(p.name for p in folder.iterdir()) if folder.exists() else []
    assert left == ([] if when == "at the start" else [".umm-partial"])
    assert folder.exists() == (when != "at the start")
    made = [OutTensor("a", "U8", (1000,)), OutTensor("b", "U8", (200000,))]
    with Writer(folder, made, shard_bytes=2**30, fingerprint="f") as writer:
        assert sorted(writer.done) == {"at the start": [], "b": ["a"], "at the end": ["a", "b"]}[when]


def test_a_place_where_no_folder_can_be_made_is_an_environment_fault() -> None:
    with pytest.raises(EnvironmentFault, match="cannot create /proc/model"):
        Writer(Path("/proc/model"), [], shard_bytes=9, fingerprint="f")
