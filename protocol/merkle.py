"""Trees of hashes as in RFC 6962: a root for many leaves, proof that a leaf is among them, proof that a tree only grew.

The hash of no leaves is ``H()``, of one ``H(0x00 leaf)``, of more ``H(0x01 left right)``, the left side being the
largest power of two smaller than the count. ``H`` is BLAKE3 unless told otherwise; the log takes SHA-256.

Rules for whoever is handed a proof:

1. The number of leaves is 1 to ``MAX_LEAVES`` and the index lies below it.
2. A proof has exactly the number of hashes that index and count call for, each of ``HASH_BYTES``.
3. Nothing is consistent with the empty tree: RFC 6962 has no such proof, and it would prove nothing.

A root alone does not fix the count: a leaf and its path could be shown under another index and count. Who needs the
index has to know the count from elsewhere, as from a blob's size or from a log's checkpoint.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence

from blake3 import blake3

from protocol.errors import ForgedError, UsageError

HASH_BYTES = 32

MAX_LEAVES = 2**63 - 1
"""Leaves that a proof may speak of."""

MAX_PATH = 64
"""Hashes in the longest proof."""

LEAF = b"\x00"
NODE = b"\x01"

Hash = Callable[[bytes], bytes]


def blake3_hash(data: bytes) -> bytes:
    """BLAKE3, 32 bytes."""
    return blake3(data).digest()


def sha256_hash(data: bytes) -> bytes:
    """SHA-256."""
    return hashlib.sha256(data).digest()


class Tree:
    """A tree that grows. It keeps the hash of every full subtree: also past roots and proofs cost few hashes."""

    def __init__(self, leaves: Iterable[bytes] = (), hashed: Hash = blake3_hash) -> None:
        self._hashed = hashed
        self._levels: list[list[bytes]] = [[]]
        for leaf in leaves:
            self.append(leaf)

    def __len__(self) -> int:
        return len(self._levels[0])

    def append(self, leaf: bytes) -> None:
        """Add a leaf behind the others."""
        node = self._hashed(LEAF + leaf)
        for nodes in self._levels:
            nodes.append(node)
            if len(nodes) % 2:
                return
            node = self._hashed(NODE + nodes[-2] + nodes[-1])
        self._levels.append([node])

    def root(self, size: int | None = None) -> bytes:
        """The root over all leaves, or over the first ``size`` of them."""
        return self._subtree(0, self._size(size))

    def inclusion(self, index: int, size: int | None = None) -> tuple[bytes, ...]:
        """Proof that leaf ``index`` is among the first ``size``: siblings from the leaf upwards."""
        begin, end = 0, self._size(size)
        if not 0 <= index < end:
            raise UsageError(f"there is no leaf {index} among {end}")
        path = []
        while end - begin > 1:
            middle = begin + _left(end - begin)
            if index < middle:
                path.append(self._subtree(middle, end))
                end = middle
            else:
                path.append(self._subtree(begin, middle))
                begin = middle
        return tuple(reversed(path))

    def consistency(self, old: int, size: int | None = None) -> tuple[bytes, ...]:
        """Proof that the first ``old`` leaves were a tree before the first ``size`` were one."""
        path = self.growth(old, size)
        return path[1:] if _is_power_of_two(old) or old == self._size(size) else path

    def growth(self, old: int, size: int | None = None) -> tuple[bytes, ...]:
        """``consistency`` with its starting point spelled out even where the old root is that point."""
        begin, end = 0, self._size(size)
        if not 0 < old <= end:
            raise UsageError(f"a tree of {end} leaves did not grow from one of {old}")
        path = []
        while end != old:
            middle = begin + _left(end - begin)
            if old <= middle:
                path.append(self._subtree(middle, end))
                end = middle
            else:
                path.append(self._subtree(begin, middle))
                begin = middle
        return (self._subtree(begin, end), *reversed(path))

    def _size(self, size: int | None) -> int:
        if size is None:
            return len(self)
        if not 0 <= size <= len(self):
            raise UsageError(f"the tree has {len(self)} leaves, not {size}")
        return size

    def _subtree(self, begin: int, end: int) -> bytes:
        """The hash of a range that begins where a subtree of its height does."""
        if begin == end:
            return self._hashed(b"")
        level = (end - begin - 1).bit_length()
        if end - begin == 1 << level:
            return self._levels[level][begin >> level]
        middle = begin + _left(end - begin)
        return self._hashed(NODE + self._subtree(begin, middle) + self._subtree(middle, end))


def root(leaves: Iterable[bytes], hashed: Hash = blake3_hash) -> bytes:
    """The root over leaves, however many, keeping no more than one hash for each level."""
    full: list[bytes] = []
    for count, leaf in enumerate(leaves, 1):
        node = hashed(LEAF + leaf)
        while count % 2 == 0:
            node = hashed(NODE + full.pop() + node)
            count //= 2
        full.append(node)
    if not full:
        return hashed(b"")
    node = full.pop()
    while full:
        node = hashed(NODE + full.pop() + node)
    return node


def inclusion(leaves: Sequence[bytes], index: int, hashed: Hash = blake3_hash) -> tuple[bytes, ...]:
    """Proof that ``leaves[index]`` is under their root: siblings from the leaf upwards."""
    return Tree(leaves, hashed).inclusion(index)


def consistency(leaves: Sequence[bytes], old: int, hashed: Hash = blake3_hash) -> tuple[bytes, ...]:
    """Proof that the tree over the first ``old`` leaves became the one over all."""
    return Tree(leaves, hashed).consistency(old)


def inclusion_length(index: int, count: int) -> int:
    """Hashes in the proof for leaf ``index`` of ``count``."""
    if not 0 <= index < count <= MAX_LEAVES:
        raise ForgedError(f"there is no leaf {index} in a tree of {count}")
    inner = (index ^ (count - 1)).bit_length()
    return inner + (index >> inner).bit_count()


def proven_root(leaf: bytes, index: int, count: int, proof: Sequence[bytes], hashed: Hash = blake3_hash) -> bytes:
    """The root that a proof leads to; ForgedError where it has not the form of one."""
    _check_form(proof, inclusion_length(index, count))
    inner = (index ^ (count - 1)).bit_length()  # below this level the way to the leaf is not the tree's right edge
    node = hashed(LEAF + leaf)
    for level, sibling in enumerate(proof):
        to_the_right = level < inner and not index >> level & 1
        node = hashed(NODE + node + sibling) if to_the_right else hashed(NODE + sibling + node)
    return node


def check_inclusion(
    root: bytes, leaf: bytes, index: int, count: int, proof: Sequence[bytes], hashed: Hash = blake3_hash
) -> None:
    """Refuse a proof that does not lead from leaf ``index`` of ``count`` to the root."""
    if proven_root(leaf, index, count, proof, hashed) != root:
        raise ForgedError(f"the proof does not lead from leaf {index} of {count} to the root {root.hex()}")


def check_consistency(
    old_root: bytes, old: int, new_root: bytes, new: int, proof: Sequence[bytes], hashed: Hash = blake3_hash
) -> None:
    """Refuse a proof that does not show that the tree of ``old`` leaves grew into that of ``new``."""
    if not 0 < old <= new <= MAX_LEAVES:
        raise ForgedError(f"a tree of {new} leaves did not grow from one of {old}")
    if old == new:
        _check_form(proof, 0)
        before, after = old_root, old_root
    else:
        before, after = grown_roots(old, new, (old_root, *proof) if _is_power_of_two(old) else proof, hashed)
    if before != old_root or after != new_root:
        raise ForgedError(f"the proof does not lead from {old_root.hex()} at {old} to {new_root.hex()} at {new}")


def grown_roots(old: int, new: int, path: Sequence[bytes], hashed: Hash = blake3_hash) -> tuple[bytes, bytes]:
    """The two roots that a path of ``Tree.growth`` leads to: of the first ``old`` leaves, and of all ``new``."""
    if not 0 < old < new <= MAX_LEAVES:
        raise ForgedError(f"a tree of {new} leaves did not grow from one of {old}")
    height = (old & -old).bit_length() - 1  # of the last full subtree of the old tree, where the path begins
    last = (old - 1) >> height
    inner = ((old - 1) ^ (new - 1)).bit_length() - height
    _check_form(path, 1 + inner + (last >> inner).bit_count())
    before = after = path[0]
    for level, sibling in enumerate(path[1:]):
        if level < inner and not last >> level & 1:
            after = hashed(NODE + after + sibling)
        else:
            before = hashed(NODE + sibling + before)
            after = hashed(NODE + sibling + after)
    return before, after


def _check_form(proof: Sequence[bytes], length: int) -> None:
    if len(proof) != length:
        raise ForgedError(f"the proof has {len(proof)} hashes; it takes {length}")
    if any(len(node) != HASH_BYTES for node in proof):
        raise ForgedError(f"the proof has a hash that is not {HASH_BYTES} bytes long")


def _left(count: int) -> int:
    """The largest power of two smaller than ``count``."""
    return 1 << (count - 1).bit_length() - 1


def _is_power_of_two(count: int) -> bool:
    return count & (count - 1) == 0
