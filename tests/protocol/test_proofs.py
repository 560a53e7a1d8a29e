"""Proofs about parts of a checkpoint: golden, all the way from root to bytes, and what a liar may try."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol import merkle
from protocol.blobs.chunks import CHUNK_BYTES, MAX_BLOB_BYTES, ChunkList, chunk_count
from protocol.checkpoint_root import file_leaf, ordered, root, tensor_leaf
from protocol.errors import ForgedError, MalformedError, PeerError, TooLargeError, TooNewError, UsageError
from protocol.proofs import MAX_CHECKPOINT_LEAVES, MAX_PROOF_BYTES, ChunkProof, TensorProof
from tests.fuzz.fuzz_proofs import one
from tests.vectors.make_digest import pattern

TESTS = Path(__file__).parents[1]
VECTORS: dict[str, Any] = json.loads((TESTS / "vectors" / "checkpoint_root.json").read_text())
HOSTILE = TESTS / "protocol" / "hostile" / "proof"
GOLDEN = {g["name"]: g for g in VECTORS["tensors"]}
ROOT = bytes.fromhex(VECTORS["root"])
TENSOR = bytes.fromhex(VECTORS["tensor_proof"]["bytes"])
CHUNK = bytes.fromhex(VECTORS["chunk_proof"]["bytes"])
PROVEN = GOLDEN[VECTORS["tensor_proof"]["name"]]
DATA = pattern(PROVEN["step"], PROVEN["size"])

FAULTS: dict[str, tuple[type[PeerError], str]] = {
    "tensor_empty": (MalformedError, "does not begin with umm/tensor-proof"),
    "tensor_of_another_domain": (MalformedError, "does not begin with umm/tensor-proof"),
    "tensor_version_zero": (MalformedError, "version 0, which never was"),
    "tensor_version_two": (TooNewError, "version 2; this program knows 1"),
    "tensor_version_missing": (MalformedError, "ends within a field, at byte 20"),
    "tensor_name_empty": (MalformedError, "tensor name of 0 bytes"),
    "tensor_name_too_long": (TooLargeError, "text of 1025 bytes; at most 1024"),
    "tensor_name_of_four_gigabytes": (TooLargeError, "text of 4294967295 bytes"),
    "tensor_name_not_utf8": (MalformedError, "text that is not UTF-8"),
    "tensor_name_of_a_surrogate": (MalformedError, "text that is not UTF-8"),
    "tensor_name_steers_the_terminal": (MalformedError, r"control character in the tensor name '\\x1b\[2J'"),
    "tensor_dtype_in_small_letters": (MalformedError, "unknown dtype 'bf16'"),
    "tensor_dtype_empty": (MalformedError, "unknown dtype ''"),
    "tensor_seventeen_dimensions": (TooLargeError, "17 dimensions; at most 16"),
    "tensor_dimensions_beyond_the_end": (TooLargeError, "4294967295 dimensions; at most 16"),
    "tensor_cut_in_the_blob_id": (MalformedError, "ends within a field"),
    "tensor_cut_before_the_count": (MalformedError, "ends within a field"),
    "tensor_of_no_leaves": (MalformedError, "leaf 0 of 0"),
    "tensor_index_beyond_the_count": (MalformedError, "leaf 6 of 6"),
    "tensor_count_too_large": (TooLargeError, "tree of 1048577; at most 1048576"),
    "tensor_count_of_all_ones": (TooLargeError, "tree of 18446744073709551615"),
    "tensor_path_too_short": (MalformedError, "2 hashes for leaf 3 of 6"),
    "tensor_path_too_long": (MalformedError, "4 hashes for leaf 3 of 6"),
    "tensor_path_of_half_hashes": (MalformedError, "path of 80 bytes, not of whole hashes"),
    "tensor_byte_behind": (MalformedError, "path of 97 bytes, not of whole hashes"),
    "tensor_too_large": (TooLargeError, "of 4097 bytes; at most 4096"),
    "chunk_empty": (MalformedError, "does not begin with umm/chunk-proof"),
    "chunk_version_two": (TooNewError, "version 2; this program knows 1"),
    "chunk_size_too_large": (TooLargeError, "blob of 1099511627777 bytes; at most"),
    "chunk_of_an_empty_blob": (MalformedError, "leaf 0 of 0"),
    "chunk_index_beyond_the_blob": (MalformedError, "leaf 3 of 3"),
    "chunk_cut_in_the_digest": (MalformedError, "ends within a field"),
    "chunk_path_too_short": (MalformedError, "0 hashes for leaf 2 of 3"),
    "chunk_path_too_long": (MalformedError, "2 hashes for leaf 2 of 3"),
    "chunk_byte_behind": (MalformedError, "path of 33 bytes, not of whole hashes"),
}


def checkpoint() -> tuple[merkle.Tree, list[str]]:
    """The golden checkpoint's tree and its tensors' names in order."""
    tensors = {name: bytes.fromhex(g["leaf"]) for name, g in GOLDEN.items()}
    files = {g["name"]: bytes.fromhex(g["leaf"]) for g in VECTORS["files"]}
    return merkle.Tree(ordered(tensors, files)), sorted(GOLDEN)


def prove(name: str) -> TensorProof:
    tree, names = checkpoint()
    g = GOLDEN[name]
    return TensorProof.of(tree, names.index(name), name, g["dtype"], g["shape"], bytes.fromhex(g["blob"]))


@pytest.mark.must("DIG-9", "DIG-10")
def test_proofs_are_golden_and_lead_from_the_root_to_the_bytes() -> None:
    blob = ChunkList.of(DATA)
    index = VECTORS["chunk_proof"]["index"]
    assert prove(PROVEN["name"]).encode() == TENSOR
    assert ChunkProof.of(blob, index).encode() == CHUNK
    tensor, chunk = TensorProof.parse(TENSOR), ChunkProof.parse(CHUNK)
    tensor.check(ROOT)
    chunk.check(tensor.blob_id)
    chunk.check_chunk(DATA[index * CHUNK_BYTES :])


@pytest.mark.must("DIG-9")
@pytest.mark.parametrize("name", GOLDEN, ids=ascii)
def test_every_tensor_of_a_checkpoint_has_its_proof(name: str) -> None:
    made = TensorProof.parse(prove(name).encode())
    assert made == prove(name)
    made.check(ROOT)


@pytest.mark.must("DIG-9")
def test_a_proof_of_anything_else_is_refused() -> None:
    proof = TensorProof.parse(TENSOR)
    flipped = bytes([proof.path[0][0] ^ 1]) + proof.path[0][1:]
    for changes in (
        {"name": "model.embed_tokens.weigh"},
        {"dtype": "I32"},
        {"shape": (1, CHUNK_BYTES // 2 + 2)},
        {"blob_id": ChunkList.of(b"other").id},
        {"path": (flipped, *proof.path[1:])},
        {"path": tuple(reversed(proof.path))},
        {"index": 2},
    ):
        wrong = dataclasses.replace(proof, **changes)
        with pytest.raises(ForgedError, match=ROOT.hex()):
            TensorProof.parse(wrong.encode()).check(ROOT)
    with pytest.raises(ForgedError):
        proof.check(ChunkList.of(b"").id)


@pytest.mark.must("DIG-10")
def test_a_chunk_elsewhere_is_refused() -> None:
    """By size and index as well: the size is under the blob's id, and with it the place."""
    proof, blob = ChunkProof.parse(CHUNK), ChunkList.of(DATA).id
    for changes in (
        {"size": proof.size - 1},
        {"index": 1, "path": (*proof.path, blob)},
        {"digest": blob},
        {"path": (blob,)},
    ):
        wrong = dataclasses.replace(proof, **changes)
        with pytest.raises(ForgedError, match=blob.hex()):
            wrong.check(blob)
    two = dataclasses.replace(proof, size=2 * CHUNK_BYTES, index=1)  # the same path in a smaller tree
    with pytest.raises(ForgedError):
        two.check(blob)
    for chunk in (b"", DATA[-8:-1], DATA[:8], DATA[-8:] + b"\0", DATA[:CHUNK_BYTES]):
        with pytest.raises(ForgedError):
            proof.check_chunk(chunk)


