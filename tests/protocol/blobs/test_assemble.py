"""Blobs back into folders: golden bytes, equal roots, whole or not at all."""

import json
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.blobs.assemble import PARTIAL, assemble
from protocol.blobs.chunks import CHUNK_BYTES, ChunkList
from protocol.blobs.disk import hold
from protocol.blobs.folder import FolderSource, manifest_of_folder
from protocol.blobs.kinds import Adapter, Checkpoint, Delta
from protocol.blobs.layout import MAX_SHARDS, ONLY, lay_out
from protocol.blobs.manifest import FileEntry, Manifest, TensorEntry
from protocol.blobs.source import StoreDamage
from protocol.blobs.store import Store
from protocol.errors import EnvironmentFault, UnavailableError, UsageError
from tests.protocol.blobs.folders import contents, folder_of, model_folder, tensor_file, values
from tests.vectors.make_manifest import SHARDINGS

ROOT = Path(__file__).parents[3]
VECTORS: dict[str, Any] = json.loads((ROOT / "tests" / "vectors" / "manifest.json").read_text())
QUOTA = 64 * 2**20

TENSORS = {
    "model.embed": ("BF16", (4, 3), values(24, 1)),
    "model.long": ("U8", (CHUNK_BYTES + 9,), values(CHUNK_BYTES + 9, 2)),
    "model.empty": ("F32", (0, 7), b""),
    "model.norm": ("F32", (3,), values(12, 3)),
}
FILES = {"tokenizer.json": b"{}", "vocab.txt": b"", "generation_config.json": b'{"top_k": 5}'}


def copy(source: FolderSource, store: Store) -> Manifest:
    """Every blob of a folder, its manifest included, into a store."""
    for blob_id in (*source.manifest.blobs, source.manifest.id):
        chunks = source.find(blob_id)
        assert chunks is not None
        store.open(chunks)
        for index in (i for gap in store.missing(blob_id) for i in gap):
            data = source.read(blob_id, index)
            assert data is not None
            store.put_chunk(blob_id, index, data)
    return source.manifest


def golden_manifest(store: Store) -> Manifest:
    """The golden checkpoint, all of its bytes in the store."""
    golden = VECTORS["manifests"][0]
    for made in (*golden["files"], *golden["tensors"]):
        store.put(bytes.fromhex(made["data"]))
    return Manifest.parse(bytes.fromhex(golden["bytes"]))


@pytest.mark.must("BLB-14", "BLB-15", "BLB-16")
@pytest.mark.parametrize("number", range(len(SHARDINGS)), ids=lambda n: f"shards of {SHARDINGS[n][1]} bytes")
def test_assembled_folders_are_golden(tmp_path: Path, number: int) -> None:
    golden = VECTORS["folders"][number]
    with Store(tmp_path / "store", QUOTA) as store:
        manifest = golden_manifest(store)
        root = assemble(manifest, store, tmp_path / "model", shard_bytes=golden["shard_bytes"])
    files = {f["name"]: bytes.fromhex(f["data"]) for f in VECTORS["manifests"][0]["files"]}
    weights = {name: bytes.fromhex(data) for name, data in golden["files"].items()}
    assert contents(tmp_path / "model") == files | weights
    assert root.hex() == VECTORS["manifests"][0]["root"]
    assert manifest_of_folder(tmp_path / "model") == manifest


@pytest.mark.must("BLB-11", "BLB-16")
@pytest.mark.parametrize("shard_bytes", [1, 40, CHUNK_BYTES, 10**9])
def test_a_folder_comes_back_with_the_root_that_it_had(tmp_path: Path, shard_bytes: int) -> None:
    folder = model_folder(tmp_path / "original", TENSORS, FILES)
    with FolderSource(folder) as source, Store(tmp_path / "store", QUOTA) as store:
        manifest = copy(source, store)
        stored = store.read_whole(manifest.id, QUOTA)
        assert stored is not None
        assert Manifest.parse(stored) == manifest
        assert assemble(manifest, store, tmp_path / "again", shard_bytes=shard_bytes) == manifest.root
    assert manifest_of_folder(tmp_path / "again") == manifest
    for name in (*FILES, "config.json"):
        assert (tmp_path / "again" / name).read_bytes() == (folder / name).read_bytes()


