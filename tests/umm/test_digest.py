"""Digests: golden values made from the description alone, and what must and must not change them."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from tests.umm.handmade import index, model_folder, tensor_file
from tests.vectors.make_digest import pattern
from umm.digest import checkpoint_leaves, checkpoint_root, file_leaf, leaf, root

VECTORS: dict[str, Any] = json.loads((Path(__file__).parent.parent / "vectors" / "digest.json").read_text())


def tensor_leaf(name: str, dtype: str, shape: tuple[int, ...], data: bytes) -> bytes:
    made = leaf(name, dtype, shape)
    made.update(data)
    return made.digest()


@pytest.mark.parametrize("golden", VECTORS["tensors"], ids=lambda g: ascii(g["name"]))
def test_a_tensor_leaf_is_golden(golden: dict[str, Any]) -> None:
    data = bytes.fromhex(golden["data"])
    assert tensor_leaf(golden["name"], golden["dtype"], golden["shape"], data).hex() == golden["leaf"]


@pytest.mark.parametrize("golden", VECTORS["long"], ids=lambda g: str(g["size"]))
def test_the_leaf_of_several_chunks_is_golden(golden: dict[str, Any]) -> None:
    data = pattern(golden["step"], golden["size"])
    assert tensor_leaf("long", "U8", (len(data),), data).hex() == golden["leaf"]


@pytest.mark.parametrize("golden", VECTORS["files"], ids=lambda g: g["name"])
def test_a_file_leaf_is_golden(golden: dict[str, Any]) -> None:
    assert file_leaf(golden["name"], bytes.fromhex(golden["data"])).hex() == golden["leaf"]


def test_a_root_is_golden() -> None:
    tensors = {g["name"]: bytes.fromhex(g["leaf"]) for g in VECTORS["tensors"]}
    files = {g["name"]: bytes.fromhex(g["leaf"]) for g in VECTORS["files"]}
    assert root(tensors, files).hex() == VECTORS["root"]


@pytest.mark.parametrize("golden", VECTORS["trees"], ids=lambda g: str(g["count"]))
def test_a_tree_of_any_size_is_golden(golden: dict[str, Any]) -> None:
    leaves = {f"{i:03d}": blake3(b"leaf %d" % i).digest() for i in range(golden["count"])}
    assert root(leaves).hex() == golden["root"]


@given(st.binary(max_size=200), st.lists(st.integers(0, 200)))
def test_a_leaf_does_not_depend_on_how_its_bytes_arrive(data: bytes, cuts: list[int]) -> None:
    made = leaf("w", "U8", (len(data),))
    edges = [0, *sorted(min(c, len(data)) for c in cuts), len(data)]
    for begin, end in pairwise(edges):
        made.update(memoryview(data)[begin:end])
    assert made.digest() == tensor_leaf("w", "U8", (len(data),), data)


@given(st.dictionaries(st.text(), st.binary(min_size=32, max_size=32), max_size=20))
def test_a_root_does_not_depend_on_the_order_of_its_leaves(leaves: dict[str, bytes]) -> None:
    assert root(leaves) == root(dict(reversed(leaves.items())))


def test_name_dtype_shape_and_bytes_each_count() -> None:
    variants = [
        ("w", "U8", (4,), b"1234"),
        ("v", "U8", (4,), b"1234"),
        ("w", "I8", (4,), b"1234"),
        ("w", "U8", (2, 2), b"1234"),
        ("w", "U8", (1, 4), b"1234"),
        ("w", "U8", (4,), b"1235"),
        ("wU", "8", (4,), b"1234"),
    ]
    assert len({tensor_leaf(*v) for v in variants}) == len(variants)


def test_a_file_and_a_tensor_of_one_name_do_not_collide() -> None:
    assert tensor_leaf("a", "U8", (0,), b"") != file_leaf("a", b"")
    assert root({"a": b"1" * 32}, {"b": b"2" * 32}) != root({"b": b"2" * 32}, {"a": b"1" * 32})


def test_a_leaf_cannot_pass_for_an_inner_node() -> None:
    left, right = b"1" * 32, b"2" * 32
    pair = blake3(b"\0" + left).digest() + blake3(b"\0" + right).digest()
    assert root({"a": left, "b": right}) == blake3(b"\1" + pair).digest()
    assert root({"a": pair}) != root({"a": left, "b": right})


def test_a_folder_has_the_root_of_its_leaves_however_it_is_split(tmp_path: Path) -> None:
    a, b = ("F32", (1,), b"1234"), ("BF16", (2, 1), b"5678")
    one = model_folder(tmp_path / "one", {"model.safetensors": tensor_file({"b": b, "a": a})})
    two = model_folder(
        tmp_path / "two",
        {
            "x.safetensors": tensor_file({"b": b}),
            "y.safetensors": tensor_file({"a": a}),
            "model.safetensors.index.json": index({"a": "y.safetensors", "b": "x.safetensors"}),
        },
    )
    tensors = {"a": tensor_leaf("a", *a), "b": tensor_leaf("b", *b)}
    files = {"config.json": file_leaf("config.json", (one / "config.json").read_bytes())}
    assert checkpoint_leaves(one) == (tensors, files)
    assert checkpoint_root(one) == checkpoint_root(two) == root(tensors, files)