@pytest.mark.must("DIG-10")
@settings(deadline=None, max_examples=30)
@given(st.integers(1, 40), st.data())
def test_every_chunk_of_a_blob_has_its_proof(count: int, data: st.DataObject) -> None:
    size = (count - 1) * CHUNK_BYTES + data.draw(st.integers(1, CHUNK_BYTES))
    blob = ChunkList(size, tuple(merkle.blake3_hash(b"%d" % i) for i in range(chunk_count(size))))
    made = ChunkProof.of(blob, data.draw(st.integers(0, count - 1)))
    assert ChunkProof.parse(made.encode()) == made
    made.check(blob.id)


def test_the_largest_proofs_fit_into_the_limit() -> None:
    depth = merkle.inclusion_length(0, MAX_CHECKPOINT_LEAVES)
    path = (bytes(32),) * depth
    tensor = TensorProof("n" * 1024, "F8_E5M2FNUZ", (0, *(2**63 - 1,) * 15), bytes(32), 0, MAX_CHECKPOINT_LEAVES, path)
    assert TensorProof.parse(tensor.encode()) == tensor
    chunk = ChunkProof(MAX_BLOB_BYTES, 0, bytes(32), (bytes(32),) * 20)
    assert ChunkProof.parse(chunk.encode()) == chunk
    assert max(len(tensor.encode()), len(chunk.encode())) < MAX_PROOF_BYTES


