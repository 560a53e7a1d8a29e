"""When a leader proposes, what, and which proposals are justified."""

from collections.abc import Callable
from typing import Any

import pytest

from protocol.agreement import Keep, Say, duties
from protocol.agreement.attempts import Pace
from protocol.records import Proposal, Roster, Signed, Stage, Vote
from tests.protocol.agreement.setting import BEGAN, ENDS, Setting, fetched

FOUR = Setting(4)
ALL, SOME, OTHERS = FOUR.roster(), FOUR.roster(0, 1), FOUR.roster(2, 3)
PACE = Pace.of(1, BEGAN, ENDS)
PATIENT = BEGAN + PACE.patience(0) - 1
IMPATIENT = BEGAN + PACE.patience(0)


def proposals(steward: int, said: list[Signed[Any]], now: float, at_hand: list[Roster]) -> list[Proposal]:
    records = FOUR.says(steward, FOUR.ledger(*said), now, at_hand=at_hand)
    return [record for record in records if isinstance(record, Proposal)]


def ballots(*stewards: int, attempt: int = 0, roster: Roster = ALL) -> list[Signed[Any]]:
    return [FOUR.ballot(steward, roster, attempt) for steward in stewards]


@pytest.mark.must("AGR-8")
def test_a_leader_that_heard_everybody_proposes_at_once() -> None:
    said = ballots(0, 1, 2, 3)
    (made,) = proposals(0, said, BEGAN, [ALL])
    assert made.roster == ALL.id
    assert made.ballots == tuple(sorted(ballot.id for ballot in said))


@pytest.mark.must("AGR-8")
def test_a_leader_waits_for_the_slow_and_then_goes_on_with_a_quorum() -> None:
    assert proposals(0, ballots(0, 1, 2), PATIENT, [ALL]) == []
    assert len(proposals(0, ballots(0, 1, 2), IMPATIENT, [ALL])) == 1
    assert proposals(0, ballots(0, 1), IMPATIENT, [ALL]) == []


@pytest.mark.must("AGR-8")
def test_nobody_waits_for_a_liar_nor_names_it_without_need() -> None:
    lies = [FOUR.ballot(3, SOME), FOUR.ballot(3, OTHERS)]
    (made,) = proposals(0, [*ballots(0, 1, 2), *lies], PATIENT, [ALL, SOME, OTHERS])
    assert not {lie.id for lie in lies} & set(made.ballots)
    (made,) = proposals(0, [*ballots(0, 1), *lies], IMPATIENT, [ALL, SOME, OTHERS])
    assert len({lie.id for lie in lies} & set(made.ballots)) == 1


@pytest.mark.must("AGR-2", "AGR-6")
def test_only_the_leader_proposes_and_only_once() -> None:
    said = ballots(0, 1, 2, 3)
    assert [proposals(steward, said, IMPATIENT, [ALL]) for steward in (1, 2, 3)] == [[], [], []]
    (made,) = proposals(0, said, IMPATIENT, [ALL])
    again = FOUR.sign(0, Proposal, revision=0, attempt=0, roster=made.roster, ballots=made.ballots)
    assert again.id == made.id
    assert proposals(0, [*said, again], IMPATIENT, [ALL]) == []


@pytest.mark.must("AGR-7", "AGR-8")
def test_a_leader_asks_for_the_rosters_that_ballots_name_and_does_not_count_those_it_lacks() -> None:
    book = FOUR.ledger(*ballots(0, 1, 2), *ballots(3, roster=SOME))
    due = duties(FOUR.situation(0, book, at_hand=[ALL]), IMPATIENT)
    assert fetched(due) == {SOME.id: FOUR.points[3]}
    assert FOUR.says(0, book, PATIENT, at_hand=[ALL]) == []
    (made, *_) = FOUR.says(0, book, IMPATIENT, at_hand=[ALL])
    assert isinstance(made, Proposal)
    assert len(made.ballots) == 3


@pytest.mark.must("AGR-9")
def test_a_roster_that_nobody_listed_as_such_is_kept_before_it_is_proposed_and_voted_for() -> None:
    lists = [FOUR.roster(0, 1, 2), FOUR.roster(1, 2, 3), FOUR.roster(0, 3)]
    said = [FOUR.ballot(steward, roster) for steward, roster in enumerate(lists)]
    due = duties(FOUR.situation(0, FOUR.ledger(*said), at_hand=lists), IMPATIENT)
    assert due[0] == Keep(ALL)
    assert isinstance(due[1], Say)
    proposal = FOUR.proposal(0, ALL, said)
    assert due[1].record == proposal.record
    due = duties(FOUR.situation(3, FOUR.ledger(*said, proposal), at_hand=lists), BEGAN)
    assert due[:2] == (Keep(ALL), Say(FOUR.vote(3, ALL).record))


