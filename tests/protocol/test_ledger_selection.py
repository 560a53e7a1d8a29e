"""The selection: which contributions fit, by a rule that needs no clock and favours nobody's network."""

from dataclasses import replace

import pytest

from protocol.ledger import Ledger, LeftOut, Selection
from protocol.records import Contribution, Round, Signed
from tests.protocol.records.examples import (
    ADMISSION,
    DURING_COMMIT,
    DURING_REVEAL,
    commitment,
    contribution,
    signed_round,
    withdrawal,
)

Offers = dict[bytes, tuple[bytes, Signed[Contribution]]]


def filled(round_: Signed[Round], *authors: int, size: int = 1 << 20) -> tuple[Ledger, Offers]:
    """A ledger with one opened contribution for each number, and (commitment id, contribution) by id."""
    book, offers = Ledger(round_), {}
    for number, author in enumerate(authors):
        offer = contribution(author, f"{number}", round=round_.id, size=size)
        hidden = commitment(offer, author)
        book.accept(hidden, DURING_COMMIT)
        book.accept(offer, DURING_REVEAL)
        offers[offer.id] = hidden.id, offer
    return book, offers


def with_admission(**changes: object) -> Signed[Round]:
    return signed_round(admission=replace(ADMISSION, **changes))  # type: ignore[arg-type]


def reasons(selection: Selection) -> list[LeftOut]:
    return sorted(selection.left_out.values())


@pytest.mark.must("LED-12")
def test_what_is_opened_and_stands_is_selected() -> None:
    book, offers = filled(signed_round(), 21, 21, 22)
    assert book.selection() == Selection(book.selection().roster, {})
    assert book.selection().roster.contributions == tuple(sorted(offers))


@pytest.mark.must("LED-13")
def test_a_key_gets_no_more_than_its_cap_and_the_lowest_commitments_count() -> None:
    book, offers = filled(with_admission(contributions_per_key=2), 21, 21, 21, 21)
    lowest = sorted(offers, key=lambda contribution_id: offers[contribution_id][0])
    assert book.selection().roster.contributions == tuple(sorted(lowest[:2]))
    assert book.selection().left_out == dict.fromkeys(lowest[2:], LeftOut.KEY_CAP)


@pytest.mark.must("LED-13")
def test_everybodys_first_comes_before_anybodys_second() -> None:
    book, offers = filled(with_admission(contributions=3), *(21,) * 2, 22, 23)
    authors = [offers[i][1].record.author for i in book.selection().roster.contributions]
    assert len(set(authors)) == 3
    assert reasons(book.selection()) == [LeftOut.CAP]


@pytest.mark.must("LED-14")
def test_what_does_not_fit_the_bytes_is_passed_over_for_what_does() -> None:
    round_ = with_admission(bytes_total=100, contributions=10)
    book, offers = filled(round_, 21, 22, size=60)
    small = contribution(23, "small", round=round_.id, size=40)
    book.accept(commitment(small, 23), DURING_COMMIT)
    book.accept(small, DURING_REVEAL)
    taken = book.selection().roster.contributions
    assert len(taken) == 2
    assert small.id in taken
    assert reasons(book.selection()) == [LeftOut.BYTES_CAP]
    assert set(book.selection().left_out) < set(offers)


@pytest.mark.must("LED-12", "LED-14")
def test_a_withdrawn_or_unwanted_contribution_leaves_its_place_to_another() -> None:
    book, offers = filled(with_admission(contributions=1), 21, 22, 23)
    (first,) = book.selection().roster.contributions
    (second,) = book.selection(without={first}).roster.contributions
    assert first != second
    assert book.selection(without={first}).left_out[first] is LeftOut.UNWANTED
    author = next(n for n in (21, 22, 23) if contribution(n).record.author == offers[first][1].record.author)
    book.accept(withdrawal(offers[first][1], author), DURING_REVEAL)
    assert book.selection().roster.contributions == (second,)
    assert book.selection().left_out[first] is LeftOut.WITHDRAWN


def test_an_empty_round_has_an_empty_roster() -> None:
    assert Ledger(signed_round()).selection().roster.contributions == ()
