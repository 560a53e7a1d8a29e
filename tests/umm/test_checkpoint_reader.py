"""Opening model folders: what is read back, and which folders are refused."""

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import save_file

from tests.umm.handmade import index, model_folder, tensor_file
from umm.checkpoint.dtype import Dtype
from umm.checkpoint.folder import MAX_CONFIG_BYTES
from umm.checkpoint.reader import MAX_RAW_BYTES, Checkpoint
from umm.checkpoint.source import Source
from umm.errors import CheckpointError

A = ("F32", (2, 2), bytes(range(16)))
B = ("BF16", (3,), b"abcdef")
STEPS = ("I64", (1,), b"\x07" + b"\0" * 7)
ONE = "model.safetensors"
INDEX = "model.safetensors.index.json"
S1, S2 = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"


def sharded(folder: Path) -> Path:
    return model_folder(
        folder,
        {
            S1: tensor_file({"b": B}),
            S2: tensor_file({"a": A, "steps": STEPS}),
            INDEX: index({"a": S2, "b": S1, "steps": S2}),
        },
    )


def single(folder: Path) -> Path:
    return model_folder(folder, {ONE: tensor_file({"b": B, "a": A, "steps": STEPS})})


def all_of(source: Source) -> bytes:
    count = int(np.prod(source.shape, dtype=np.int64))
    out = np.zeros(count * source.dtype.width, np.uint8)
    source.read(0, count, out)
    return out.tobytes()


