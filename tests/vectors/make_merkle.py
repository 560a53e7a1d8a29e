"""Golden trees and proofs, computed as RFC 6962, section 2.1, has them: nothing of ``protocol`` is used here."""

import hashlib
from collections.abc import Callable, Sequence

from blake3 import blake3

Hash = Callable[[bytes], bytes]
Leaves = Sequence[bytes]

INPUTS = "|00|10|2021|3031|40414243|5051525354555657|606162636465666768696a6b6c6d6e6f"
LEAVES = [bytes.fromhex(text) for text in INPUTS.split("|")]
"""What implementations of RFC 6962 have always been tried with: the roots they publish are the SHA-256 ones here."""

INCLUSIONS = [(0, 1), (0, 8), (5, 8), (2, 3), (1, 5), (6, 7)]
CONSISTENCIES = [(1, 1), (1, 8), (6, 8), (2, 5), (4, 8), (7, 8)]


def vectors() -> dict[str, object]:
    """The content of ``merkle.json``."""
    return {"leaves": [leaf.hex() for leaf in LEAVES], "blake3": _of(blake3_hash), "sha256": _of(sha256_hash)}


def blake3_hash(data: bytes) -> bytes:
    """BLAKE3."""
    return blake3(data).digest()


def sha256_hash(data: bytes) -> bytes:
    """SHA-256."""
    return hashlib.sha256(data).digest()


def tree(leaves: Leaves, hashed: Hash) -> bytes:
    """MTH(D[n])."""
    if not leaves:
        return hashed(b"")
    if len(leaves) == 1:
        return hashed(b"\x00" + leaves[0])
    k = _split(leaves)
    return hashed(b"\x01" + tree(leaves[:k], hashed) + tree(leaves[k:], hashed))


def path(m: int, leaves: Leaves, hashed: Hash) -> list[bytes]:
    """PATH(m, D[n])."""
    if len(leaves) == 1:
        return []
    k = _split(leaves)
    if m < k:
        return [*path(m, leaves[:k], hashed), tree(leaves[k:], hashed)]
    return [*path(m - k, leaves[k:], hashed), tree(leaves[:k], hashed)]


def proof(m: int, leaves: Leaves, hashed: Hash) -> list[bytes]:
    """PROOF(m, D[n])."""
    return _subproof(m, leaves, True, hashed)


def _subproof(m: int, leaves: Leaves, whole: bool, hashed: Hash) -> list[bytes]:
    if m == len(leaves):
        return [] if whole else [tree(leaves, hashed)]
    k = _split(leaves)
    if m <= k:
        return [*_subproof(m, leaves[:k], whole, hashed), tree(leaves[k:], hashed)]
    return [*_subproof(m - k, leaves[k:], False, hashed), tree(leaves[:k], hashed)]


def _split(leaves: Leaves) -> int:
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    return k


def _of(hashed: Hash) -> dict[str, object]:
    return {
        "roots": [tree(LEAVES[:n], hashed).hex() for n in range(len(LEAVES) + 1)],
        "inclusions": [
            {"index": i, "count": n, "proof": [x.hex() for x in path(i, LEAVES[:n], hashed)]} for i, n in INCLUSIONS
        ],
        "consistencies": [
            {"old": m, "new": n, "proof": [x.hex() for x in proof(m, LEAVES[:n], hashed)]} for m, n in CONSISTENCIES
        ],
    }
