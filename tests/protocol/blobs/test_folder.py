"""Model folders as sources: what is found in them, what is refused, and that nothing changed is ever served."""

import json
import os
from pathlib import Path

import pytest

from protocol.blobs.chunks import CHUNK_BYTES, ChunkList
from protocol.blobs.folder import FolderSource, manifest_of_folder
from protocol.blobs.kinds import Adapter, Checkpoint
from protocol.blobs.manifest import Manifest
from protocol.blobs.source import StoreDamage
from protocol.blobs.store import Store
from protocol.errors import MalformedError, PeerError, TooLargeError, UsageError
from tests.protocol.blobs.folders import (
    CONFIG,
    folder_of,
    model_folder,
    safetensors_file,
    sharded_folder,
    tensor_file,
    values,
)

LONG = values(2 * CHUNK_BYTES + 10)
TENSORS = {"b": ("U8", (len(LONG),), LONG), "a": ("F32", (2,), values(8, 2)), "é": ("BF16", (0,), b"")}
FILES = {"vocab.txt": b"one\ntwo\n", "README.md": b"hello", "umm.json": b"{}", "modeling_x.py": b"import os"}
SHARD_1, SHARD_2 = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
INDEX = "model.safetensors.index.json"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return model_folder(tmp_path / "model", TENSORS, FILES)


def served(source: FolderSource, blob_id: bytes) -> bytes:
    found = source.read_whole(blob_id, 2**30)
    assert found is not None
    return found


@pytest.mark.must("BLB-11")
def test_the_manifest_lists_tensors_and_the_files_that_count(folder: Path) -> None:
    manifest = manifest_of_folder(folder)
    config = json.dumps(CONFIG).encode()
    assert manifest.about == Checkpoint()
    assert [(f.name, f.size, f.blob_id) for f in manifest.files] == [
        ("config.json", len(config), ChunkList.of(config).id),
        ("vocab.txt", 8, ChunkList.of(b"one\ntwo\n").id),
    ]
    assert [(t.name, t.dtype, t.shape, t.blob_id) for t in manifest.tensors] == [
        (name, dtype, shape, ChunkList.of(data).id) for name, (dtype, shape, data) in sorted(TENSORS.items())
    ]


@pytest.mark.must("BLB-11")
def test_the_root_is_the_one_that_a_merge_writes_down(folder: Path) -> None:
    from umm.digest import checkpoint_root

    (folder / "model.safetensors").write_bytes(tensor_file({n: t for n, t in TENSORS.items() if t[0] != "U8"}))
    assert manifest_of_folder(folder).root == checkpoint_root(folder)


@pytest.mark.must("BLB-11")
def test_the_manifest_does_not_depend_on_how_tensors_are_split(folder: Path, tmp_path: Path) -> None:
    split = sharded_folder(
        tmp_path / "split", {SHARD_1: {"é": TENSORS["é"], "a": TENSORS["a"]}, SHARD_2: {"b": TENSORS["b"]}}
    )
    (split / "vocab.txt").write_bytes(FILES["vocab.txt"])
    assert manifest_of_folder(split) == manifest_of_folder(folder)


def test_every_blob_of_a_folder_and_its_manifest_are_served(folder: Path) -> None:
    with FolderSource(folder) as source:
        for name, (_, _, data) in TENSORS.items():
            blob_id = next(t.blob_id for t in source.manifest.tensors if t.name == name)
            assert served(source, blob_id) == data
        assert served(source, source.manifest.files[1].blob_id) == FILES["vocab.txt"]
        assert Manifest.parse(served(source, source.manifest.id)) == source.manifest
        assert source.find(bytes(32)) is None
        assert source.read(bytes(32), 0) is None
        assert source.read(source.manifest.id, 1) is None
        assert source.read(ChunkList.of(LONG).id, -1) is None


def test_files_that_do_not_count_are_not_served(folder: Path) -> None:
    with FolderSource(folder) as source:
        for name in ("README.md", "umm.json", "modeling_x.py"):
            assert source.find(ChunkList.of(FILES[name]).id) is None


@pytest.mark.must("BLB-13")
def test_a_changed_file_is_an_error_and_what_did_not_change_is_still_served(folder: Path) -> None:
    with FolderSource(folder) as source:
        long = ChunkList.of(LONG)
        data = bytearray((folder / "model.safetensors").read_bytes())
        data[data.index(LONG[CHUNK_BYTES : CHUNK_BYTES + 50]) + 7] ^= 1
        (folder / "model.safetensors").write_bytes(data)
        for _ in range(2):
            with pytest.raises(StoreDamage, match=r"chunk 1 of .* is not what it was; share the folder anew") as damage:
                source.read(long.id, 1)
            assert (damage.value.blob_id, damage.value.index) == (long.id, 1)
        assert source.read(long.id, 0) == LONG[:CHUNK_BYTES]