@pytest.mark.must("BLB-14", "BLB-15", "BLB-16")
@settings(deadline=None, max_examples=30)
@given(
    st.dictionaries(
        st.text("abcdé.0", min_size=1, max_size=6),
        st.tuples(st.sampled_from(["F32", "BF16", "U8", "I64", "F8_E4M3"]), st.lists(st.integers(0, 9), max_size=3)),
        min_size=1,
        max_size=8,
    ),
    st.integers(1, 3000),
)
def test_files_are_laid_out_as_a_merge_lays_them_out(
    shapes: dict[str, tuple[str, Sequence[int]]], shard_bytes: int
) -> None:
    from umm.checkpoint.layout import OutTensor
    from umm.checkpoint.layout import lay_out as umm_lay_out

    tensors = [
        TensorEntry(name, dtype, tuple(shape), ChunkList.of(name.encode()).id)
        for name, (dtype, shape) in sorted(shapes.items())
    ]
    manifest = Manifest(Checkpoint(), (FileEntry("config.json", 0, bytes(32)),), tuple(tensors))
    ours = lay_out(manifest, shard_bytes)
    theirs = umm_lay_out([OutTensor(t.name, t.dtype, t.shape) for t in tensors], shard_bytes, {"format": "pt"})
    assert [(s.file, s.head, s.size) for s in ours.shards] == [(s.file, s.head, s.size) for s in theirs.shards]
    assert ours.index == theirs.index


@pytest.mark.must("BLB-14")
def test_an_adapter_is_one_file_however_small_the_shards(tmp_path: Path) -> None:
    folder = tmp_path / "adapter"
    folder.mkdir()
    (folder / "adapter_config.json").write_bytes(b"{}")
    (folder / "adapter_model.safetensors").write_bytes(tensor_file(TENSORS))
    with FolderSource(folder, Adapter(bytes(32))) as source, Store(tmp_path / "store", QUOTA) as store:
        assemble(copy(source, store), store, tmp_path / "again", shard_bytes=1)
        assert sorted(contents(tmp_path / "again")) == ["adapter_config.json", "adapter_model.safetensors"]
        assert manifest_of_folder(tmp_path / "again", Adapter(bytes(32))) == source.manifest


def test_a_delta_is_assembled_under_its_own_name(tmp_path: Path) -> None:
    (tmp_path / "delta").mkdir()
    (tmp_path / "delta" / "delta.safetensors").write_bytes(tensor_file(TENSORS))
    with FolderSource(tmp_path / "delta", Delta(bytes(32))) as source, Store(tmp_path / "store", QUOTA) as store:
        assemble(copy(source, store), store, tmp_path / "again", shard_bytes=40)
        names = sorted(contents(tmp_path / "again"))
        assert names[0] == "delta-00001-of-00003.safetensors"
        assert names[-1] == "delta.safetensors.index.json"
        assert manifest_of_folder(tmp_path / "again", Delta(bytes(32))) == source.manifest


def test_shards_that_make_no_sense_are_refused() -> None:
    tensors = tuple(TensorEntry(f"{i:05d}", "U8", (1,), bytes(32)) for i in range(MAX_SHARDS + 1))
    manifest = Manifest(Checkpoint(), (FileEntry("config.json", 0, bytes([1]) * 32),), tensors)
    with pytest.raises(UsageError, match="would be 4097; the limit is 4096"):
        lay_out(manifest, 1)
    with pytest.raises(UsageError, match="cannot hold anything"):
        lay_out(manifest, 0)


@pytest.mark.must("BLB-17")
def test_what_is_there_already_is_not_touched(tmp_path: Path) -> None:
    taken = folder_of(tmp_path / "taken", {})
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with Store(tmp_path / "store", QUOTA) as store:
        manifest = golden_manifest(store)
        for path in (taken, tmp_path / "file", tmp_path / "link"):
            with pytest.raises(UsageError, match="is there already and is not an empty folder"):
                assemble(manifest, store, path)
        assert sorted(contents(taken)) == ["config.json"]
        (tmp_path / "empty").mkdir()
        assemble(manifest, store, tmp_path / "empty")
        assert manifest_of_folder(tmp_path / "empty") == manifest


