"""When pointers are told again, with a clock that is moved by hand."""

import pytest

from protocol.errors import TooLargeError
from protocol.pointer import Kind, Pointer
from protocol.swarm import schedule as module
from protocol.swarm.schedule import JITTER, LIFETIME_SECONDS, Schedule
from tests.protocol.keys import key

NOW = 1_800_000_000


def pointer(number: int = 1, expiration: int = NOW + 7200, slot: int = 0) -> Pointer:
    return Pointer.sign(
        key(number),
        round_id=bytes(32),
        kind=Kind.VOTE,
        record_id=bytes(32),
        size=1,
        expiration=expiration,
        slot=slot,
    )


@pytest.mark.must("SWM-22")
@pytest.mark.parametrize(("random", "factor"), [(0.0, 1 - JITTER), (0.5, 1.0), (1.0, 1 + JITTER)])
def test_a_pointer_is_told_again_after_a_third_of_its_life(random: float, factor: float) -> None:
    schedule = Schedule(key(1), lambda: random)
    schedule.add(pointer(), NOW)
    assert schedule.next() == pytest.approx(NOW + 2400 * factor)
    assert schedule.due(NOW + 2400 * factor - 1) == []
    assert len(schedule.due(NOW + 2400 * factor + 1)) == 1


@pytest.mark.must("SWM-22")
def test_ours_are_signed_anew_and_those_of_others_told_as_they_are() -> None:
    schedule = Schedule(key(1), lambda: 0.5)
    ours, theirs = pointer(1), pointer(2)
    schedule.add(ours, NOW)
    schedule.add(theirs, NOW)
    renewed, same = schedule.due(NOW + 2401)
    assert renewed == pointer(1, NOW + 2401 + LIFETIME_SECONDS)
    assert same is theirs


@pytest.mark.must("SWM-22")
def test_those_of_others_are_forgotten_when_they_expire_and_ours_are_not() -> None:
    schedule = Schedule(key(1), lambda: 0.5)
    schedule.add(pointer(1), NOW)
    schedule.add(pointer(2), NOW)
    assert [p.author for p in schedule.due(NOW + 100_000)] == [key(1).public.point]
    assert len(schedule) == 1
    assert schedule.all(NOW + 100_000) == []


@pytest.mark.must("SWM-7")
def test_of_one_place_only_the_pointer_that_expires_last_is_told() -> None:
    schedule = Schedule(key(1), lambda: 0.5)
    late, early, other = pointer(2, NOW + 9000), pointer(2, NOW + 8000), pointer(2, NOW + 8000, slot=1)
    for each in (late, early, other):
        schedule.add(each, NOW)
    assert schedule.all(NOW) == [late, other]
    schedule.forget(late)
    assert schedule.all(NOW) == [other]


def test_a_node_publishes_only_so_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_POINTERS", 2)
    schedule = Schedule(key(1), lambda: 0.5)
    for slot in (0, 1, 1):
        schedule.add(pointer(slot=slot), NOW)
    with pytest.raises(TooLargeError):
        schedule.add(pointer(slot=2), NOW)