@pytest.mark.must("BLB-13")
@pytest.mark.parametrize("change", ["cut", "removed", "a pipe", "a folder", "a link"])
def test_a_file_that_is_no_longer_there_is_an_error(folder: Path, tmp_path: Path, change: str) -> None:
    with FolderSource(folder) as source:
        path = folder / "model.safetensors"
        if change == "cut":
            os.truncate(path, 100)
        else:
            path.unlink()
        if change == "a pipe":
            os.mkfifo(path)
        elif change == "a folder":
            path.mkdir()
        elif change == "a link":
            (tmp_path / "secret").write_bytes(bytes(4 * CHUNK_BYTES))
            path.symlink_to(tmp_path / "secret")
        with pytest.raises(StoreDamage, match="share the folder anew"):
            source.read(ChunkList.of(LONG).id, 2)
        assert served(source, source.manifest.files[1].blob_id) == FILES["vocab.txt"]


def test_a_folder_that_was_hashed_before_is_not_hashed_again(folder: Path) -> None:
    with FolderSource(folder) as source:
        manifest, lists = source.manifest, list(source.lists.values())
    data = bytearray((folder / "model.safetensors").read_bytes())
    data[data.index(LONG[CHUNK_BYTES : CHUNK_BYTES + 50]) + 7] ^= 1
    (folder / "model.safetensors").write_bytes(data)
    with FolderSource(folder, known=(manifest, lists)) as source:
        assert source.manifest == manifest
        assert source.read(ChunkList.of(LONG).id, 0) == LONG[:CHUNK_BYTES]
        with pytest.raises(StoreDamage):
            source.read(ChunkList.of(LONG).id, 1)
    with pytest.raises(UsageError, match=r"the chunk list of 'vocab.txt' .* is not known"):
        FolderSource(folder, known=(manifest, [c for c in lists if c.size != 8 or c.id != manifest.files[1].blob_id]))
    (folder / "tokenizer.json").write_bytes(b"{}")
    with pytest.raises(UsageError, match=r"has changed: 'tokenizer.json'"):
        FolderSource(folder, known=(manifest, lists))


@pytest.mark.must("BLB-21")
def test_two_checkpoints_that_share_tensors_store_them_once(tmp_path: Path) -> None:
    shared = {f"layer{i}": ("U8", (300_000,), values(300_000, i)) for i in range(6)}
    one = model_folder(tmp_path / "one", {**shared, "head": ("U8", (1000,), values(1000, 10))})
    two = model_folder(tmp_path / "two", {**shared, "head": ("U8", (1000,), values(1000, 11))})
    used: list[int] = []
    with Store(tmp_path / "store", 2**30) as store, FolderSource(one) as first, FolderSource(two) as second:
        for source in (first, second):
            for blob_id in source.manifest.blobs:
                store.put(served(source, blob_id))
            used.append(store.used_bytes)
        assert len(first.manifest.blobs.keys() & second.manifest.blobs.keys()) == 7
        assert used[0] > 1_800_000
        assert used[1] - used[0] == 2 * 4096 - 4096 + 1000


# -- folders that are not what they should be ----------------------------------------------------------------------


def refused(folder: Path, error: type[Exception], reason: str) -> None:
    with pytest.raises(error, match=reason) as refusal:
        manifest_of_folder(folder)
    assert len(str(refusal.value)) < 500


def test_what_is_no_model_is_refused_in_words(tmp_path: Path, folder: Path) -> None:
    refused(tmp_path / "nothing", UsageError, "is not a folder")
    refused(folder / "config.json", UsageError, "is not a folder")
    refused(tmp_path, UsageError, "holds no checkpoint: there is neither model.safetensors nor model.safetensors.index")
    with pytest.raises(UsageError, match=r"holds no adapter: there is no adapter_model.safetensors"):
        manifest_of_folder(folder, Adapter(bytes(32)))
    (folder / "config.json").unlink()
    refused(folder, MalformedError, "names no config.json")


@pytest.mark.must("BLB-9")
@pytest.mark.parametrize(
    ("data", "error", "reason"),
    [
        (b"", MalformedError, "too short"),
        (safetensors_file({}, length=2**62), TooLargeError, "the limit is 16777216"),
        (safetensors_file({}), MalformedError, "0 tensors"),
        (tensor_file(TENSORS)[:-1], MalformedError, "is cut off"),
        (tensor_file(TENSORS) + b"x", MalformedError, "1 bytes after its last tensor"),
    ],
)
def test_a_damaged_weight_file_is_refused(folder: Path, data: bytes, error: type[PeerError], reason: str) -> None:
    (folder / "model.safetensors").write_bytes(data)
    refused(folder, error, reason)


