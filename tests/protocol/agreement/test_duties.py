"""What a steward says next, and what it never says."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from protocol.agreement import Keep, Say, decision, duties, wake
from protocol.agreement.attempts import Pace
from protocol.records import Ballot, Proposal, Roster, RoundRecord, Signed, Stage, Timeout, Vote
from protocol.records.agreement import MAX_ATTEMPT
from tests.protocol.agreement.setting import BEGAN, ENDS, Setting

FOUR, ALONE = Setting(4), Setting(1)
ALL, SOME, OTHERS = FOUR.roster(), FOUR.roster(0, 1), FOUR.roster(2, 3)
PACE = Pace.of(1, BEGAN, ENDS)
OVER = BEGAN + PACE.seconds(0)


def ballots(*stewards: int, attempt: int = 0) -> list[Signed[Any]]:
    return [FOUR.ballot(steward, ALL, attempt) for steward in stewards]


def timeouts(*stewards: int, attempt: int = 0) -> list[Signed[Any]]:
    return [FOUR.timeout(steward, attempt) for steward in stewards]


def says(
    steward: int, said: list[Signed[Any]], now: float = BEGAN, candidate: Roster | None = None
) -> list[RoundRecord]:
    return FOUR.says(steward, FOUR.ledger(*said), now, candidate, at_hand=[ALL, SOME, OTHERS])


def votes(steward: int, said: list[Signed[Any]], now: float = BEGAN) -> list[tuple[int, Stage, bytes]]:
    return [(r.attempt, r.stage, r.roster) for r in says(steward, said, now) if isinstance(r, Vote)]


def only_timeout(steward: int, said: list[Signed[Any]], now: float = BEGAN) -> Timeout | None:
    found = [record for record in says(steward, said, now) if isinstance(record, Timeout)]
    assert len(found) <= 1
    return found[0] if found else None


def proposed(attempt: int = 0, roster: Roster = ALL, **shown: Any) -> list[Signed[Any]]:
    """Everything that makes a steward vote in this attempt; ``shown``: the lock in one timeout."""
    said = [FOUR.ballot(steward, ALL, attempt) for steward in (0, 1, 3)]
    gone = [FOUR.timeout(steward, attempt - 1) for steward in (0, 1)] if attempt else []
    gone += [FOUR.timeout(3, attempt - 1, **shown)] if attempt else []
    return [*said, *gone, FOUR.proposal(attempt % 4, roster, said, gone, attempt)]


# -- one steward, beginning and end ---------------------------------------------------------------------------------


@pytest.mark.must("AGR-3", "AGR-5", "AGR-11")
def test_a_single_steward_decides_at_once() -> None:
    book, choice = ALONE.ledger(), ALONE.roster(0, 2)
    due = duties(ALONE.situation(0, book, choice), BEGAN)
    assert due[0] == Keep(choice)
    records = [duty.record for duty in due if isinstance(duty, Say)]
    assert [type(record) for record in records] == [Ballot, Proposal, Vote, Vote]
    for record in records:
        book.accept(ALONE.sign(0, type(record), **_fields(record)), BEGAN)
    assert decision(book, 0) == choice.id
    assert duties(ALONE.situation(0, book, choice), BEGAN) == ()


def _fields(record: RoundRecord) -> dict[str, Any]:
    return {name: getattr(record, name) for name in record.slots() if name not in ("author", "round")}


@pytest.mark.must("AGR-5")
def test_an_empty_roster_is_a_choice_too() -> None:
    book = ALONE.ledger()
    assert len(ALONE.says(0, book, BEGAN, Roster(()))) == 4


@pytest.mark.must("AGR-4")
def test_nothing_is_signed_before_the_beginning_nor_after_the_end() -> None:
    book = FOUR.ledger(*proposed())
    at = [BEGAN - 1, BEGAN, ENDS - 1, ENDS]
    assert [bool(FOUR.says(2, book, now, ALL, [ALL])) for now in at] == [False, True, True, False]
    later = FOUR.situation(2, book, ALL, ends=None)
    assert duties(later, ENDS + 1) != ()


@pytest.mark.must("AGR-4")
def test_nothing_is_signed_once_a_decision_is_known() -> None:
    decided = FOUR.votes((0, 1, 3), ALL, 0, Stage.DECIDE)
    assert says(2, [*proposed(), *decided[:2]], candidate=ALL) != []
    assert says(2, [*proposed(), *decided], OVER, ALL) == []


def test_who_is_no_steward_has_no_duties() -> None:
    stranger = replace(FOUR.situation(0, FOUR.ledger(), ALL), me=ALONE.round.record.author)
    assert duties(stranger, BEGAN) == ()
    assert wake(stranger, BEGAN - 1) is None


@pytest.mark.must("AGR-3", "AGR-5")
def test_a_ballot_lists_what_is_at_hand_and_is_signed_once_in_an_attempt() -> None:
    due = duties(FOUR.situation(2, FOUR.ledger(), SOME), BEGAN)
    assert due == (Keep(SOME), Say(FOUR.ballot(2, SOME).record))
    said = [FOUR.ballot(2, SOME)]
    assert says(2, said, candidate=ALL) == []
    assert says(2, [], candidate=None) == []
    again = says(2, [*said, *timeouts(0, 1, 2)], candidate=ALL)
    assert again == [FOUR.ballot(2, ALL, attempt=1).record]


# -- votes ------------------------------------------------------------------------------------------------------------


@pytest.mark.must("AGR-3", "AGR-9")
def test_a_steward_votes_for_one_proposal_of_an_attempt() -> None:
    assert votes(2, proposed()) == [(0, Stage.LOCK, ALL.id)]
    assert votes(2, [*proposed(), FOUR.vote(2, ALL)]) == []
    assert votes(2, [*proposed(), FOUR.vote(2, SOME)]) == []


@pytest.mark.must("AGR-11")
def test_a_quorum_of_votes_is_a_lock_and_makes_everybody_vote_to_decide() -> None:
    locking = FOUR.votes((0, 1, 3), SOME)
    assert votes(2, locking) == [(0, Stage.DECIDE, SOME.id)]
    assert votes(2, locking[:2]) == []
    assert votes(2, [*locking, FOUR.vote(2, SOME, stage=Stage.DECIDE)]) == []
    assert votes(2, [*proposed(), *FOUR.votes((0, 1), ALL)]) == [(0, Stage.LOCK, ALL.id), (0, Stage.DECIDE, ALL.id)]


@pytest.mark.must("AGR-11", "LED-17")
def test_a_double_vote_still_counts_for_a_lock() -> None:
    assert votes(2, [*FOUR.votes((0, 1, 3), SOME), FOUR.vote(3, ALL)]) == [(0, Stage.DECIDE, SOME.id)]


@pytest.mark.must("AGR-1")
def test_nobody_votes_in_an_attempt_that_is_over_or_that_it_gave_up() -> None:
    locking = FOUR.votes((0, 1, 3), ALL)
    assert votes(2, [*proposed(), *timeouts(0, 1, 3)]) == []
    assert votes(2, [*locking, *timeouts(0, 1, 3)]) == []
    assert votes(2, [*proposed(), FOUR.timeout(2)]) == []
    assert votes(2, [*locking, FOUR.timeout(2)]) == []
    assert votes(2, [*locking, FOUR.timeout(2, 1)]) == []
    assert votes(2, [*proposed(), *timeouts(0, 1)]) != []


@pytest.mark.must("AGR-10")
def test_who_is_locked_refuses_another_roster_unless_a_newer_lock_is_shown() -> None:
    own = [*FOUR.votes((0, 1, 2), SOME, 1), FOUR.vote(2, SOME, 1, Stage.DECIDE)]
    free = [*proposed(3), FOUR.timeout(2, 2)]
    assert votes(2, free) == [(3, Stage.LOCK, ALL.id)]
    assert votes(2, [*own, *free]) == []
    older = proposed(3, OTHERS, lock=FOUR.lock((0, 1, 3), OTHERS, 0))
    assert votes(2, [*own, *older]) == []
    same = proposed(3, SOME, lock=FOUR.lock((0, 1, 3), SOME, 0))
    assert votes(2, [*own, *same]) == [(3, Stage.LOCK, SOME.id)]
    newer = proposed(3, OTHERS, lock=FOUR.lock((0, 1, 3), OTHERS, 2))
    assert votes(2, [*own, *newer]) == [(3, Stage.LOCK, OTHERS.id)]


# -- timeouts ---------------------------------------------------------------------------------------------------------


@pytest.mark.must("AGR-14", "AGR-15")
def test_an_attempt_is_given_up_when_its_time_is_over() -> None:
    assert only_timeout(2, ballots(0, 1, 3), OVER - 1) is None
    assert only_timeout(2, ballots(0, 1, 3), OVER) == FOUR.timeout(2).record
    assert only_timeout(2, [*ballots(0, 1, 3), FOUR.timeout(2)], OVER) is None


@pytest.mark.must("AGR-15")
def test_the_first_attempt_begins_with_ballots_of_a_quorum_and_the_others_with_timeouts() -> None:
    assert only_timeout(2, ballots(0, 1), ENDS - 1) is None
    book = FOUR.ledger(*ballots(0, 1), now=BEGAN)
    book.accept(FOUR.ballot(3, ALL), BEGAN + 100)
    assert wake(FOUR.situation(2, book), BEGAN + 100) == BEGAN + 100 + PACE.seconds(0)
    for steward, seen in ((0, 200), (1, 300), (3, 400)):
        assert wake(FOUR.situation(2, book), BEGAN + 100) == BEGAN + 100 + PACE.seconds(0)
        book.accept(FOUR.timeout(steward), BEGAN + seen)
    assert wake(FOUR.situation(2, book), BEGAN + 400) == BEGAN + 400 + PACE.seconds(1)


@pytest.mark.must("AGR-14")
def test_an_attempt_is_given_up_when_more_than_f_others_did() -> None:
    assert only_timeout(2, timeouts(0)) is None
    assert only_timeout(2, timeouts(0, 1)) == FOUR.timeout(2).record
    assert only_timeout(2, [*timeouts(0), *timeouts(3, attempt=5)]) == FOUR.timeout(2).record


@pytest.mark.must("AGR-14")
def test_who_enters_an_attempt_gives_up_the_one_before() -> None:
    found = says(2, [*timeouts(0, 1, 3, attempt=4), *ballots(0, attempt=5)], candidate=ALL)
    assert found == [FOUR.timeout(2, 4).record, FOUR.ballot(2, ALL, 5).record]


@pytest.mark.must("AGR-12")
def test_a_timeout_carries_the_newest_lock_up_to_its_attempt() -> None:
    old, new, beyond = (FOUR.votes((0, 1, 3), roster, a) for roster, a in ((SOME, 0), (OTHERS, 2), (OTHERS, 3)))
    made = only_timeout(2, [*old, *new, *beyond, *timeouts(0, 1, 3, attempt=2)])
    assert made is not None
    assert made.lock == FOUR.lock((0, 1, 3), OTHERS, 2)
    made = only_timeout(2, [*old, *timeouts(0, 1, 3, attempt=2)])
    assert made is not None
    assert made.lock == FOUR.lock((0, 1, 3), SOME)
    FOUR.ledger(FOUR.sign(2, Timeout, revision=0, attempt=2, lock=made.lock))


@pytest.mark.must("AGR-12")
def test_a_lock_in_a_timeout_of_another_is_known_too() -> None:
    carried = FOUR.timeout(0, 1, FOUR.lock((0, 1, 3), SOME))
    made = only_timeout(2, [carried, *timeouts(1, 3, attempt=1)])
    assert made is not None
    assert made.lock == FOUR.lock((0, 1, 3), SOME)


@pytest.mark.must("AGR-12")
def test_a_steward_that_voted_to_decide_gives_up_only_after_that_and_shows_it() -> None:
    almost = [*ballots(0, 1, 3), *proposed(), *FOUR.votes((0, 1), ALL)]
    found = says(2, almost, OVER)
    assert [type(record) for record in found] == [Vote, Vote]
    voted = [FOUR.vote(2, ALL), FOUR.vote(2, ALL, stage=Stage.DECIDE)]
    made = only_timeout(2, [*almost, *voted], OVER)
    assert made is not None
    assert made.lock == FOUR.lock((0, 1, 2), ALL)
    assert wake(FOUR.situation(2, FOUR.ledger(*almost, *voted)), OVER) == OVER


@pytest.mark.must("AGR-16")
def test_after_the_last_attempt_nobody_signs_anything_more() -> None:
    last = [*timeouts(0, 1, 2, attempt=MAX_ATTEMPT - 1), *timeouts(0, 1, attempt=MAX_ATTEMPT)]
    assert only_timeout(2, last) == FOUR.timeout(2, MAX_ATTEMPT).record
    assert says(2, timeouts(0, 1, 3, attempt=MAX_ATTEMPT), ENDS - 1, ALL) == []
    assert wake(FOUR.situation(2, FOUR.ledger(*timeouts(0, 1, 3, attempt=MAX_ATTEMPT))), BEGAN) is None


# -- when to wake -----------------------------------------------------------------------------------------------------


def test_a_leader_wakes_when_its_patience_ends_and_everybody_when_the_attempt_does() -> None:
    book = FOUR.ledger(*ballots(1, 2, 3))
    assert wake(FOUR.situation(0, book), BEGAN) == BEGAN + PACE.patience(0)
    assert wake(FOUR.situation(0, book), BEGAN + PACE.patience(0)) == OVER
    assert wake(FOUR.situation(1, book), BEGAN) == OVER
    assert wake(FOUR.situation(1, book, ends=BEGAN + 1), BEGAN) is None
    assert wake(FOUR.situation(1, book), BEGAN - 5) == BEGAN
    assert wake(FOUR.situation(1, FOUR.ledger()), BEGAN) is None


# -- anything else ----------------------------------------------------------------------------------------------------

ROSTERS = [ALL, SOME, OTHERS, Roster(()), Roster((b"\x07" * 32,))]
ATTEMPTS = st.sampled_from([0, 0, 1, 1, 2, 3, 126, 127])


@st.composite
def anything(draw: st.DrawFn, said: list[Signed[Any]]) -> Signed[Any]:
    """A valid record of a steward, which may name anything said before."""
    steward, attempt, roster = draw(st.integers(0, 3)), draw(ATTEMPTS), draw(st.sampled_from(ROSTERS))
    kind = draw(st.sampled_from([Ballot, Proposal, Timeout, Vote, Vote]))
    ids = sorted({one.id for one in said} | {b"\x01" * 32})
    named = st.lists(st.sampled_from(ids), min_size=1, max_size=31, unique=True).map(
        lambda chosen: tuple(sorted(chosen))
    )
    if kind is Ballot:
        return FOUR.ballot(steward, roster, attempt, count=draw(st.integers(0, 4)), revision=draw(st.integers(0, 1)))
    if kind is Vote:
        return FOUR.vote(steward, roster, attempt, draw(st.sampled_from(list(Stage))))
    if kind is Timeout:
        who = draw(st.sets(st.integers(0, 3), min_size=3))
        lock = FOUR.lock(who, roster, draw(st.integers(0, attempt))) if draw(st.booleans()) else None
        return FOUR.timeout(steward, attempt, lock)
    gone = draw(named) if attempt else ()
    fields = {"roster": roster.id, "ballots": draw(named), "timeouts": gone}
    return FOUR.sign(steward, Proposal, revision=0, attempt=attempt, **fields)


@pytest.mark.must("AGR-3")
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_whatever_was_said_duties_are_records_that_the_ledger_takes_and_that_contradict_nothing(data: Any) -> None:
    book, said = FOUR.ledger(), list[Signed[Any]]()
    for _ in range(data.draw(st.integers(0, 12))):
        signed = data.draw(anything(said))
        said.append(signed)
        book.accept(signed, BEGAN)
    steward, now = data.draw(st.integers(0, 3)), data.draw(st.floats(BEGAN, ENDS + 9))
    mine = {proof.liar for proof in book.equivocations}
    situation = FOUR.situation(
        steward, book, data.draw(st.sampled_from([None, *ROSTERS])), data.draw(st.just(ROSTERS[:3]))
    )
    for duty in duties(situation, now):
        if isinstance(duty, Say):
            book.accept(FOUR.sign(steward, type(duty.record), **_fields(duty.record)), now)
    assert {proof.liar for proof in book.equivocations} == mine
    wake(situation, now)
    decision(book, 0)