@pytest.mark.must("BLB-17", "BLB-7")
@pytest.mark.parametrize("fault", ["no blob", "no chunk", "rot", "another size"])
def test_what_is_not_whole_leaves_no_folder(tmp_path: Path, fault: str) -> None:
    with Store(tmp_path / "store", QUOTA) as store:
        manifest = golden_manifest(store)
        tensor = manifest.tensors[2]
        path = store.folder / "blobs" / tensor.blob_id.hex()[:2] / tensor.blob_id.hex()
        expected: tuple[type[Exception], str] = (UnavailableError, "'model.layers.0.ids'")
        if fault == "no blob":
            path.unlink()
        elif fault == "no chunk":
            path.unlink()
            store.open(ChunkList.of(bytes.fromhex("0700000000000000")))
        elif fault == "rot":
            path.write_bytes(path.read_bytes()[:-1] + b"!")
            expected = (StoreDamage, "has rotted")
        else:
            lying = TensorEntry("z", "U8", (9,), store.put(b"12345678").id)
            manifest = Manifest(Checkpoint(), manifest.files, (*manifest.tensors[:5], lying))
            expected = (UnavailableError, "'z' has 8 bytes, the manifest says 9")
        with pytest.raises(expected[0], match=expected[1]):
            assemble(manifest, store, tmp_path / "model")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["store"]


@pytest.mark.must("BLB-17")
def test_a_writer_killed_half_way_leaves_no_folder_and_the_next_one_succeeds(tmp_path: Path) -> None:
    script = (
        "import os, signal, sys; from pathlib import Path\n"
        "from protocol.blobs.assemble import assemble\n"
        "from protocol.blobs.folder import FolderSource\n"
        "source, left = FolderSource(Path(sys.argv[1])), [int(sys.argv[3])]\n"
        "def die(written):\n"
        "    left[0] -= 1\n"
        "    if not left[0]: os.kill(os.getpid(), signal.SIGKILL)\n"
        "assemble(source.manifest, source, Path(sys.argv[2]), shard_bytes=40, progress=die)\n"
    )
    folder = model_folder(tmp_path / "original", TENSORS, FILES)
    for at in (1, 4, 6):
        arguments = [sys.executable, "-c", script, str(folder), str(tmp_path / "again"), str(at)]
        assert subprocess.run(arguments, cwd=ROOT, timeout=60).returncode == -9
        assert not (tmp_path / "again").exists()
        assert (tmp_path / f".again{PARTIAL}").is_dir()
    with FolderSource(folder) as source:
        written: list[int] = []
        assemble(source.manifest, source, tmp_path / "again", progress=written.append)
        assert sum(written) == source.manifest.total_bytes
        assert manifest_of_folder(tmp_path / "again") == source.manifest
    assert not (tmp_path / f".again{PARTIAL}").exists()


@pytest.mark.must("BLB-17")
def test_two_processes_do_not_write_the_same_folder(tmp_path: Path) -> None:
    partial = tmp_path / f".model{PARTIAL}"
    partial.mkdir()
    held = hold(partial, "")
    with Store(tmp_path / "store", QUOTA) as store:
        manifest = golden_manifest(store)
        with pytest.raises(EnvironmentFault, match="another process is writing"):
            assemble(manifest, store, tmp_path / "model")
        assert partial.is_dir()
        os.close(held)
        assemble(manifest, store, tmp_path / "model")


@pytest.mark.must("BLB-23")
def test_a_folder_that_cannot_fit_is_refused_before_it_is_begun(tmp_path: Path) -> None:
    huge = TensorEntry("a", "U8", (2**40,), bytes(32))
    manifest = Manifest(Checkpoint(), (FileEntry("config.json", 0, ChunkList.of(b"").id),), (huge,))
    reason = r"needs 1099\.6 GB and its disk has .* GB free; free some space"
    with Store(tmp_path / "store", QUOTA) as store, pytest.raises(EnvironmentFault, match=reason):
        assemble(manifest, store, tmp_path / "model")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["store"]


@pytest.mark.must("BLB-24")
def test_memory_does_not_grow_with_the_size_of_a_tensor(tmp_path: Path) -> None:
    size = 24 * CHUNK_BYTES
    header = json.dumps({"a": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}).encode()
    folder = folder_of(tmp_path / "original", {"model.safetensors": len(header).to_bytes(8, "little") + header})
    os.truncate(folder / "model.safetensors", 8 + len(header) + size)
    tracemalloc.start()
    with FolderSource(folder) as source, Store(tmp_path / "store", QUOTA) as store:
        assemble(copy(source, store), store, tmp_path / "again")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6 * CHUNK_BYTES


# -- a part of a model -----------------------------------------------------------------------------------------