@pytest.mark.must("BLB-11")
@pytest.mark.parametrize(
    ("index", "error", "reason"),
    [
        (b"", MalformedError, "does not begin with '{'"),
        (b"{}", MalformedError, "has no weight_map"),
        (b'{"weight_map": []}', MalformedError, "has no weight_map"),
        (b'{"weight_map": {}}', MalformedError, "has no weight_map"),
        (b'{"weight_map": {"a": 1}}', MalformedError, "'1', which is no .safetensors file"),
        (b'{"weight_map": {"a": "../x.safetensors"}}', MalformedError, "which is no .safetensors file beside it"),
        (b'{"weight_map": {"a": "/x.safetensors"}}', MalformedError, "which is no .safetensors file beside it"),
        (b'{"weight_map": {"a": ".x.safetensors"}}', MalformedError, "which is no .safetensors file beside it"),
        (b'{"weight_map": {"a": "x\\u0000.safetensors"}}', MalformedError, "which is no .safetensors file beside it"),
        (b'{"weight_map": {"a": "config.json"}}', MalformedError, "which is no .safetensors file beside it"),
        (b'{"weight_map": {"a": "gone.safetensors"}}', UsageError, "is missing, or a link to nothing"),
        (b'{"weight_map": {"a": "one.safetensors"}}', MalformedError, "and the index disagree about 'b'"),
        (
            b'{"weight_map": {"a": "one.safetensors", "b": "one.safetensors", "c": "one.safetensors"}}',
            MalformedError,
            "and the index disagree about 'c'",
        ),
        (
            b'{"weight_map": {"b": "one.safetensors", "a": "two.safetensors", "c": "two.safetensors"}}',
            MalformedError,
            "one.safetensors and the index disagree about 'a'",
        ),
        (b'{"weight_map": {"a": "one.safetensors", "a": "one.safetensors"}}', MalformedError, "a key twice"),
    ],
)
def test_an_index_that_lies_is_refused(tmp_path: Path, index: bytes, error: type[Exception], reason: str) -> None:
    one = {"a": ("U8", (1,), b"1"), "b": ("U8", (1,), b"2")}
    two = {"a": ("U8", (1,), b"1"), "c": ("U8", (1,), b"3")}
    files = {"one.safetensors": tensor_file(one), "two.safetensors": tensor_file(two), INDEX: index}
    refused(folder_of(tmp_path / "model", files), error, reason)


@pytest.mark.must("BLB-12")
def test_a_link_out_of_the_folder_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"private key")
    (folder / "tokenizer.json").symlink_to(tmp_path / "secret")
    refused(folder, UsageError, "is a link out of its model folder")


@pytest.mark.must("BLB-12")
def test_a_link_within_the_folder_or_to_the_folder_is_followed(folder: Path, tmp_path: Path) -> None:
    (folder / "inner").mkdir()
    (folder / "model.safetensors").rename(folder / "inner" / "x")
    (folder / "model.safetensors").symlink_to("inner/x")
    (tmp_path / "outer").symlink_to(folder)
    assert len(manifest_of_folder(tmp_path / "outer").tensors) == 3


@pytest.mark.must("BLB-12")
def test_the_cache_of_the_hub_is_followed_within_its_repository(tmp_path: Path) -> None:
    repository = tmp_path / "models--org--name"
    (repository / "blobs").mkdir(parents=True)
    snapshot = folder_of(repository / "snapshots" / "0123", {})
    (repository / "blobs" / "w").write_bytes(tensor_file(TENSORS))
    (snapshot / "model.safetensors").symlink_to("../../blobs/w")
    assert len(manifest_of_folder(snapshot).tensors) == 3
    (tmp_path / "secret").write_bytes(b"private key")
    (snapshot / "vocab.txt").symlink_to("../../../secret")
    refused(snapshot, UsageError, "is a link out of its model folder")


@pytest.mark.parametrize("kind", ["loop", "dangling", "pipe", "folder"])
def test_what_is_no_plain_file_is_refused(folder: Path, kind: str) -> None:
    path = folder / "tokenizer.json"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("tokenizer.json" if kind == "loop" else "nowhere")
    refused(folder, UsageError, "is missing, or a link to nothing|is not a plain file")


@pytest.mark.must("BLB-5")
def test_a_config_beyond_all_reason_is_refused(folder: Path) -> None:
    os.truncate(folder / "config.json", 16 * 2**20 + 1)
    refused(folder, TooLargeError, "config.json has 16777217 bytes; the limit is 16777216")
