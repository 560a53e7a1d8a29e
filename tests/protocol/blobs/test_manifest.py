"""Manifests: golden ones, every lie that a stranger may tell in one, and the way there and back."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.blobs.chunks import ChunkList
from protocol.blobs.kinds import KINDS, Adapter, Checkpoint, Delta, Distributions, kind
from protocol.blobs.layout import MAX_SHARDS
from protocol.blobs.manifest import MAX_MANIFEST_BYTES, FileEntry, Manifest, TensorEntry
from protocol.errors import MalformedError, PeerError, TooLargeError, TooNewError
from protocol.field import field
from tests.fuzz.fuzz_manifest import one
from tests.vectors.make_manifest import manifest_bytes

TESTS = Path(__file__).parents[2]
VECTORS: list[dict[str, Any]] = json.loads((TESTS / "vectors" / "manifest.json").read_text())["manifests"]
HOSTILE = TESTS / "protocol" / "hostile" / "manifest"

STRANGE = "which has no place there"
CUT = "ends within a field"

FAULTS: dict[str, tuple[type[PeerError], str]] = {
    "empty": (MalformedError, "does not begin with umm/manifest"),
    "another_format": (MalformedError, "does not begin with umm/manifest"),
    "version_of_the_future": (TooNewError, "a manifest of version 2; this program knows 1. Update it"),
    "version_0": (MalformedError, "a manifest of version 0, which never was"),
    "kind_0": (MalformedError, "the unknown kind 0"),
    "kind_unknown": (TooNewError, "the kind 5, which this program does not know"),
    "about_too_long": (MalformedError, "says 1 bytes about its checkpoint; it takes 0"),
    "about_too_short": (MalformedError, "says 31 bytes about its delta; it takes 33"),
    "about_of_4_gib": (TooLargeError, "a field of 4294967295 bytes; at most 64"),
    "delta_codec_0": (MalformedError, "a delta in codec 0, which never was"),
    "delta_codec_of_the_future": (TooNewError, "a delta in codec 2; this program knows 1. Update it"),
    "delta_without_a_codec": (MalformedError, "says 32 bytes about its delta; it takes 33"),
    "top_k_0": (MalformedError, "distributions of the top 0; 1 to 4096 are allowed"),
    "top_k_too_large": (MalformedError, "distributions of the top 4097"),
    "cut_in_the_domain": (MalformedError, "does not begin with umm/manifest"),
    "name_longer_than_the_rest": (MalformedError, f"{CUT}, at byte 130"),
    "cut_in_the_last_blob_id": (MalformedError, f"{CUT}, at byte 140"),
    "byte_behind": (MalformedError, "1 bytes after its end"),
    "files_counted_4_billion": (TooLargeError, "claims 4294967295 files; at most 64"),
    "files_more_than_bytes": (MalformedError, "claims 60 files, more than its bytes can hold"),
    "tensors_counted_4_billion": (TooLargeError, "claims 4294967295 tensors; at most 262144"),
    "tensors_more_than_bytes": (MalformedError, "claims 1000 tensors, more than its bytes can hold"),
    "tensors_none": (MalformedError, "0 tensors; 1 to 262144 are allowed"),
    "dimensions_counted_4_billion": (TooLargeError, "claims 4294967295 dimensions; at most 16"),
    "dimensions_17": (TooLargeError, "claims 17 dimensions; at most 16"),
    "file_up_the_path": (MalformedError, f"'../config.json', {STRANGE}"),
    "file_absolute": (MalformedError, f"'/etc/passwd', {STRANGE}"),
    "file_hidden": (MalformedError, f"'.bashrc', {STRANGE}"),
    "file_dot_dot": (MalformedError, f"'..', {STRANGE}"),
    "file_with_nul": (MalformedError, f"'config.json\\x00.py', {STRANGE}"),
    "file_backslash": (MalformedError, f"'config\\\\x.json', {STRANGE}"),
    "file_with_code": (MalformedError, f"'modeling_evil.py', {STRANGE}"),
    "file_is_an_index": (MalformedError, f"'model.safetensors.index.json', {STRANGE}"),
    "file_is_weights": (MalformedError, f"'model.safetensors', {STRANGE}"),
    "file_of_another_kind": (MalformedError, f"'adapter_config.json', {STRANGE}"),
    "file_in_capitals": (MalformedError, f"'Config.json', {STRANGE}"),
    "file_name_empty": (MalformedError, f"'', {STRANGE}"),
    "file_not_utf8": (MalformedError, "a text that is not UTF-8, before byte 92"),
    "file_twice": (MalformedError, "names 'config.json' twice"),
    "files_out_of_order": (MalformedError, "the files of a manifest are not in order: 'config.json' comes too late"),
    "config_missing": (MalformedError, "names no config.json"),
    "config_too_large": (TooLargeError, "config.json has 16777217 bytes; the limit is 16777216"),
    "file_too_large": (TooLargeError, "vocab.txt has 268435457 bytes; the limit is 268435456"),
    "tensor_twice": (MalformedError, "names 'a' twice"),
    "tensors_out_of_order": (MalformedError, "the tensors of a manifest are not in order: 'a' comes too late"),
    "tensor_name_empty": (MalformedError, "a tensor name of 0 bytes"),
    "tensor_name_too_long": (TooLargeError, "a text of 1025 bytes; at most 1024"),
    "tensor_name_steers_the_terminal": (MalformedError, "a control character in the tensor name 'a\\x1b[2J'"),
    "tensor_name_turns_text_round": (MalformedError, "a control character in the tensor name 'a\\u202e'"),
    "tensor_name_not_utf8": (MalformedError, "a text that is not UTF-8, before byte 90"),
    "tensor_named_metadata": (MalformedError, "a tensor of the name __metadata__"),
    "dtype_unknown": (MalformedError, "the unknown dtype 'F31'"),
    "dtype_in_lower_case": (MalformedError, "the unknown dtype 'f32'"),
    "shape_overflows": (TooLargeError, "more values than the 1099511627776 bytes"),
    "shape_over_the_blob_limit": (TooLargeError, "more values than the 1099511627776 bytes"),
    "shape_huge_made_small": (MalformedError, "a side that is not within 0 and 9223372036854775807"),
    "half_a_byte": (MalformedError, "4 bits, which are not whole bytes"),
    "one_blob_two_sizes": (MalformedError, "gives the blob of 'b' two sizes"),
    "more_than_16_tib": (TooLargeError, "bytes in all; the limit is 17592186044416"),
}

BLOB = bytes(32)
CONFIG = FileEntry("config.json", 3, bytes([1]) * 32)
TENSOR = TensorEntry("a", "F32", (2,), BLOB)
SMALL = Manifest(Checkpoint(), (CONFIG,), (TENSOR,))


@pytest.mark.must("BLB-1")
@pytest.mark.parametrize("golden", VECTORS, ids=lambda g: str(g["kind"]))
def test_manifests_are_golden(golden: dict[str, Any]) -> None:
    data = bytes.fromhex(golden["bytes"])
    manifest = Manifest.parse(data)
    assert manifest.encode() == data
    assert (manifest.id.hex(), manifest.root.hex()) == (golden["id"], golden["root"])
    assert (manifest.about.NAME, manifest.about.encode().hex()) == (golden["kind"], golden["about"])
    assert [f.name for f in manifest.files] == [f["name"] for f in golden["files"]]
    assert [(t.name, t.dtype, list(t.shape)) for t in manifest.tensors] == [
        (t["name"], t["dtype"], t["shape"]) for t in golden["tensors"]
    ]
    for entry, made in zip(manifest.entries, [*golden["files"], *golden["tensors"]], strict=True):
        content = bytes.fromhex(made["data"])
        assert (entry.size, entry.blob_id) == (len(content), ChunkList.of(content).id)


@pytest.mark.must("BLB-1", "BLB-2", "BLB-3", "BLB-4", "BLB-5", "BLB-6", "BLB-7", "BLB-8", "BLB-26")
@pytest.mark.parametrize("fault", FAULTS)
def test_a_hostile_manifest_is_refused_with_its_own_reason(fault: str) -> None:
    error, reason = FAULTS[fault]
    data = (HOSTILE / f"{fault}.bin").read_bytes()
    with pytest.raises(error) as refusal:
        Manifest.parse(data)
    assert type(refusal.value) is error
    assert reason in str(refusal.value)
    assert len(str(refusal.value)) < 300
    one(data)


def test_every_hostile_manifest_is_accounted_for() -> None:
    assert {path.stem for path in HOSTILE.glob("*.bin")} == set(FAULTS)


@pytest.mark.must("BLB-1")
def test_a_manifest_over_the_limit_is_refused_before_it_is_looked_at() -> None:
    with pytest.raises(TooLargeError, match="of 16777217 bytes; at most 16777216"):
        Manifest.parse(bytes(MAX_MANIFEST_BYTES + 1))


@pytest.mark.must("BLB-1")
def test_a_manifest_over_the_limit_cannot_be_made() -> None:
    tensors = tuple(replace(TENSOR, name=f"{i:01024d}") for i in range(MAX_MANIFEST_BYTES // 1024))
    with pytest.raises(TooLargeError, match="the limit is 16777216"):
        replace(SMALL, tensors=tensors)


UNFIT = {
    "marks": (2100, "," * 1000, 1, "more than 2097152 brackets and commas"),
    "header": (9000, '"' * 1000, 1, "the header of model.safetensors is"),
    "index": (6000, "é" * 500, 10**6, "model.safetensors.index.json is"),
    "files": (MAX_SHARDS + 1, "", 2_500_000_001, "would be 4097; the limit is 4096"),
}
"""Tensors, how their names begin, and their bytes: a manifest has room for them, a folder has not."""


@pytest.mark.must("BLB-25")
@pytest.mark.parametrize("what", UNFIT)
def test_what_could_never_be_assembled_is_refused_before_anything_is_fetched(what: str) -> None:
    count, stem, size, reason = UNFIT[what]
    tensors = [(f"{stem}{i:04d}", "U8", [size], "") for i in range(count)]
    with pytest.raises(TooLargeError, match=reason):
        Manifest.parse(manifest_bytes(1, b"", [("config.json", "7b7d")], tensors))


@pytest.mark.must("BLB-2")
def test_the_future_is_not_taken_for_nonsense() -> None:
    data = bytearray(SMALL.encode())
    data[len(field(b"umm/manifest"))] = 255
    with pytest.raises(TooNewError, match="Update"):
        Manifest.parse(bytes(data))


def test_what_cannot_be_read_cannot_be_built() -> None:
    with pytest.raises(MalformedError, match="no config"):
        replace(SMALL, files=())
    with pytest.raises(MalformedError, match="has 31 bytes"):
        replace(SMALL, tensors=(replace(TENSOR, blob_id=bytes(31)),))
    with pytest.raises(MalformedError, match="a side"):
        replace(SMALL, tensors=(replace(TENSOR, shape=(-1,)),))
    with pytest.raises(TooLargeError, match="has -1 bytes"):
        replace(SMALL, files=(replace(CONFIG, size=-1),))
    with pytest.raises(MalformedError, match="digest of a base has 3 bytes"):
        Delta(b"abc")
    with pytest.raises(MalformedError, match="top 5000"):
        Distributions(bytes(32), 5000)


def test_a_blob_that_is_used_twice_is_listed_once() -> None:
    manifest = replace(SMALL, tensors=(TENSOR, replace(TENSOR, name="tied")))
    assert manifest.blobs == {CONFIG.blob_id: 3, BLOB: 8}
    assert manifest.total_bytes == 19


def test_the_name_is_under_the_root_and_the_id() -> None:
    renamed = replace(SMALL, tensors=(replace(TENSOR, name="b"),))
    assert renamed.root != SMALL.root
    assert renamed.id != SMALL.id


def test_the_kind_is_under_the_id_but_not_under_the_root() -> None:
    delta = Manifest(Delta(BLOB), (CONFIG,), (TENSOR,))
    assert delta.root == SMALL.root
    assert delta.id != SMALL.id


@pytest.mark.must("BLB-3")
def test_kinds_have_numbers_that_are_never_reused() -> None:
    assert {code: cls.NAME for code, cls in KINDS.items()} == {
        1: "checkpoint",
        2: "delta",
        3: "adapter",
        4: "distributions",
    }
    with pytest.raises(ValueError, match="kind 1 is taken"):
        kind(Checkpoint)


@pytest.mark.must("BLB-4")
def test_a_checkpoints_files_are_those_that_a_merge_puts_under_its_root() -> None:
    from umm.digest import ROOT_FILES

    assert Checkpoint.ALLOWED == ROOT_FILES


@pytest.mark.must("BLB-4")
def test_no_file_of_any_kind_can_be_a_path_a_weight_file_or_hidden() -> None:
    for cls in KINDS.values():
        assert cls.REQUIRED <= cls.ALLOWED
        for name in cls.ALLOWED:
            assert name == Path(name).name
            assert not name.startswith(".")
            assert not name.endswith((".safetensors", ".safetensors.index.json", ".py"))


NAMES = st.text(st.characters(exclude_categories=("Cs", "Cc", "Cf", "Zl", "Zp")), min_size=1, max_size=8)
ABOUTS = st.one_of(
    st.just(Checkpoint()),
    st.builds(Delta, st.binary(min_size=32, max_size=32)),
    st.builds(Adapter, st.binary(min_size=32, max_size=32)),
    st.builds(Distributions, st.binary(min_size=32, max_size=32), st.integers(1, 4096)),
)


@st.composite
def manifests(draw: st.DrawFn) -> Manifest:
    about = draw(ABOUTS)
    names = about.REQUIRED | draw(st.frozensets(st.sampled_from(sorted(about.ALLOWED))))
    files = [FileEntry(name, draw(st.integers(0, 2**24)), ChunkList.of(name.encode()).id) for name in sorted(names)]
    tensors = [
        TensorEntry(
            name,
            draw(st.sampled_from(["F32", "BF16", "U8"])),
            tuple(draw(st.lists(st.integers(0, 99), max_size=4))),
            ChunkList.of(b"tensor " + name.encode()).id,
        )
        for name in sorted(draw(st.sets(NAMES, min_size=1, max_size=4)))
    ]
    return Manifest(about, tuple(files), tuple(tensors))


@settings(deadline=None, max_examples=60)
@given(manifests())
def test_a_manifest_comes_back_as_it_was(manifest: Manifest) -> None:
    assert Manifest.parse(manifest.encode()) == manifest


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_a_manifest_with_changed_bytes_is_another_one_or_refused(data: st.DataObject) -> None:
    text = bytearray.fromhex(data.draw(st.sampled_from(VECTORS))["bytes"])
    for _ in range(data.draw(st.integers(1, 3))):
        text[data.draw(st.integers(0, len(text) - 1))] = data.draw(st.integers(0, 255))
    one(bytes(text[: data.draw(st.integers(0, len(text)))]))
