"""Whose turn it is."""

import pytest
from blake3 import blake3

from protocol.agreement import leader
from tests.protocol.agreement.setting import Setting

SETTING = Setting(7)


@pytest.mark.must("AGR-2")
def test_the_order_is_that_of_the_digests() -> None:
    def digest(point: bytes) -> bytes:
        head = len(b"umm/leader/1").to_bytes(4, "little") + b"umm/leader/1" + (32).to_bytes(4, "little")
        rest = SETTING.round.id + (0).to_bytes(4, "little") + (33).to_bytes(4, "little") + point
        return blake3(head + rest).digest()

    expected = sorted(SETTING.round.record.stewards, key=digest)
    assert [leader(SETTING.round, 0, attempt) for attempt in range(7)] == expected


@pytest.mark.must("AGR-2")
def test_everybody_leads_once_before_anybody_leads_twice() -> None:
    for start in range(9):
        led = [leader(SETTING.round, 0, attempt) for attempt in range(start, start + 7)]
        assert sorted(led) == sorted(SETTING.round.record.stewards)


@pytest.mark.must("AGR-2")
def test_each_revision_has_an_order_of_its_own() -> None:
    orders = {tuple(leader(SETTING.round, revision, attempt) for attempt in range(7)) for revision in range(5)}
    assert len(orders) == 5
