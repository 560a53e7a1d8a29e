"""The books of a store: counted to the byte, pins respected, the oldest evicted first."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.blobs.quota import Quota
from protocol.errors import EnvironmentFault, UsageError

A, B, C, D = (bytes([i]) * 32 for i in range(4))


def filled(limit: int, *sizes: tuple[bytes, int]) -> Quota:
    quota = Quota(limit)
    for blob, size in sizes:
        quota.add(blob, size)
    return quota


def test_those_used_longest_ago_are_evicted_and_no_more_than_needed() -> None:
    quota = filled(100, (A, 40), (B, 30), (C, 30))
    assert quota.victims(10) == (A,)
    assert quota.victims(41) == (A, B)
    quota.touch(A)
    assert quota.victims(10) == (B,)
    assert quota.victims(0) == ()


@pytest.mark.must("BLB-22")
def test_a_pinned_blob_is_passed_over_until_its_last_holder_lets_go() -> None:
    quota = filled(100, (A, 40), (B, 30), (C, 30))
    quota.pin(A, "one")
    quota.pin(A, "two")
    assert (quota.pinned, quota.victims(10)) == (40, (B,))
    quota.unpin(A, "one")
    assert quota.victims(10) == (B,)
    quota.unpin(A, "two")
    assert (quota.pinned, quota.victims(10)) == (0, (A,))


@pytest.mark.must("BLB-22")
def test_when_pins_leave_no_room_the_refusal_says_so_in_numbers() -> None:
    quota = filled(100, (A, 40), (B, 30), (C, 30))
    quota.pin(A, "one")
    quota.pin(B, "one")
    assert quota.victims(30) == (C,)
    with pytest.raises(
        EnvironmentFault, match="31 bytes are needed, the quota is 100 bytes, and 70 of them are pinned"
    ):
        quota.victims(31)


def test_what_can_never_fit_is_refused_with_the_quota() -> None:
    with pytest.raises(EnvironmentFault, match="101 bytes do not fit into a store whose quota is 100 bytes; raise"):
        Quota(100).victims(101)
    with pytest.raises(UsageError, match="quota of 0 bytes"):
        Quota(0)


def test_a_pin_may_come_before_its_blob_and_outlives_it() -> None:
    quota = Quota(100)
    quota.pin(A, "one")
    quota.add(A, 60)
    assert (quota.pinned, quota.held_by("one"), quota.held_by("two")) == (60, (A,), ())
    quota.remove(A)
    assert (quota.used, quota.pinned) == (0, 0)
    quota.add(A, 60)
    assert quota.pinned == 60


def test_unpinning_what_is_not_pinned_changes_nothing() -> None:
    quota = filled(100, (A, 60))
    quota.unpin(A, "one")
    quota.unpin(B, "one")
    assert (quota.used, quota.pinned) == (60, 0)


def test_a_lowered_quota_evicts_what_is_not_pinned() -> None:
    quota = filled(50, (A, 40), (B, 30), (C, 30))
    quota.pin(A, "one")
    assert quota.surplus() == (B, C)
    assert filled(100, (A, 40)).surplus() == ()


def test_a_blob_is_counted_once() -> None:
    with pytest.raises(ValueError, match="once"):
        filled(100, (A, 1), (A, 1))


@given(st.lists(st.tuples(st.sampled_from("aprtu"), st.sampled_from([A, B, C, D]), st.integers(1, 60)), max_size=40))
def test_the_books_agree_with_a_plain_model(steps: list[tuple[str, bytes, int]]) -> None:
    quota, sizes, pinned = Quota(100), dict[bytes, int](), set[bytes]()
    for step, blob, size in steps:
        if step == "a" and blob not in sizes:
            try:
                victims = quota.victims(size)
            except EnvironmentFault:
                assert sum(sizes[b] for b in sizes if b in pinned) + size > 100
                continue
            assert not pinned.intersection(victims)
            for victim in victims:
                quota.remove(victim)
                del sizes[victim]
            quota.add(blob, size)
            sizes[blob] = size
        elif step == "r" and blob in sizes:
            quota.remove(blob)
            del sizes[blob]
        elif step == "p":
            quota.pin(blob, "one")
            pinned.add(blob)
        elif step == "u":
            quota.unpin(blob, "one")
            pinned.discard(blob)
        else:
            quota.touch(blob)
        assert quota.used == sum(sizes.values()) <= 100
        assert quota.pinned == sum(size for blob, size in sizes.items() if blob in pinned)
        assert len(quota) == len(sizes)