@pytest.mark.must("DIG-9", "DIG-10", "DIG-11")
def test_every_hostile_proof_is_refused_with_its_own_error() -> None:
    assert {path.stem for path in HOSTILE.iterdir()} == set(FAULTS)
    for name, (error, words) in FAULTS.items():
        kind = TensorProof if name.startswith("tensor") else ChunkProof
        with pytest.raises(error, match=words) as caught:
            kind.parse((HOSTILE / f"{name}.bin").read_bytes())
        assert type(caught.value) is error, name


@pytest.mark.must("DIG-9", "DIG-10")
@pytest.mark.parametrize("encoded", [TENSOR, CHUNK], ids=["tensor", "chunk"])
def test_a_proof_cut_anywhere_is_refused(encoded: bytes) -> None:
    kind = TensorProof if encoded is TENSOR else ChunkProof
    for end in range(len(encoded)):
        with pytest.raises(MalformedError):
            kind.parse(encoded[:end])


def test_proofs_are_valid_once_built() -> None:
    tensor, chunk = TensorProof.parse(TENSOR), ChunkProof.parse(CHUNK)
    for changes in (
        {"name": "\ud800"},
        {"name": "n" * 1025},
        {"name": "a\u202eb"},
        {"name": "__metadata__"},
        {"dtype": "BF16\n"},
        {"shape": (-1,)},
        {"shape": (2**63, 0)},
        {"shape": (2**40,)},
        {"shape": (1,) * 17},
        {"blob_id": bytes(31)},
        {"index": -1},
        {"path": (*tensor.path[:-1], bytes(31))},
    ):
        with pytest.raises(MalformedError):
            dataclasses.replace(tensor, **changes)
    for changed in ({"size": -1}, {"index": -1}, {"digest": bytes(33)}, {"path": (bytes(31),)}):
        with pytest.raises(MalformedError):
            dataclasses.replace(chunk, **changed)


def test_who_proves_the_wrong_leaf_is_told_so() -> None:
    tensors = {"a": tensor_leaf("a", "U8", [1], bytes(32)), "b": tensor_leaf("b", "U8", [1], bytes(32))}
    files = {"config.json": file_leaf("config.json", bytes(32))}
    tree = merkle.Tree(ordered(tensors, files))
    TensorProof.of(tree, 1, "b", "U8", [1], bytes(32)).check(root(tensors, files))
    for index in (0, 2, 3):
        with pytest.raises(UsageError):
            TensorProof.of(tree, index, "b", "U8", [1], bytes(32))


@settings(deadline=None)
@given(st.binary(max_size=200), st.integers(0, len(TENSOR)), st.integers(0, 40), st.sampled_from([TENSOR, CHUNK]))
def test_any_bytes_are_a_proof_or_refused_with_a_reason(data: bytes, at: int, cut: int, golden: bytes) -> None:
    one(data)
    one(golden[:at] + data[:20] + golden[at + cut :])


def test_hostile_files_are_refused_by_the_fuzz_target_too() -> None:
    for path in HOSTILE.iterdir():
        one(path.read_bytes())
