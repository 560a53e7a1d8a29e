"""The ledger's rules, one by one: what each refuses, and that it refuses nothing else."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from protocol.errors import RuleError
from protocol.ledger import Ledger, LeftOut, Rule
from protocol.records import Kind, Record, Refusal, Signed, Withdrawal, sign
from tests.protocol.keys import key
from tests.protocol.records.examples import (
    ADMISSION,
    ALL,
    DISTRIBUTIONS,
    DURING_COMMIT,
    DURING_MERGE,
    DURING_REVEAL,
    DURING_ROSTER,
    OFFER,
    SCHEDULE,
    SIGNED_ROUND,
    attestation,
    commitment,
    contribution,
    digest,
    points,
    result,
    signed_round,
    vote,
    withdrawal,
)

STRANGER = 99

WHEN = {
    "commitment": DURING_COMMIT,
    "contribution": DURING_REVEAL,
    "distributions": DURING_REVEAL,
    "withdrawal": DURING_REVEAL,
    "refusal": DURING_ROSTER,
    "ballot": DURING_ROSTER,
    "proposal": DURING_ROSTER,
    "vote": DURING_ROSTER,
    "timeout": DURING_ROSTER,
    "attestation": DURING_MERGE,
    "result": DURING_MERGE,
    "revision": DURING_MERGE,
}


def refused(rule: Rule, book: Ledger, signed: Signed[Record], now: float) -> str:
    """The message of a refusal, which leaves no trace."""
    before = list(book)
    with pytest.raises(RuleError) as caught:
        book.accept(signed, now)
    assert caught.value.rule is rule
    assert list(book) == before
    return str(caught.value)


@pytest.fixture
def book() -> Ledger:
    return Ledger(SIGNED_ROUND)


@pytest.mark.parametrize("name", sorted(WHEN))
def test_a_good_record_of_every_kind_is_held(book: Ledger, name: str) -> None:
    accepted = book.accept(ALL[name], WHEN[name])
    assert (accepted.new, accepted.late, accepted.equivocations) == (True, False, ())
    assert ALL[name].id in book
    assert list(book) == [ALL[name]] or name in ("result", "revision", "timeout"), "which carry others"


@pytest.mark.must("LED-1")
def test_a_record_of_another_round_is_refused() -> None:
    other = Ledger(signed_round(title="Another round"))
    for name, now in WHEN.items():
        assert "not a record of round" in refused(Rule.ROUND, other, ALL[name], now)


@pytest.mark.must("LED-1")
def test_the_round_itself_is_not_one_of_its_records(book: Ledger) -> None:
    refused(Rule.ROUND, book, SIGNED_ROUND, DURING_COMMIT)


@pytest.mark.must("LED-2")
@pytest.mark.parametrize("later", [0.0, 10.0**9])
def test_a_replay_changes_nothing_whenever_it_comes(book: Ledger, later: float) -> None:
    for name, now in WHEN.items():
        book.accept(ALL[name], now)
    before = list(book), book.selection()
    for name, now in WHEN.items():
        again = book.accept(ALL[name], now + later)
        assert (again.new, again.late, again.equivocations) == (False, False, ())
    assert (list(book), book.selection()) == before


@pytest.mark.must("LED-3")
@pytest.mark.parametrize(
    "signed",
    [
        pytest.param(vote(STRANGER, digest("roster")), id="vote"),
        pytest.param(attestation(STRANGER), id="attestation"),
        pytest.param(result(STRANGER, 11, 12, 13), id="result"),
    ],
)
def test_what_only_stewards_say_is_refused_from_others(book: Ledger, signed: Signed[Record]) -> None:
    assert "no steward" in refused(Rule.STEWARDS, book, signed, DURING_ROSTER)


@pytest.mark.must("LED-4")
def test_an_allow_list_admits_its_keys_and_nobody_else() -> None:
    round_ = signed_round(admission=replace(ADMISSION, keys=points((21, 22))))
    book = Ledger(round_)
    for author in (21, 22):
        offer = contribution(author, round=round_.id)
        assert book.accept(commitment(offer, author), DURING_COMMIT).new
        assert book.accept(offer, DURING_REVEAL).new
    offer = contribution(23, round=round_.id)
    assert "not open to" in refused(Rule.ADMISSION, book, commitment(offer, 23), DURING_COMMIT)
    assert "not open to" in refused(Rule.ADMISSION, book, offer, DURING_REVEAL)
    assert "not open to" in refused(Rule.ADMISSION, book, withdrawal(offer, 23), DURING_REVEAL)


FIRST_SECOND = {
    "commitment": SCHEDULE.commit_opens - 3,
    "contribution": SCHEDULE.commit_closes + 3,
    "distributions": SCHEDULE.commit_closes + 3,
    "refusal": SCHEDULE.commit_closes + 3,
    "ballot": SCHEDULE.reveal_closes - 3,
    "proposal": SCHEDULE.reveal_closes - 3,
    "vote": SCHEDULE.reveal_closes - 3,
    "timeout": SCHEDULE.reveal_closes - 3,
    "attestation": SCHEDULE.reveal_closes - 3,
    "result": SCHEDULE.reveal_closes - 3,
    "revision": SCHEDULE.reveal_closes - 3,
}


@pytest.mark.must("LED-5")
@pytest.mark.parametrize("name", sorted(FIRST_SECOND))
def test_a_record_before_its_window_is_refused_and_taken_later(book: Ledger, name: str) -> None:
    assert "offer it again" in refused(Rule.EARLY, book, ALL[name], FIRST_SECOND[name] - 0.01)
    assert book.accept(ALL[name], FIRST_SECOND[name]).new


@pytest.mark.must("LED-5")
def test_a_withdrawal_is_taken_at_any_time(book: Ledger) -> None:
    assert book.accept(withdrawal(OFFER, 21), 0.0).new
    assert book.accept(withdrawal(DISTRIBUTIONS, 22), 10.0**11).new


@pytest.mark.must("LED-6")
def test_no_clock_within_the_skew_takes_a_commitment_after_any_has_seen_a_contribution(book: Ledger) -> None:
    """An honest author publishes at ``reveal_opens`` by its clock; whoever copies must find every ledger closed."""
    for author_ahead in (-3.0, 0.0, 3.0):
        for node_ahead in (-3.0, 0.0, 3.0):
            if abs(author_ahead - node_ahead) <= 3.0:
                seen = SCHEDULE.reveal_opens - author_ahead + node_ahead
                name = f"{author_ahead} {node_ahead}"
                copy = contribution(23, f"a copy {name}")
                assert book.accept(contribution(21, name), seen).new
                assert book.accept(commitment(copy, 23), seen).late


LAST_SECOND = {"commitment": SCHEDULE.commit_closes + 3, "contribution": SCHEDULE.reveal_closes + 3}


@pytest.mark.must("LED-7")
@pytest.mark.parametrize("name", sorted(LAST_SECOND))
def test_an_offer_after_its_window_is_history_and_not_selected(name: str) -> None:
    """The last hundredth of a second before is the control."""
    for late, now in ((False, LAST_SECOND[name] - 0.01), (True, LAST_SECOND[name])):
        book = Ledger(SIGNED_ROUND)
        for offered, usual in ((ALL["commitment"], DURING_COMMIT), (ALL["contribution"], DURING_REVEAL)):
            at = now if offered is ALL[name] else usual
            assert book.accept(offered, at).late == (late and offered is ALL[name])
        assert book.is_late(ALL[name].id) == late
        expected = ((), {OFFER.id: LeftOut.LATE}) if late else ((OFFER.id,), {})
        assert (book.selection().roster.contributions, book.selection().left_out) == expected


@pytest.mark.must("LED-8")
@pytest.mark.parametrize(
    "name", ["ballot", "proposal", "vote", "timeout", "attestation", "result", "revision", "refusal"]
)
def test_what_stewards_say_never_expires(book: Ledger, name: str) -> None:
    assert book.accept(ALL[name], 10.0**11).new


@pytest.mark.must("LED-8", "LED-21")
def test_a_split_that_outlasts_the_roster_heals_with_the_same_proof_on_both_sides() -> None:
    one, other = vote(11, digest("one")), vote(11, digest("other"))
    books = Ledger(SIGNED_ROUND), Ledger(SIGNED_ROUND)
    for book, early, afterwards in zip(books, (one, other), (other, one), strict=True):
        assert book.accept(early, DURING_ROSTER).new
        book.accept(afterwards, SCHEDULE.roster_closes + 10.0**6)
    assert list(books[0]) == list(books[1])
    assert books[0].equivocations == books[1].equivocations != ()


@pytest.mark.must("LED-9")
@pytest.mark.parametrize(
    ("terms", "offer", "says"),
    [
        ({"kinds": (Kind.ADAPTER,), "prompts": None}, {}, "of the kind delta; accepted are adapter"),
        ({}, {"base": digest("another base")}, "another base"),
        ({}, {"kind": Kind.DISTRIBUTIONS, "base": None, "norm": None, "prompts": digest("x")}, "other prompts"),
        ({}, {"size": (1 << 32) + 1}, "4294967297 bytes; at most 4294967296"),
        ({"licences": ("MIT",)}, {}, "licence is Apache-2.0; accepted are MIT"),
        ({"domains": ("code", "law")}, {}, "domain is mathematics; accepted are code, law"),
        ({"max_norm": "1.4999"}, {}, "norm is 1.5; at most 1.4999"),
        ({"max_norm": "2"}, {"norm": None}, "does not state its norm"),
    ],
    ids=["kind", "base", "prompts", "bytes", "licence", "domain", "norm", "norm not stated"],
)
def test_an_offer_outside_the_rounds_terms_is_refused(terms: dict[str, Any], offer: dict[str, Any], says: str) -> None:
    of_round = {n: v for n, v in terms.items() if n in ("kinds", "prompts")}
    of_admission = {n: v for n, v in terms.items() if n not in of_round}
    round_ = signed_round(**of_round, admission=replace(ADMISSION, **of_admission))
    message = refused(Rule.TERMS, Ledger(round_), contribution(21, round=round_.id, **offer), DURING_REVEAL)
    assert says in message


@pytest.mark.must("LED-9")
def test_an_offer_on_the_edge_of_the_terms_is_taken() -> None:
    terms = replace(ADMISSION, licences=("Apache-2.0",), domains=("mathematics",), max_norm="1.5", bytes_each=1 << 20)
    round_ = signed_round(admission=terms)
    assert Ledger(round_).accept(contribution(21, round=round_.id), DURING_REVEAL).new


def test_a_refusal_for_terms_lists_everything_that_is_wrong() -> None:
    round_ = signed_round(admission=replace(ADMISSION, licences=("MIT",), domains=("law",)))
    message = refused(Rule.TERMS, Ledger(round_), contribution(21, round=round_.id), DURING_REVEAL)
    assert "licence" in message
    assert "domain" in message


@pytest.mark.must("LED-10")
def test_a_contribution_without_its_commitment_waits(book: Ledger) -> None:
    book.accept(OFFER, DURING_REVEAL)
    assert book.selection().left_out == {OFFER.id: LeftOut.UNCOMMITTED}


@pytest.mark.must("LED-10")
def test_somebody_elses_commitment_to_the_same_contribution_does_not_open_it(book: Ledger) -> None:
    """A copied digest is of no use: the author's key is inside."""
    book.accept(commitment(OFFER, 22), DURING_COMMIT)
    book.accept(OFFER, DURING_REVEAL)
    assert book.selection().left_out == {OFFER.id: LeftOut.UNCOMMITTED}