@pytest.mark.must("BLB-30")
@pytest.mark.parametrize("shard_bytes", [1, 40, 10**9])
def test_a_part_has_the_bytes_of_the_whole_or_holes(tmp_path: Path, shard_bytes: int) -> None:
    folder = model_folder(tmp_path / "original", TENSORS, FILES)
    written: list[int] = []
    with FolderSource(folder) as source:
        manifest = source.manifest
        assemble(manifest, source, tmp_path / "whole", shard_bytes=shard_bytes)
        only = frozenset({"model.norm", "model.empty"})
        root = assemble(
            manifest, source, tmp_path / "part", only=only, shard_bytes=shard_bytes, progress=written.append
        )
    assert root == manifest.root
    whole, part = contents(tmp_path / "whole"), contents(tmp_path / "part")
    assert json.loads(part.pop(ONLY)) == {"tensors": ["model.empty", "model.norm"]}
    assert {name: len(data) for name, data in part.items()} == {name: len(data) for name, data in whole.items()}
    for shard in lay_out(manifest, shard_bytes).shards:
        data, at = part.pop(shard.file), len(shard.head)
        assert data[:at] == whole[shard.file][:at]
        for tensor in shard.tensors:
            values = whole[shard.file][at : at + tensor.size] if tensor.name in only else bytes(tensor.size)
            assert data[at : at + tensor.size] == values, tensor.name
            at += tensor.size
    assert part.items() <= whole.items()
    assert sum(written) == sum(file.size for file in manifest.files) + 12


@pytest.mark.must("BLB-30")
def test_a_part_needs_only_its_own_blobs_and_their_space(tmp_path: Path) -> None:
    with Store(tmp_path / "store", QUOTA) as store:
        golden = golden_manifest(store)
        huge = TensorEntry("\U0001f600", "U8", (2**40,), bytes(32))
        manifest = Manifest(Checkpoint(), golden.files, (*golden.tensors, huge))
        first = golden.tensors[0].name
        assemble(manifest, store, tmp_path / "part", only={first}, shard_bytes=2**30)
        with pytest.raises(EnvironmentFault, match="needs 1099"):
            assemble(manifest, store, tmp_path / "other", only={first, huge.name}, shard_bytes=2**30)


@pytest.mark.must("BLB-30")
def test_a_part_is_not_shared_as_a_model(tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "original", TENSORS, FILES)
    with FolderSource(folder) as source:
        assemble(source.manifest, source, tmp_path / "part", only=frozenset())
        with pytest.raises(UsageError, match=r"lists no tensor 'model\.other'; ask for those that it lists"):
            assemble(source.manifest, source, tmp_path / "none", only={"model.other", "model.norm"})
    with pytest.raises(UsageError, match=f"holds a part of a model .see {ONLY} there."):
        manifest_of_folder(tmp_path / "part")
    assert not (tmp_path / "none").exists()


@pytest.mark.must("BLB-30")
def test_both_rooms_call_the_list_of_a_part_the_same() -> None:
    from umm.checkpoint import folder

    assert folder.ONLY == ONLY


@pytest.mark.must("BLB-30")
def test_parts_of_models_merge_to_the_bytes_that_the_whole_models_merge_to(tmp_path: Path) -> None:
    from tests.umm.checkpoints import merged, plain, recipe
    from umm.audit import narrowed, needed, remake
    from umm.digest import checkpoint_leaves
    from umm.merge import choose_backend
    from umm.model import Folders, Models
    from umm.plan import make_plan
    from umm.recipe.document import load

    name = "model.layers.1.mlp.up_proj.weight"
    for model in ("base", "a", "b"):
        plain(tmp_path / "whole" / model, model)
    merged(recipe("dare_ties"), tmp_path / "whole", str(tmp_path / "out"))
    (document,) = load(recipe("dare_ties"))
    for only in (frozenset[str](), frozenset({name})):  # headers tell what is needed, then that is fetched
        for model in ("base", "a", "b"):
            with FolderSource(tmp_path / "whole" / model) as source:
                assemble(source.manifest, source, tmp_path / f"parts{len(only)}" / model, only=only)
        opened = Models.of(document, Folders(tmp_path / f"parts{len(only)}", {}))
        part = narrowed(make_plan(document, opened, {name}), {name})
        assert set(needed(part).values()) == {frozenset({name})}
        if only:
            found = remake(part, backend=choose_backend())
            assert found[name].leaf == checkpoint_leaves(tmp_path / "out")[0][name]
        opened.close()
