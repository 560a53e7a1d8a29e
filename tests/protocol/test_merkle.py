"""Trees: golden proofs, all proofs of small trees against RFC 6962 as it is written, and what a liar may try."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol import merkle
from protocol.errors import ForgedError, UsageError
from protocol.merkle import Hash, Tree
from tests.vectors.make_merkle import path, proof, tree

VECTORS: dict[str, Any] = json.loads((Path(__file__).parents[1] / "vectors" / "merkle.json").read_text())
LEAVES = [bytes.fromhex(leaf) for leaf in VECTORS["leaves"]]
HASHES = {"blake3": merkle.blake3_hash, "sha256": merkle.sha256_hash}
LARGEST = 18
"""Trees up to here are tried with every index and every older size."""

both_hashes = pytest.mark.parametrize("name", HASHES)
other_root = merkle.blake3_hash(b"another root")


def leaves(count: int) -> list[bytes]:
    return [b"leaf %d" % i for i in range(count)]


def hashes(golden: dict[str, Any]) -> list[bytes]:
    return [bytes.fromhex(node) for node in golden["proof"]]


def spoiled(path: tuple[bytes, ...]) -> list[tuple[bytes, ...]]:
    """The same proof, broken in every simple way."""
    made: list[tuple[bytes, ...]] = [(*path, other_root), (other_root, *path)]
    if path:
        made += [path[:-1], path[1:], (*path, path[-1])]
    for i, node in enumerate(path):
        wrong = (bytes([node[0] ^ 1]) + node[1:], node[:31], node + b"\0", b"", other_root)
        made += [(*path[:i], other, *path[i + 1 :]) for other in wrong]
        made += [(*path[:i], *path[i + 1 :]), (*path[:i], node, *path[i:])]
    made += [(*path[:i], path[i + 1], path[i], *path[i + 2 :]) for i in range(len(path) - 1)]
    return [p for p in made if p != path]


@both_hashes
@pytest.mark.must("MRK-1")
def test_roots_are_golden(name: str) -> None:
    for count, golden in enumerate(VECTORS[name]["roots"]):
        assert merkle.root(LEAVES[:count], HASHES[name]).hex() == golden
        assert Tree(LEAVES, HASHES[name]).root(count).hex() == golden


@both_hashes
@pytest.mark.must("MRK-2")
def test_inclusion_proofs_are_golden(name: str) -> None:
    for golden in VECTORS[name]["inclusions"]:
        index, count = golden["index"], golden["count"]
        assert list(merkle.inclusion(LEAVES[:count], index, HASHES[name])) == hashes(golden)
        root = bytes.fromhex(VECTORS[name]["roots"][count])
        merkle.check_inclusion(root, LEAVES[index], index, count, hashes(golden), HASHES[name])


@both_hashes
@pytest.mark.must("MRK-3")
def test_consistency_proofs_are_golden(name: str) -> None:
    roots = [bytes.fromhex(root) for root in VECTORS[name]["roots"]]
    for golden in VECTORS[name]["consistencies"]:
        old, new = golden["old"], golden["new"]
        assert list(merkle.consistency(LEAVES[:new], old, HASHES[name])) == hashes(golden)
        merkle.check_consistency(roots[old], old, roots[new], new, hashes(golden), HASHES[name])


@pytest.mark.must("MRK-1", "MRK-2", "MRK-3")
def test_every_proof_of_a_small_tree_is_that_of_the_rfc_and_holds() -> None:
    hashed: Hash = merkle.blake3_hash
    grown = Tree(leaves(LARGEST))
    for n in range(1, LARGEST + 1):
        now = leaves(n)
        assert grown.root(n) == merkle.root(now) == tree(now, hashed)
        for i in range(n):
            found = grown.inclusion(i, n)
            assert list(found) == path(i, now, hashed)
            assert len(found) == merkle.inclusion_length(i, n)
            merkle.check_inclusion(grown.root(n), now[i], i, n, found)
        for m in range(1, n + 1):
            found = grown.consistency(m, n)
            assert list(found) == proof(m, now, hashed)
            merkle.check_consistency(grown.root(m), m, grown.root(n), n, found)
            if m < n:
                assert merkle.grown_roots(m, n, grown.growth(m, n)) == (grown.root(m), grown.root(n))


@settings(deadline=None, max_examples=40)
@given(st.lists(st.binary(max_size=40), min_size=1, max_size=80), st.data())
def test_trees_of_any_leaves_are_those_of_the_rfc(now: list[bytes], data: st.DataObject) -> None:
    hashed = merkle.sha256_hash
    i = data.draw(st.integers(0, len(now) - 1))
    root = merkle.root(now, hashed)
    assert root == Tree(now, hashed).root() == tree(now, hashed)
    assert list(merkle.inclusion(now, i, hashed)) == path(i, now, hashed)
    assert list(merkle.consistency(now, i + 1, hashed)) == proof(i + 1, now, hashed)
    merkle.check_inclusion(root, now[i], i, len(now), path(i, now, hashed), hashed)
    older = merkle.root(now[: i + 1], hashed)
    merkle.check_consistency(older, i + 1, root, len(now), proof(i + 1, now, hashed), hashed)


@pytest.mark.must("MRK-2")
@pytest.mark.parametrize("n", [1, 2, 5, 7, 8])
def test_a_spoiled_inclusion_proof_is_refused(n: int) -> None:
    grown = Tree(leaves(n))
    for i in range(n):
        merkle.check_inclusion(grown.root(), b"leaf %d" % i, i, n, grown.inclusion(i))
        for wrong in spoiled(grown.inclusion(i)):
            with pytest.raises(ForgedError):
                merkle.check_inclusion(grown.root(), b"leaf %d" % i, i, n, wrong)
        with pytest.raises(ForgedError):
            merkle.check_inclusion(other_root, b"leaf %d" % i, i, n, grown.inclusion(i))
        with pytest.raises(ForgedError):
            merkle.check_inclusion(grown.root(), b"leaf x", i, n, grown.inclusion(i))


@pytest.mark.must("MRK-2")
def test_a_proof_for_another_index_is_refused() -> None:
    grown = Tree(leaves(LARGEST))
    for i in range(LARGEST):
        for other in set(range(-2, LARGEST + 3)) - {i}:
            with pytest.raises(ForgedError):
                merkle.check_inclusion(grown.root(), b"leaf %d" % i, other, LARGEST, grown.inclusion(i))


@pytest.mark.must("MRK-4")
def test_a_root_alone_does_not_fix_the_count() -> None:
    """Why whoever needs the place takes the count from elsewhere."""
    three = Tree(leaves(3))
    merkle.check_inclusion(three.root(), b"leaf 2", 2, 3, three.inclusion(2))
    merkle.check_inclusion(three.root(), b"leaf 2", 1, 2, three.inclusion(2))


def test_an_inner_node_is_no_leaf() -> None:
    grown = Tree(leaves(4))
    left = merkle.inclusion_length(0, 2), grown.inclusion(2)[-1]
    assert left == (1, merkle.root(leaves(2)))
    with pytest.raises(ForgedError):
        merkle.check_inclusion(grown.root(), left[1], 0, 2, grown.inclusion(0)[1:])


@pytest.mark.must("MRK-2")
@pytest.mark.parametrize(
    ("index", "count"), [(0, 0), (1, 1), (-1, 3), (3, 3), (0, -1), (0, 2**63), (2**64, 2**64 + 1), (5, 2)]
)
def test_an_index_beside_the_tree_is_refused(index: int, count: int) -> None:
    for length in (0, 1, 63, 64):
        with pytest.raises(ForgedError):
            merkle.check_inclusion(merkle.root([]), b"", index, count, [other_root] * length)


@pytest.mark.must("MRK-2", "MRK-3")
def test_a_claimed_count_costs_nothing() -> None:
    huge = merkle.MAX_LEAVES
    with pytest.raises(ForgedError, match=r"has 0 hashes; it takes 63"):
        merkle.check_inclusion(other_root, b"", 0, huge, [])
    with pytest.raises(ForgedError, match=r"has 1000000 hashes"):
        merkle.check_inclusion(other_root, b"", 0, huge, [other_root] * 1_000_000)
    with pytest.raises(ForgedError, match=r"it takes \d+"):
        merkle.check_consistency(other_root, huge - 1, other_root, huge, [])
    assert max(merkle.inclusion_length(i, huge) for i in (0, huge // 2, huge - 2, huge - 1)) <= merkle.MAX_PATH


@pytest.mark.must("MRK-3")
def test_a_spoiled_consistency_proof_is_refused() -> None:
    grown = Tree(leaves(8))
    for n in (1, 5, 7, 8):
        for m in range(1, n + 1):
            found = grown.consistency(m, n)
            for wrong in spoiled(found):
                with pytest.raises(ForgedError):
                    merkle.check_consistency(grown.root(m), m, grown.root(n), n, wrong)
            for before, after in ((other_root, grown.root(n)), (grown.root(m), other_root)):
                with pytest.raises(ForgedError):
                    merkle.check_consistency(before, m, after, n, found)


@pytest.mark.must("MRK-3")
def test_a_consistency_proof_between_other_sizes_is_refused() -> None:
    grown = Tree(leaves(9))
    found = grown.consistency(3, 7)
    for m in range(-1, 11):
        for n in range(-1, 11):
            if (m, n) != (3, 7) and 0 < m <= n <= 9:
                with pytest.raises(ForgedError):
                    merkle.check_consistency(grown.root(m), m, grown.root(n), n, found)
            elif not 0 < m <= n:
                with pytest.raises(ForgedError):
                    merkle.check_consistency(grown.root(3), m, grown.root(7), n, found)


@pytest.mark.must("MRK-3")
@pytest.mark.parametrize("new", [0, 1, 5])
def test_nothing_is_consistent_with_the_empty_tree(new: int) -> None:
    empty, root = merkle.root([]), merkle.root(leaves(new))
    for claimed in ([], [root], [empty]):
        with pytest.raises(ForgedError):
            merkle.check_consistency(empty, 0, root, new, claimed)


def test_a_tree_that_did_not_grow_has_no_proof() -> None:
    ours, theirs = Tree(leaves(8)), Tree([*leaves(2), b"another", *leaves(8)[3:]])
    for m in range(3, 8):
        for claimed in (ours.consistency(m), theirs.consistency(m)):
            with pytest.raises(ForgedError):
                merkle.check_consistency(ours.root(m), m, theirs.root(8), 8, claimed)


def test_who_asks_for_an_impossible_proof_is_told_so() -> None:
    grown = Tree(leaves(3))
    for index, size in ((3, None), (-1, None), (2, 2), (0, 4)):
        with pytest.raises(UsageError):
            grown.inclusion(index, size)
    for old, size in ((0, None), (4, None), (3, 2)):
        with pytest.raises(UsageError):
            grown.consistency(old, size)
    with pytest.raises(UsageError):
        grown.root(4)
