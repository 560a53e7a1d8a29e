"""Which roster follows from ballots."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.agreement.rosters import Justified, by_ballots, by_lock
from protocol.records import Roster, sign
from tests.protocol.agreement.setting import Setting
from tests.protocol.keys import key
from tests.protocol.records.examples import digest, withdrawal

FOUR = Setting(4)


def follows(setting: Setting, *lists: Roster, missing: Roster | None = None) -> Justified | None:
    ballots = [setting.ballot(steward, roster).record for steward, roster in enumerate(lists)]
    here = {roster.id: roster for roster in lists if roster is not missing}
    return by_ballots(ballots, here.get, setting.ledger())


@pytest.mark.must("AGR-7")
def test_what_more_than_f_ballots_list_is_in_and_what_a_single_liar_could_list_is_not() -> None:
    found = follows(FOUR, FOUR.roster(0, 1), FOUR.roster(0, 2), FOUR.roster(2, 3))
    assert found == Justified(FOUR.roster(0, 2).id, listed=FOUR.roster(0, 2))


@pytest.mark.must("AGR-7")
@settings(max_examples=30, deadline=None)
@given(st.lists(st.sets(st.integers(0, 3)), min_size=3, max_size=4), st.randoms(use_true_random=False))
def test_the_order_of_the_ballots_is_of_no_importance(lists: list[set[int]], random: object) -> None:
    rosters = [Roster(tuple(sorted(FOUR.offers[i].id for i in numbers))) for numbers in lists]
    expected = {c for c in FOUR.roster().contributions if sum(c in r.contributions for r in rosters) > 1}
    for order in (rosters, rosters[::-1]):
        found = follows(FOUR, *order)
        assert found is not None
        assert found.listed == Roster(tuple(sorted(expected)))


@pytest.mark.must("AGR-7")
def test_the_caps_are_applied_again() -> None:
    capped = Setting(4, contributions=2)
    one, other = capped.roster(0, 1), capped.roster(2, 3)
    found = follows(capped, one, one, other, other)
    assert found is not None
    assert found.listed is not None
    first = sorted(range(4), key=lambda number: capped.commitments[number].id)[:2]
    assert found.listed == capped.roster(*first)


@pytest.mark.must("AGR-7")
def test_a_withdrawal_that_only_some_have_seen_changes_nothing() -> None:
    setting = Setting(4)
    book = setting.ledger(withdrawal(setting.offers[0], 41))
    assert setting.offers[0].id not in book.selection().roster.contributions
    ballots = [setting.ballot(steward, setting.roster()).record for steward in range(3)]
    found = by_ballots(ballots, {setting.roster().id: setting.roster()}.get, book)
    assert found is not None
    assert found.roster == setting.roster().id


@pytest.mark.must("AGR-7")
def test_a_contribution_that_came_late_here_counts_like_any_other() -> None:
    setting = Setting(4, offers=1)
    book = Setting(4, offers=0).ledger()
    assert book.round.id == setting.round.id
    book.accept(setting.commitments[0], setting.round.record.schedule.roster_closes)
    book.accept(setting.offers[0], setting.round.record.schedule.roster_closes)
    ballots = [setting.ballot(steward, setting.roster()).record for steward in range(3)]
    found = by_ballots(ballots, {setting.roster().id: setting.roster()}.get, book)
    assert found is not None
    assert found.roster == setting.roster().id


@pytest.mark.must("AGR-7")
def test_without_all_rosters_contributions_and_commitments_nothing_follows_yet() -> None:
    rosters = (FOUR.roster(0), FOUR.roster(0), FOUR.roster(1))
    assert follows(FOUR, *rosters) is not None
    assert follows(FOUR, *rosters, missing=rosters[2]) is None
    unheard = Roster((digest("a contribution that nobody has heard of"),))
    assert follows(FOUR, unheard, unheard, FOUR.roster(0)) is None
    assert follows(FOUR, unheard, FOUR.roster(0), FOUR.roster(0)) is not None


@pytest.mark.must("AGR-7")
def test_a_contribution_that_nothing_opens_here_is_not_judged_yet() -> None:
    setting = Setting(4)
    hidden = sign(replace(setting.offers[0].record, salt=digest("another")), key(41))
    book = setting.ledger()
    book.accept(hidden, setting.round.record.schedule.reveal_closes - 1)
    roster = Roster((hidden.id,))
    ballots = [setting.ballot(steward, roster).record for steward in range(3)]
    assert by_ballots(ballots, {roster.id: roster}.get, book) is None


@pytest.mark.must("AGR-7")
def test_a_ballot_that_counts_wrongly_justifies_nothing() -> None:
    roster = FOUR.roster()
    ballots = [FOUR.ballot(0, roster).record, FOUR.ballot(1, roster).record, FOUR.ballot(2, roster, count=3).record]
    assert by_ballots(ballots, {roster.id: roster}.get, FOUR.ledger()) is None


@pytest.mark.must("AGR-6")
def test_the_lock_of_the_highest_attempt_settles_it() -> None:
    older, newer = FOUR.lock((0, 1, 2), FOUR.roster(0)), FOUR.lock((1, 2, 3), FOUR.roster(1), attempt=3)
    timeouts = [FOUR.timeout(0, 3, newer).record, FOUR.timeout(1, 3, older).record, FOUR.timeout(2, 3).record]
    assert by_lock(timeouts) == Justified(FOUR.roster(1).id, attempt=3)
    assert by_lock(timeouts[2:]) is None
