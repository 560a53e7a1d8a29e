"""Rounds: phases by the clock, and how many stewards decide."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import MalformedError
from protocol.records import Phase, Schedule
from tests.protocol.keys import key
from tests.protocol.records.examples import HOUR, ROUND, SCHEDULE, START, points


@pytest.mark.must("REC-15")
def test_each_moment_lies_in_one_phase() -> None:
    moments = [START - 1, START, START + HOUR - 0.001, *(START + n * HOUR for n in range(1, 5))]
    found = [SCHEDULE.phase(moment) for moment in moments]
    assert found == [Phase.ANNOUNCED, Phase.COMMIT, Phase.COMMIT, Phase.REVEAL, Phase.ROSTER, Phase.MERGE, Phase.CLOSED]


@pytest.mark.must("REC-15")
def test_reveals_begin_when_every_honest_clock_has_closed_the_commitments() -> None:
    assert SCHEDULE.reveal_opens == SCHEDULE.commit_closes + 6
    assert Schedule(**(SCHEDULE.plain() | {"reveal_closes": SCHEDULE.commit_closes + 7}))
    with pytest.raises(MalformedError, match="nobody time to reveal"):
        Schedule(**(SCHEDULE.plain() | {"reveal_closes": SCHEDULE.commit_closes + 6}))


@pytest.mark.must("REC-17")
@given(st.integers(1, 31))
def test_two_quorums_share_an_honest_steward_and_the_honest_ones_make_one(n: int) -> None:
    round_ = replace(ROUND, stewards=tuple(sorted(key(i).public.point for i in range(1, n + 1))))
    f, q = round_.faults, round_.quorum
    assert n >= 3 * f + 1
    assert 2 * q - n > f
    assert n - f >= q
    if n == 3 * f + 1:
        assert q == 2 * f + 1


@pytest.mark.must("REC-17")
def test_a_single_steward_decides_alone() -> None:
    alone = replace(ROUND, stewards=points((11,)))
    assert (alone.faults, alone.quorum) == (0, 1)


@pytest.mark.must("REC-17")
def test_five_stewards_need_four() -> None:
    """2f + 1 would be three, and two quorums of three among five may share only the liar."""
    assert replace(ROUND, stewards=points((11, 12, 13, 14, 15))).quorum == 4