@pytest.mark.must("LED-10")
def test_a_contribution_changed_after_its_commitment_is_not_opened_by_it(book: Ledger) -> None:
    book.accept(commitment(OFFER, 21), DURING_COMMIT)
    better = contribution(21, title="The same with a better title")
    book.accept(better, DURING_REVEAL)
    assert book.selection().left_out == {better.id: LeftOut.UNCOMMITTED}


@pytest.mark.must("LED-11")
@pytest.mark.parametrize("first", ["withdrawal", "contribution"])
def test_a_withdrawn_contribution_is_not_selected_whichever_came_first(book: Ledger, first: str) -> None:
    book.accept(commitment(OFFER, 21), DURING_COMMIT)
    pair = [withdrawal(OFFER, 21), OFFER]
    for signed in pair if first == "withdrawal" else pair[::-1]:
        book.accept(signed, DURING_REVEAL)
    assert book.selection().left_out == {OFFER.id: LeftOut.WITHDRAWN}
    assert len(book.records(Withdrawal)) == 1


@pytest.mark.must("LED-11")
@pytest.mark.parametrize("first", ["withdrawal", "contribution"])
def test_nobody_withdraws_what_is_not_theirs(book: Ledger, first: str) -> None:
    book.accept(commitment(OFFER, 21), DURING_COMMIT)
    if first == "withdrawal":
        assert book.accept(withdrawal(OFFER, 22), DURING_REVEAL).new
        book.accept(OFFER, DURING_REVEAL)
    else:
        book.accept(OFFER, DURING_REVEAL)
    refused(Rule.AUTHOR, book, withdrawal(OFFER, 22), DURING_REVEAL)
    assert book.records(Withdrawal) == ()
    assert book.selection().roster.contributions == (OFFER.id,)


@pytest.mark.must("LED-16")
@pytest.mark.parametrize("make", [0, 1])
def test_of_two_withdrawals_or_refusals_the_lower_id_is_held(book: Ledger, make: int) -> None:
    fault = ALL["refusal"].record
    assert isinstance(fault, Refusal)
    makers: list[Callable[[str], Signed[Record]]] = [
        lambda reason: withdrawal(OFFER, 21, reason),
        lambda reason: _signed(replace(fault, reason=reason)),
    ]
    low, high = sorted((makers[make]("one"), makers[make]("other")), key=lambda s: s.id)
    for order in ([low, high], [high, low]):
        book = Ledger(SIGNED_ROUND)
        accepted = [book.accept(signed, DURING_REVEAL) for signed in order]
        assert [a.equivocations for a in accepted] == [(), ()]
        assert list(book) == [low]


def _signed(record: Refusal) -> Signed[Record]:
    return sign(record, key(11))
