"""Digests for signatures and for the swarm from one pass."""

import hashlib

from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.blobs.chunks import CHUNK_BYTES, ChunkList
from protocol.modelsigning import Digests


@settings(deadline=None)
@given(pieces=st.lists(st.binary(max_size=50), max_size=10))
def test_one_pass_feeds_both_however_the_bytes_are_cut(pieces: list[bytes]) -> None:
    made = Digests()
    for piece in pieces:
        made.update(piece)
    whole = b"".join(pieces)
    assert made.finish().sha256 == hashlib.sha256(whole).digest()
    assert made.finish().chunks == ChunkList.of(whole)


def test_both_agree_across_the_edge_of_a_chunk() -> None:
    whole = bytes(range(251)) * (CHUNK_BYTES // 251 + 2)
    made = Digests()
    made.update(memoryview(whole)[: CHUNK_BYTES - 1])
    made.update(memoryview(whole)[CHUNK_BYTES - 1 :])
    assert made.finish().sha256 == hashlib.sha256(whole).digest()
    assert made.finish().chunks == ChunkList.of(whole)
