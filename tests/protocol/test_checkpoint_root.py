"""The checkpoint's root from blob ids: golden, the same as from values, and what must change it."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import merkle
from protocol.blobs.chunks import ChunkList
from protocol.checkpoint_root import file_leaf, ordered, root, tensor_leaf
from tests.vectors.make_digest import pattern

HERE = Path(__file__).parents[1] / "vectors"
VECTORS: dict[str, Any] = json.loads((HERE / "checkpoint_root.json").read_text())
SHARED: dict[str, Any] = json.loads((HERE / "digest.json").read_text())
BLOB = ChunkList.of(b"values").id


def blob(golden: dict[str, Any]) -> bytes:
    """The id of a golden entry's bytes, which are spelled out or a pattern."""
    data = bytes.fromhex(golden["data"]) if "data" in golden else pattern(golden["step"], golden["size"])
    return ChunkList.of(data).id


def leaves(vectors: dict[str, Any]) -> tuple[dict[str, bytes], dict[str, bytes]]:
    tensors = {g["name"]: tensor_leaf(g["name"], g["dtype"], g["shape"], blob(g)) for g in vectors["tensors"]}
    return tensors, {g["name"]: file_leaf(g["name"], blob(g)) for g in vectors["files"]}


@pytest.mark.must("DIG-6", "DIG-7", "DIG-8")
@pytest.mark.parametrize("vectors", [VECTORS, SHARED], ids=["own", "shared with umm"])
def test_leaves_and_root_are_golden(vectors: dict[str, Any]) -> None:
    tensors, files = leaves(vectors)
    assert {name: leaf.hex() for name, leaf in tensors.items()} == {g["name"]: g["leaf"] for g in vectors["tensors"]}
    assert {name: leaf.hex() for name, leaf in files.items()} == {g["name"]: g["leaf"] for g in vectors["files"]}
    assert root(tensors, files).hex() == vectors["root"]


@pytest.mark.must("DIG-2", "DIG-6")
@pytest.mark.parametrize("golden", SHARED["long"], ids=lambda g: str(g["size"]))
def test_the_leaf_of_several_chunks_is_golden(golden: dict[str, Any]) -> None:
    assert blob(golden).hex() == golden["blob"]
    assert tensor_leaf("long", "U8", [golden["size"]], blob(golden)).hex() == golden["leaf"]


@pytest.mark.must("DIG-8")
def test_tensors_come_first_and_each_kind_in_order_of_its_utf8_names() -> None:
    names = ["z", "a", "\U0001d11e", "é", "\uffff", "a.b", "a/b"]
    tensors = {name: tensor_leaf(name, "U8", [6], BLOB) for name in names}
    files = {name: file_leaf(name, BLOB) for name in names}
    in_order = sorted(names, key=lambda name: name.encode())
    expected = [tensors[name] for name in in_order] + [files[name] for name in in_order]
    assert ordered(tensors, files) == expected
    assert root(dict(reversed(tensors.items())), files) == merkle.root(expected)


@pytest.mark.must("DIG-6", "DIG-7")
def test_whatever_a_leaf_is_made_of_changes_it() -> None:
    other = ChunkList.of(b"valueS").id
    made = [
        tensor_leaf("w", "U8", [6], BLOB),
        tensor_leaf("v", "U8", [6], BLOB),
        tensor_leaf("w", "I8", [6], BLOB),
        tensor_leaf("wU", "8", [6], BLOB),
        tensor_leaf("w", "U8", [6, 1], BLOB),
        tensor_leaf("w", "U8", [2, 3], BLOB),
        tensor_leaf("w", "U8", [3, 2], BLOB),
        tensor_leaf("w", "U8", [], BLOB),
        tensor_leaf("w", "U8", [6], other),
        file_leaf("w", BLOB),
        file_leaf("v", BLOB),
        file_leaf("w", other),
    ]
    assert len(set(made)) == len(made)


@given(st.dictionaries(st.text(max_size=5), st.binary(min_size=32, max_size=32), min_size=1, max_size=6))
def test_a_leaf_more_or_fewer_is_another_root(tensors: dict[str, bytes]) -> None:
    name, leaf = next(iter(tensors.items()))
    fewer = {key: value for key, value in tensors.items() if key != name}
    assert len({root(tensors, {}), root(fewer, {}), root(tensors, {name: leaf})}) == 3