@pytest.mark.parametrize("make", [single, sharded])
def test_tensors_are_the_same_however_they_are_split(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    with Checkpoint.open(make(tmp_path / "m")) as checkpoint:
        assert list(checkpoint.tensors) == ["a", "b", "steps"]
        assert (checkpoint.tensors["a"].dtype, checkpoint.tensors["a"].shape) == ("F32", (2, 2))
        assert all_of(checkpoint.source("a")) == A[2]
        assert all_of(checkpoint.source("b")) == B[2]
        assert checkpoint.source("b").dtype is Dtype.BF16
        assert checkpoint.raw("steps") == STEPS[2]
        assert checkpoint.config["num_hidden_layers"] == 2
        checkpoint.advise("a")


def test_a_file_of_the_reference_implementation_is_read(tmp_path: Path) -> None:
    values: dict[str, NDArray[Any]] = {
        "x": np.arange(6, dtype=np.float16).reshape(2, 3),
        "n": np.array([1, 2], np.int32),
    }
    folder = model_folder(tmp_path, {})
    save_file(values, folder / ONE, metadata={"format": "pt"})
    with Checkpoint.open(folder) as checkpoint:
        assert all_of(checkpoint.source("x")) == values["x"].tobytes()
        assert checkpoint.raw("n") == values["n"].tobytes()


def test_a_range_is_read_from_the_middle(tmp_path: Path) -> None:
    with Checkpoint.open(single(tmp_path)) as checkpoint:
        out = np.full(9, 255, np.uint8)
        checkpoint.source("a").read(1, 2, out)
        assert out.tobytes() == A[2][4:12] + b"\xff"


@pytest.mark.parametrize(("start", "count", "room"), [(3, 2, 64), (-1, 1, 64), (0, -1, 64), (0, 4, 15)])
def test_a_range_outside_of_the_tensor_or_buffer_is_a_programming_error(
    tmp_path: Path, start: int, count: int, room: int
) -> None:
    with (
        Checkpoint.open(single(tmp_path)) as checkpoint,
        pytest.raises(ValueError, match=r"lie outside|a buffer of"),
    ):
        checkpoint.source("a").read(start, count, np.zeros(room, np.uint8))


def test_many_threads_read_one_source(tmp_path: Path) -> None:
    values = np.arange(4096, dtype=np.float32)
    folder = model_folder(tmp_path, {ONE: tensor_file({"w": ("F32", (4096,), values.tobytes())})})
    wrong: list[int] = []

    def read_all(source: Source) -> None:
        out = np.zeros(16 * 4, np.uint8)
        for start in range(0, 4096, 16):
            source.read(start, 16, out)
            if out.tobytes() != values[start : start + 16].tobytes():
                wrong.append(start)

    with Checkpoint.open(folder) as checkpoint:
        threads = [threading.Thread(target=read_all, args=(checkpoint.source("w"),)) for _ in range(4)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
    assert wrong == []


def test_closing_closes_every_file(tmp_path: Path) -> None:
    before = len(os.listdir("/dev/fd"))  # noqa: PTH208 - counts descriptors
    checkpoint = Checkpoint.open(sharded(tmp_path))
    checkpoint.close()
    checkpoint.close()
    assert len(os.listdir("/dev/fd")) == before  # noqa: PTH208


def test_a_refused_folder_leaves_no_file_open(tmp_path: Path) -> None:
    folder = sharded(tmp_path)
    (folder / S2).write_bytes(b"short")
    before = len(os.listdir("/dev/fd"))  # noqa: PTH208
    with pytest.raises(CheckpointError):
        Checkpoint.open(folder)
    assert len(os.listdir("/dev/fd")) == before  # noqa: PTH208


def test_the_single_file_counts_where_there_is_an_index_too(tmp_path: Path) -> None:
    folder = sharded(tmp_path)
    (folder / ONE).write_bytes(tensor_file({"only": B}))
    with Checkpoint.open(folder) as checkpoint:
        assert list(checkpoint.tensors) == ["only"]


def test_small_files_are_found_by_name_and_nothing_else_is(tmp_path: Path) -> None:
    folder = single(tmp_path)
    for name in ("tokenizer.json", "generation_config.json", "README.md", "modeling_evil.py"):
        (folder / name).write_text("{}")
    with Checkpoint.open(folder) as checkpoint:
        assert list(checkpoint.small_files()) == ["generation_config.json", "tokenizer.json"]


def test_a_tensor_of_integers_is_no_source(tmp_path: Path) -> None:
    with (
        Checkpoint.open(single(tmp_path)) as checkpoint,
        pytest.raises(CheckpointError, match="'steps' holds I64"),
    ):
        checkpoint.source("steps")


def test_a_large_tensor_is_not_taken_whole(tmp_path: Path) -> None:
    folder = model_folder(tmp_path, {})
    with (folder / ONE).open("wb") as file:
        head = tensor_file({"mask": ("BOOL", (0,), b"")})
        size = str(MAX_RAW_BYTES + 1).encode()
        text = head[8:].replace(b"[0]", b"[" + size + b"]").replace(b"[0, 0]", b"[0," + size + b"]")
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + MAX_RAW_BYTES + 1)  # a hole in the file system, nothing on the disk
    with Checkpoint.open(folder) as checkpoint, pytest.raises(CheckpointError, match="can be copied whole"):
        checkpoint.raw("mask")


def test_a_file_that_shrinks_after_opening_is_an_error_not_a_crash(tmp_path: Path) -> None:
    folder = single(tmp_path)
    with Checkpoint.open(folder) as checkpoint:
        os.truncate(folder / ONE, 100)
        with pytest.raises(CheckpointError, match="changed while being read"):
            all_of(checkpoint.source("a"))


def hub_cache(root: Path) -> Path:
    """``models--org--name`` as the hub lays it out; returns the snapshot."""
    repository = root / "models--org--name"
    snapshot = model_folder(repository / "snapshots" / "0a1b", {})
    blobs = model_folder(repository / "blobs", {"beef": tensor_file({"a": A})})
    (snapshot / ONE).symlink_to(Path("../../blobs/beef"))
    (snapshot / "config.json").rename(blobs / "cafe")
    (snapshot / "config.json").symlink_to(Path("../../blobs/cafe"))
    return snapshot


def test_links_of_the_hub_cache_are_followed(tmp_path: Path) -> None:
    with Checkpoint.open(hub_cache(tmp_path)) as checkpoint:
        assert all_of(checkpoint.source("a")) == A[2]


def test_a_link_out_of_the_hub_cache_is_refused(tmp_path: Path) -> None:
    snapshot = hub_cache(tmp_path)
    (tmp_path / "secret").write_bytes(tensor_file({"a": A}))
    (snapshot / ONE).unlink()
    (snapshot / ONE).symlink_to(tmp_path / "secret")
    with pytest.raises(CheckpointError, match="link out of its model folder"):
        Checkpoint.open(snapshot)


def test_the_folder_itself_may_be_a_link_and_hold_links_to_itself(tmp_path: Path) -> None:
    folder = single(tmp_path / "real")
    (folder / ONE).rename(folder / "weights")
    (folder / ONE).symlink_to("weights")
    (tmp_path / "alias").symlink_to(folder)
    with Checkpoint.open(tmp_path / "alias") as checkpoint:
        assert "a" in checkpoint.tensors


Spoil = Callable[[Path], object]


def put(name: str, data: bytes) -> Spoil:
    return lambda folder: (folder / name).write_bytes(data)


def link(name: str, target: str) -> Spoil:
    def spoil(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(target)

    return spoil


def only(name: str) -> Spoil:
    """Leave nothing but one (empty) file."""

    def spoil(folder: Path) -> None:
        for path in folder.iterdir():
            path.unlink()
        (folder / name).write_bytes(b"{}")

    return spoil


def pipe(name: str) -> Spoil:
    def spoil(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        os.mkfifo(folder / name)

    return spoil


HOSTILE: dict[str, tuple[Callable[[Path], Path], Spoil, str]] = {
    "no config": (single, lambda f: (f / "config.json").unlink(), "has no config.json"),
    "a config that is a list": (single, put("config.json", b"[]"), "must hold a JSON object"),
    "a config with a key twice": (single, put("config.json", b'{"a":1,"a":2}'), "the key 'a' twice"),
    "a key twice deep inside": (single, put("config.json", b'{"x":[{"a":1,"a":2}]}'), "the key 'a' twice"),
    "a config that is no JSON": (single, put("config.json", b"{"), "not valid JSON"),
    "a config in Latin-1": (single, put("config.json", b'{"a":"\xe9"}'), "not UTF-8"),
    "a huge config": (single, put("config.json", b" " * (MAX_CONFIG_BYTES + 1)), "the limit is"),
    "an empty config": (single, put("config.json", b""), "not valid JSON"),
    "a config that is a pipe": (single, pipe("config.json"), "not a plain file"),
    "weights that are a pipe": (single, pipe(ONE), "not a plain file"),
    "weights that are a device": (single, link(ONE, "/dev/zero"), "link out of its model folder"),
    "a config outside": (single, link("config.json", "/etc/hostname"), "link out of its model folder"),
    "a tokenizer outside": (single, link("tokenizer.json", "/etc/hostname"), "link out of its model folder"),
    "a link to nothing": (single, link(ONE, "nowhere"), "link to nothing"),
    "a loop of links": (single, link(ONE, ONE), "link to nothing"),
    "double precision": (single, put(ONE, tensor_file({"w": ("F64", (1,), b"8bytes!!")})), "F64 in 'w'"),
    "eight-bit floats": (single, put(ONE, tensor_file({"w": ("F8_E4M3", (1,), b"x")})), "F8_E4M3 in 'w'"),
    "complex numbers": (single, put(ONE, tensor_file({"w": ("C64", (1,), b"8bytes!!")})), "C64 in 'w'"),
    "an index that is a list": (sharded, put(INDEX, b"[]"), "must hold a JSON object"),
    "an index without a map": (sharded, put(INDEX, b"{}"), "has no weight_map"),
    "a map that is empty": (sharded, put(INDEX, index({})), "has no weight_map"),
    "a map to numbers": (sharded, put(INDEX, index({"a": 1})), "not the name of a .safetensors file"),
    "a map with a key twice": (sharded, put(INDEX, b'{"weight_map":{"a":"x","a":"y"}}'), "'a' twice"),
    "a map to the folder above": (sharded, put(INDEX, index({"a": f"../{S1}"})), "not the name of"),
    "a map to an absolute path": (sharded, put(INDEX, index({"a": f"/tmp/{S1}"})), "not the name of"),  # noqa: S108
    "a map with backslashes": (sharded, put(INDEX, index({"a": f"..\\{S1}"})), "not the name of"),
    "a map to another kind": (sharded, put(INDEX, index({"a": "pytorch_model.bin"})), "not the name of"),
    "a map to a hidden file": (sharded, put(INDEX, index({"a": ".x.safetensors"})), "not the name of"),
    "a map to NUL": (sharded, put(INDEX, index({"a": "x\0.safetensors"})), "not the name of"),
    "a missing shard": (sharded, lambda f: (f / S2).unlink(), f"lacks '{S2}'"),
    "a shard outside": (sharded, link(S2, "/etc/hostname"), "link out of its model folder"),
    "a tensor its shard lacks": (
        sharded,
        put(INDEX, index({"a": S2, "b": S1, "steps": S2, "ghost": S1})),
        "lacks 'ghost'",
    ),
    "a tensor in the wrong shard": (sharded, put(INDEX, index({"a": S1, "b": S1, "steps": S2})), "lacks 'a'"),
    "a tensor in two shards": (sharded, put(S1, tensor_file({"b": B, "a": A})), "has 'a' that the index"),
    "a tensor not in the index": (sharded, put(S1, tensor_file({"b": B, "c": B})), "has 'c' that the index"),
    "an adapter": (single, only("adapter_config.json"), "write `model+adapter`"),
    "pickled weights": (single, only("pytorch_model.bin"), "convert it to safetensors"),
    "a GGUF file": (single, only("model.Q4.gguf"), "convert it to safetensors"),
    "weights by another name": (single, only("consolidated.safetensors"), "neither model.safetensors nor"),
    "nothing": (single, only("README.md"), "has no weights"),
    "unfinished work of ours": (single, only(".umm-partial"), "unfinished merge"),
}


@pytest.mark.parametrize(("make", "spoil", "expected"), HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_folder_is_refused_with_its_own_reason(
    tmp_path: Path, make: Callable[[Path], Path], spoil: Spoil, expected: str
) -> None:
    folder = make(tmp_path / "m")
    spoil(folder)
    with pytest.raises(CheckpointError) as refusal:
        Checkpoint.open(folder)
    assert expected in str(refusal.value)
    assert str(folder) in str(refusal.value)


def test_a_path_that_is_no_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="is not a folder"):
        Checkpoint.open(tmp_path / "nothing")
