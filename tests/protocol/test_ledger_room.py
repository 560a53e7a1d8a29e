"""Room: whoever floods a ledger fills a pool of his own, and what counts is held all the same."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from protocol.errors import RuleError
from protocol.ledger import Ledger, LeftOut, Rule, room
from protocol.ledger.room import memory
from protocol.records import Contribution, Record, Refusal, Round, Signed, Withdrawal, sign
from protocol.records.round import MAX_ALLOWED_KEYS, MAX_CONTRIBUTIONS_PER_KEY
from tests.protocol.keys import key
from tests.protocol.records.examples import (
    ADMISSION,
    ALL,
    DURING_COMMIT,
    DURING_REVEAL,
    DURING_ROSTER,
    OFFER,
    SCHEDULE,
    commitment,
    contribution,
    digest,
    points,
    signed_round,
    vote,
    withdrawal,
)

LATE = SCHEDULE.reveal_closes + 3600.0
SIZE = memory(contribution(21).record)
"""Of a contribution without a title; its commitment and withdrawal take less."""

OPEN = signed_round()
CLOSED = signed_round(admission=replace(ADMISSION, keys=points((21, 22, 23, 24, 25))))


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each key has room for four contributions in a pool, all keys together for eight."""
    monkeypatch.setattr(room, "COUNTING_PER_CONTRIBUTION", 4 * SIZE // ADMISSION.contributions_per_key)
    monkeypatch.setattr(room, "IDLE_PER_CONTRIBUTION", 4 * SIZE // ADMISSION.contributions_per_key)
    monkeypatch.setattr(room, "MIN_IDLE_PER_KEY", 4 * SIZE)
    monkeypatch.setattr(room, "COUNTING_PER_PLACE", 1)
    monkeypatch.setattr(room, "IDLE_PER_PLACE", 1)
    monkeypatch.setattr(room, "MIN_PLACES", 8 * SIZE)


def offers(round_: Signed[Round], author: int, count: int = 1000) -> Iterator[Signed[Contribution]]:
    return (contribution(author, f"{number}", round=round_.id) for number in range(count))


def flood(book: Ledger, signed: Iterator[Signed[Record]], now: float) -> int:
    """How many of these records were held before the room was full."""
    for held, one in enumerate(signed):
        try:
            book.accept(one, now)
        except RuleError as error:
            if error.rule is not Rule.ROOM:
                raise
            return held
    raise AssertionError("the room has no end")


def taken(book: Ledger, round_: Signed[Round], author: int) -> bool:
    """Whether somebody honest still finds room for a commitment and a contribution that count."""
    offer = contribution(author, "honest", round=round_.id)
    book.accept(commitment(offer, author), DURING_COMMIT)
    return book.accept(offer, DURING_REVEAL).new and offer.id in book.selection().roster.contributions


@pytest.mark.must("LED-20")
def test_no_number_of_keys_on_an_allow_list_takes_the_room_of_another() -> None:
    book = Ledger(CLOSED)
    for author in (21, 22, 23, 24):
        hidden = (commitment(offer, author) for offer in offers(CLOSED, author))
        assert 4 < flood(book, hidden, DURING_COMMIT) < 20
    assert taken(book, CLOSED, 25)


@pytest.mark.must("LED-20")
def test_the_room_of_a_key_follows_what_it_may_contribute() -> None:
    held = []
    for each in (2, 4):
        round_ = signed_round(admission=replace(ADMISSION, keys=points((21,)), contributions_per_key=each))
        held.append(flood(Ledger(round_), (commitment(o, 21) for o in offers(round_, 21)), DURING_COMMIT))
    assert 2 * held[0] <= held[1] <= 2 * held[0] + 1


@pytest.mark.must("LED-20")
def test_many_keys_of_an_open_round_cannot_fill_the_memory_nor_silence_the_stewards() -> None:
    book = Ledger(OPEN)
    crowd = (commitment(next(offers(OPEN, author)), author) for author in range(30, 99))
    assert 8 < flood(book, crowd, DURING_COMMIT) < 40
    ballot = sign(replace(vote(11, digest("roster")).record, round=OPEN.id), key(11))
    assert book.accept(ballot, DURING_ROSTER).new


@pytest.mark.must("LED-20")
@pytest.mark.parametrize("round_", [OPEN, CLOSED], ids=["open", "allow-list"])
@pytest.mark.parametrize(
    ("what", "now"),
    [("unopened", DURING_REVEAL), ("late", LATE), ("late commitments", LATE), ("unknown", DURING_REVEAL)],
)
def test_what_may_never_count_takes_no_room_from_what_counts(what: str, now: float, round_: Signed[Round]) -> None:
    book = Ledger(round_)
    for author in (21, 22, 23, 24):
        many = offers(round_, author)
        if what == "unknown":
            flood(book, (withdrawal(offer, author) for offer in many), now)
        elif what == "late commitments":
            flood(book, (commitment(offer, author) for offer in many), now)
        else:
            assert flood(book, many, now) <= 4
    assert taken(book, round_, 21), "not even from the same key"
    assert taken(book, round_, 25)


@pytest.mark.must("LED-20")
def test_a_contribution_leaves_the_pool_of_the_unopened_when_its_commitment_comes() -> None:
    book = Ledger(CLOSED)
    first, *others = offers(CLOSED, 21, 5)
    for offer in (first, *others[:3]):
        assert book.accept(offer, DURING_REVEAL).new
    with pytest.raises(RuleError, match="no room"):
        book.accept(others[3], DURING_REVEAL)
    book.accept(commitment(first, 21), DURING_COMMIT)
    assert book.accept(others[3], DURING_REVEAL).new


@pytest.mark.must("LED-11", "LED-20")
def test_an_author_withdraws_what_is_held_however_full_the_ledger_is() -> None:
    book = Ledger(OPEN)
    assert taken(book, OPEN, 21)
    for author in (21, 22, 23, 24):
        flood(book, (commitment(offer, author) for offer in offers(OPEN, author)), DURING_COMMIT)
        flood(book, (withdrawal(offer, author) for offer in offers(OPEN, author)), DURING_REVEAL)
    (offer,) = book.records(Contribution)
    assert book.accept(withdrawal(offer, 21, "x" * 500), DURING_REVEAL).new
    assert book.selection().left_out == {offer.id: LeftOut.WITHDRAWN}


@pytest.mark.must("LED-20")
def test_withdrawals_that_were_false_or_found_what_they_withdraw_give_their_room_back() -> None:
    book = Ledger(CLOSED)
    offer, *others = offers(CLOSED, 21, 200)
    for author in (21, 22):
        assert book.accept(withdrawal(offer, author), DURING_REVEAL).new
        before = flood(book, (withdrawal(one, author) for one in others), DURING_REVEAL)
        with pytest.raises(RuleError, match="no room"):
            book.accept(withdrawal(others[before], author), DURING_REVEAL)
    book.accept(offer, DURING_REVEAL)
    assert [w.record.author for w in book.records(Withdrawal) if w.record.contribution == offer.id] == [
        offer.record.author
    ]
    for author in (21, 22):
        assert book.accept(withdrawal(others[before], author), DURING_REVEAL).new


@pytest.mark.must("LED-20")
def test_a_stewards_refusals_fill_only_its_own_room(monkeypatch: pytest.MonkeyPatch) -> None:
    fault = ALL["refusal"].record
    assert isinstance(fault, Refusal)
    monkeypatch.setattr(room, "MIN_REFUSED", 1)
    monkeypatch.setattr(room, "REFUSALS_PER_PLACE", memory(fault) // ADMISSION.contributions + 1)
    book = Ledger(OPEN)
    assert book.accept(sign(fault, key(11)), DURING_ROSTER).new
    with pytest.raises(RuleError, match="no room"):
        book.accept(sign(replace(fault, contribution=digest("another")), key(11)), DURING_ROSTER)
    assert book.accept(sign(replace(fault, author=key(12).public.point), key(12)), DURING_ROSTER).new
    assert taken(book, OPEN, 21)


@pytest.mark.must("LED-20")
@pytest.mark.parametrize("lies", [False, True], ids=["many revisions", "many lies in one"])
def test_a_steward_cannot_fill_the_memory_with_attempts_to_agree(lies: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "AGREEMENT_PER_STEWARD" if lies else "REVISING_PER_STEWARD"
    monkeypatch.setattr(room, name, 4 * memory(vote(11, digest("x")).record))
    book = Ledger(OPEN)
    flooding = (vote(11, digest(str(n)), revision=0 if lies else 1 + n % 10) for n in range(1000))
    assert flood(book, flooding, DURING_ROSTER) == 4
    assert book.accept(vote(12, digest("x")), DURING_ROSTER).new
    assert len(book.equivocations) == lies


@pytest.mark.must("LED-20")
def test_votes_on_revisions_that_nobody_asked_for_leave_the_room_of_the_result_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(room, "REVISING_PER_STEWARD", 4 * memory(vote(11, digest("x")).record))
    book = Ledger(OPEN)
    flood(book, (vote(11, digest("x"), revision=n) for n in range(1, 100)), DURING_ROSTER)
    assert book.accept(vote(11, digest("x")), DURING_ROSTER).new


def test_there_is_room_for_what_the_largest_caps_need(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    largest = 16 * 1024 * 3 + room.RECORD_BYTES
    rest = memory(commitment(OFFER, 21).record) + memory(withdrawal(OFFER, 21, "é" * 500).record)
    assert largest + rest < room.COUNTING_PER_CONTRIBUTION
    assert largest < room.MIN_IDLE_PER_KEY
    assert MAX_ALLOWED_KEYS * MAX_CONTRIBUTIONS_PER_KEY * room.COUNTING_PER_CONTRIBUTION <= 1 << 29
