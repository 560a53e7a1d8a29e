"""What counts as decided, for whoever reads the records."""

import pytest

from protocol.agreement import decision
from protocol.records import Stage
from tests.protocol.agreement.setting import Setting

FOUR = Setting(4)
ONE, OTHER = FOUR.roster(0), FOUR.roster(1)


@pytest.mark.must("AGR-13")
def test_a_quorum_of_votes_in_one_attempt_decides() -> None:
    votes = FOUR.votes((0, 1, 2), ONE, 3, Stage.DECIDE)
    assert decision(FOUR.ledger(*votes), 0) == ONE.id
    assert decision(FOUR.ledger(*votes), 1) is None
    assert decision(FOUR.ledger(*votes[:2]), 0) is None


@pytest.mark.must("AGR-13")
def test_votes_of_two_attempts_or_to_lock_do_not_add_up() -> None:
    early, late = FOUR.votes((0, 1), ONE, 0, Stage.DECIDE), FOUR.votes((1, 2, 3), ONE, 1, Stage.LOCK)
    assert decision(FOUR.ledger(*early, *late, *FOUR.votes((2, 3), ONE, 1, Stage.DECIDE)), 0) is None


@pytest.mark.must("AGR-13", "LED-17")
def test_a_decision_is_not_unmade_by_one_who_signs_more_votes_afterwards() -> None:
    book = FOUR.ledger(*FOUR.votes((0, 1, 2), ONE, 0, Stage.DECIDE))
    for offers in ((1,), (2,), (3,), (0, 1), (0, 2)):
        book.accept(FOUR.vote(2, FOUR.roster(*offers), 0, Stage.DECIDE), FOUR.round.record.schedule.reveal_closes)
        assert decision(book, 0) == ONE.id


@pytest.mark.must("AGR-13")
def test_two_decided_rosters_are_none() -> None:
    votes = [*FOUR.votes((0, 1, 2), ONE, 0, Stage.DECIDE), *FOUR.votes((1, 2, 3), OTHER, 1, Stage.DECIDE)]
    assert decision(FOUR.ledger(*votes), 0) is None
    votes = [*FOUR.votes((0, 1, 2), ONE, 0, Stage.DECIDE), *FOUR.votes((1, 2, 3), OTHER, 0, Stage.DECIDE)]
    assert decision(FOUR.ledger(*votes), 0) is None


@pytest.mark.must("AGR-13")
def test_the_same_roster_decided_twice_is_decided() -> None:
    votes = [*FOUR.votes((0, 1, 2), ONE, 0, Stage.DECIDE), *FOUR.votes((1, 2, 3), ONE, 1, Stage.DECIDE)]
    assert decision(FOUR.ledger(*votes), 0) == ONE.id