@pytest.mark.must("AGR-6")
def test_above_the_first_attempt_a_leader_names_timeouts_and_follows_the_newest_lock() -> None:
    lock = FOUR.lock((0, 1, 2), SOME)
    timeouts = [FOUR.timeout(1, 0, lock), FOUR.timeout(2), FOUR.timeout(3)]
    said = [FOUR.timeout(0), *timeouts, *ballots(0, 1, 2, 3, attempt=1)]
    (made,) = proposals(1, said, BEGAN, [ALL])
    assert made.roster == SOME.id
    assert set(made.timeouts) == {said[0].id, *(timeout.id for timeout in timeouts)}
    assert len(made.ballots) == 1
    said = [*(FOUR.timeout(steward) for steward in range(4)), *ballots(0, 1, 2, 3, attempt=1)]
    (made,) = proposals(1, said, BEGAN, [ALL])
    assert made.roster == ALL.id
    assert len(made.ballots) == 4


def votes_for(
    proposal: Signed[Any], *said: Signed[Any], at_hand: tuple[Roster, ...] = (ALL, SOME, OTHERS)
) -> list[bytes]:
    """Rosters for which a steward that leads nothing votes once it hears all this."""
    records = FOUR.says(2, FOUR.ledger(*said, proposal), BEGAN, at_hand=at_hand)
    return [record.roster for record in records if isinstance(record, Vote) and record.stage is Stage.LOCK]


def calm(steward: int) -> Signed[Any]:
    return FOUR.timeout(steward)


@pytest.mark.must("AGR-6", "AGR-9")
def test_a_justified_proposal_gets_a_vote() -> None:
    said = ballots(0, 1, 3)
    assert votes_for(FOUR.proposal(0, ALL, said), *said) == [ALL.id]
    later = [*ballots(0, 1, 3, attempt=1), *map(calm, range(4))]
    assert votes_for(FOUR.proposal(1, ALL, later[:3], later[3:6], attempt=1), *later) == [ALL.id]


def _unjustified() -> dict[str, Callable[[], list[Signed[Any]]]]:
    """Each gives a proposal and what else is known."""
    good, later = ballots(0, 1, 3), ballots(0, 1, 3, attempt=1)
    calms = [calm(steward) for steward in range(4)]
    locked = FOUR.timeout(3, 0, FOUR.lock((0, 1, 3), SOME))
    old = FOUR.timeout(3, 1)
    wrong_count = FOUR.ballot(3, ALL, count=3)
    return {
        "another roster": lambda: [FOUR.proposal(0, SOME, good), *good],
        "not by the leader": lambda: [FOUR.proposal(1, ALL, good), *good],
        "too few ballots": lambda: [FOUR.proposal(0, ALL, good[:2]), *good],
        "a ballot that nobody knows": lambda: [FOUR.proposal(0, ALL, good), *good[:2]],
        "two ballots of one steward": lambda: [
            FOUR.proposal(0, ALL, [*good[:2], FOUR.ballot(0, SOME)]),
            *good,
            FOUR.ballot(0, SOME),
        ],
        "a ballot that counts wrongly": lambda: [FOUR.proposal(0, ALL, [*good[:2], wrong_count]), *good, wrong_count],
        "ballots of another attempt": lambda: [FOUR.proposal(1, ALL, good, calms[:3], attempt=1), *good, *calms],
        "too few timeouts": lambda: [FOUR.proposal(1, ALL, later, calms[:2], attempt=1), *later, *calms],
        "a timeout of another attempt": lambda: [
            FOUR.proposal(1, ALL, later, [*calms[:2], old], attempt=1),
            *later,
            *calms,
            old,
        ],
        "against the lock that it shows": lambda: [
            FOUR.proposal(1, ALL, later, [*calms[:2], locked], attempt=1),
            *later,
            *calms[:3],
            locked,
        ],
        "a lock that it does not show": lambda: [
            FOUR.proposal(1, SOME, later, calms[:3], attempt=1),
            *later,
            *calms[:3],
            locked,
        ],
    }


@pytest.mark.must("AGR-6", "AGR-7", "AGR-9")
@pytest.mark.parametrize("name", sorted(_unjustified()))
def test_an_unjustified_proposal_gets_none(name: str) -> None:
    assert votes_for(*_unjustified()[name]()) == []


@pytest.mark.must("AGR-6", "AGR-9")
def test_a_voter_asks_the_leader_for_rosters_and_votes_once_they_are_here() -> None:
    said = [*ballots(0, 1), *ballots(3, roster=SOME)]
    proposal = FOUR.proposal(0, ALL, said)
    due = duties(FOUR.situation(2, FOUR.ledger(*said, proposal), at_hand=[ALL]), BEGAN)
    assert fetched(due) == {SOME.id: FOUR.points[0]}
    assert votes_for(proposal, *said, at_hand=(ALL,)) == []
    assert votes_for(proposal, *said) == [ALL.id]


@pytest.mark.must("AGR-9")
def test_of_a_leader_that_signed_two_proposals_neither_gets_a_vote() -> None:
    said = [*ballots(0, 1), FOUR.ballot(2, SOME), FOUR.ballot(3, SOME)]
    one, other = FOUR.proposal(0, ALL, said), FOUR.proposal(0, ALL, [*said[:2], said[3]])
    assert votes_for(one, *said) != []
    assert votes_for(one, *said, other) == []
