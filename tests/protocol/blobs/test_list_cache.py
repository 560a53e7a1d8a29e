"""The cache of chunk lists: bounded by digests, the list used longest ago forgotten first."""

import pytest

from protocol.blobs.chunks import CHUNK_BYTES, ChunkList
from protocol.blobs.list_cache import MAX_CACHED_DIGESTS, ListCache


def list_of(count: int, seed: int) -> ChunkList:
    return ChunkList(count * CHUNK_BYTES, (bytes([seed]) * 32,) * count)


@pytest.mark.must("BLB-24")
def test_lists_are_forgotten_when_their_digests_are_too_many() -> None:
    cache = ListCache()
    first, second, third = (list_of(MAX_CACHED_DIGESTS * 2 // 5, seed) for seed in range(3))
    for chunks in (first, second, first):
        cache.add(chunks)
    assert cache.get(first.id) is first
    cache.add(third)
    assert [cache.get(chunks.id) for chunks in (first, second, third)] == [first, None, third]
    cache.drop(first.id)
    cache.drop(first.id)
    cache.add(second)
    assert [cache.get(chunks.id) for chunks in (first, second, third)] == [None, second, third]


def test_the_list_asked_for_last_is_kept_however_long() -> None:
    cache, short, long = ListCache(), list_of(1, 0), list_of(MAX_CACHED_DIGESTS + 1, 1)
    cache.add(short)
    cache.add(long)
    assert [cache.get(short.id), cache.get(long.id)] == [None, long]
