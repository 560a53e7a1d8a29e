"""Double-signing: what is one, what it costs, and a proof that anybody can check."""

from dataclasses import replace
from itertools import permutations

import pytest

from protocol.ledger import Equivocation, Ledger
from protocol.ledger.equivocation import MAX_EQUIVOCATION_BYTES
from protocol.records import (
    Ballot,
    Proposal,
    Record,
    Result,
    Revision,
    RoundRecord,
    Signed,
    Stage,
    Timeout,
    Vote,
    sign,
)
from tests.protocol.hostile.make_equivocation import FOLDER, faults
from tests.protocol.keys import key
from tests.protocol.records.examples import (
    ALL,
    DURING_MERGE,
    DURING_ROSTER,
    SIGNED_ROUND,
    attestation,
    digest,
    locked,
    result,
    revision,
    vote,
)

FAULTS = faults()
ONE, OTHER = vote(11, digest("one")), vote(11, digest("other"))
PROOF = Equivocation.of(ONE, OTHER)


def again(name: str, **changes: object) -> Signed[RoundRecord]:
    """The example of steward 11 with other content."""
    record = ALL[name].record
    assert isinstance(record, RoundRecord)
    return sign(replace(record, **changes), key(11))  # type: ignore[arg-type]


LIES = {
    "ballot": again("ballot", count=3),
    "proposal": again("proposal", roster=digest("another")),
    "vote": again("vote", roster=digest("another")),
    "timeout": again("timeout", lock=None),
    "attestation": attestation(11, digest("another root")),
    "attestation of another recipe": again("attestation", recipe=digest("another")),
    "result": again("result", manifest=digest("another manifest")),
    "revision": sign(replace(revision(11, 11, 12, 13).record, manifest=digest("another")), key(11)),
}


@pytest.mark.must("LED-15", "LED-17")
@pytest.mark.parametrize("name", sorted(LIES))
def test_two_statements_that_exclude_each_other_convict_their_author_and_neither_counts(name: str) -> None:
    book = Ledger(SIGNED_ROUND)
    first = revision(11, 11, 12, 13) if name == "revision" else ALL[name.split()[0]]
    assert book.accept(first, DURING_ROSTER).new
    accepted = book.accept(LIES[name], DURING_ROSTER)
    assert not accepted.new
    assert [proof.liar for proof in accepted.equivocations] == [key(11).public]
    assert book.equivocations == accepted.equivocations
    assert first.id not in book
    assert LIES[name].id not in book


HONEST = {
    "another attempt": again("vote", attempt=1),
    "another revision of the vote": again("vote", revision=1, roster=digest("another")),
    "another stage": again("vote", stage=Stage.DECIDE),
    "another steward": vote(12, digest("another")),
    "another kind": ALL["ballot"],
    "another revision": attestation(11, digest("another root"), revision=1),
}


@pytest.mark.must("LED-15")
@pytest.mark.parametrize("name", sorted(HONEST))
def test_answers_to_two_questions_convict_nobody(name: str) -> None:
    book = Ledger(SIGNED_ROUND)
    for signed in (ALL["vote"], ALL["attestation"], HONEST[name]):
        assert book.accept(signed, DURING_ROSTER).equivocations == ()
    assert book.equivocations == ()
    assert len(list(book)) == 3


@pytest.mark.must("LED-15", "LED-16")
def test_a_result_published_again_with_more_endorsements_is_no_lie() -> None:
    results = sorted((result(11, 11, 12, 13), result(11, 11, 12, 13, 14)), key=lambda s: s.id)
    for order in permutations(results):
        book = Ledger(SIGNED_ROUND)
        assert [book.accept(signed, DURING_MERGE).equivocations for signed in order] == [(), ()]
        assert book.records(Result) == (results[0],)


@pytest.mark.must("LED-16")
def test_of_three_contradictions_the_same_two_are_kept_in_any_order() -> None:
    lies: list[Signed[Record]] = [vote(11, digest(name)) for name in "abc"]
    low = sorted(lies, key=lambda signed: signed.id)[:2]
    for order in permutations(lies):
        book = Ledger(SIGNED_ROUND)
        for signed in order:
            book.accept(signed, DURING_ROSTER)
        assert [(p.first.id, p.second.id) for p in book.equivocations] == [(low[0].id, low[1].id)]
        assert list(book) == []


@pytest.mark.must("LED-2")
def test_a_convicting_record_that_comes_again_is_not_reported_again() -> None:
    book = Ledger(SIGNED_ROUND)
    for signed in (ONE, OTHER):
        book.accept(signed, DURING_ROSTER)
    for signed in (ONE, OTHER):
        again_ = book.accept(signed, DURING_MERGE)
        assert (again_.new, again_.equivocations) == (False, ())


@pytest.mark.must("LED-15", "LED-19")
def test_endorsements_inside_two_results_convict_who_signed_both() -> None:
    book = Ledger(SIGNED_ROUND)
    book.accept(result(12, 12, 13, 14), DURING_MERGE)
    accepted = book.accept(result(11, 11, 12, 13, root=digest("another root")), DURING_MERGE)
    assert {proof.liar for proof in accepted.equivocations} == {key(12).public, key(13).public}
    assert all(Equivocation.parse(proof.encode()) == proof for proof in accepted.equivocations)


@pytest.mark.must("LED-22", "LED-23")
@pytest.mark.parametrize("name", sorted(LIES))
def test_a_proof_convinces_somebody_who_has_nothing_but_its_bytes(name: str) -> None:
    first = revision(11, 11, 12, 13) if name == "revision" else ALL[name.split()[0]]
    assert isinstance(first.record, RoundRecord)
    proof = Equivocation.of(LIES[name], Signed(first.record, first.envelope))
    heard = Equivocation.parse(proof.encode())
    heard.check()
    assert heard == proof
    assert heard.liar == key(11).public


@pytest.mark.must("LED-22", "LED-23")
@pytest.mark.parametrize("name", sorted(FAULTS))
def test_a_false_proof_convicts_nobody(name: str) -> None:
    data, error = FAULTS[name]
    with pytest.raises(error) as caught:
        Equivocation.parse(data)
    assert type(caught.value) is error


def test_the_hostile_files_are_what_their_generator_makes() -> None:
    assert {p.stem: p.read_bytes() for p in FOLDER.iterdir()} == {name: fault[0] for name, fault in FAULTS.items()}


def test_the_largest_proof_fits_its_limit() -> None:
    assert len(PROOF.encode()) < MAX_EQUIVOCATION_BYTES


def test_the_kinds_of_agreement_are_all_tried_here() -> None:
    assert {type(ALL[name.split()[0]].record) for name in LIES} >= {Ballot, Proposal, Vote, Timeout, Result, Revision}


CONTRADICTIONS: dict[str, list[dict[str, object]]] = {
    "ballot": [{"roster": digest(name)} for name in "abcde"],
    "proposal": [{"roster": digest(name)} for name in "abcde"],
    "vote": [{"roster": digest(name)} for name in "abcde"],
    "timeout": [{"lock": None}, {"lock": locked(11, 12, 13)}, {"lock": locked(11, 12, 14)}],
}


@pytest.mark.must("LED-16", "LED-17")
@pytest.mark.parametrize("name", sorted(CONTRADICTIONS))
def test_what_was_taken_in_agreement_can_be_found_whatever_its_author_signs_later(name: str) -> None:
    lies = [again(name, **changes) for changes in CONTRADICTIONS[name]]
    for order in (lies, lies[::-1]):
        book = Ledger(SIGNED_ROUND)
        for second, lie in enumerate(order):
            assert book.accept(lie, DURING_ROSTER + second).new == (second == 0)
        assert [book.find(lie.id) for lie in lies] == lies
        assert not any(lie.id in book for lie in lies)
        kept = [signed for signed in book.taken(type(lies[0].record)) if signed.record.author == lies[0].record.author]
        assert {signed.id for signed in kept} >= {lie.id for lie in lies}
        assert [book.first_seen(lie.id) - DURING_ROSTER for lie in order] == list(range(len(lies)))
        two = sorted(lie.id for lie in lies)[:2]
        assert [[p.first.id, p.second.id] for p in book.equivocations] == [two]


@pytest.mark.must("LED-16")
def test_of_other_kinds_no_more_than_two_answers_are_kept() -> None:
    lies = [attestation(11, digest(root)) for root in "abcd"]
    book = Ledger(SIGNED_ROUND)
    for lie in lies:
        book.accept(lie, DURING_MERGE)
    found = [lie.id for lie in lies if book.find(lie.id) is not None]
    assert sorted(found) == sorted(lie.id for lie in lies)[:2]


def test_the_first_moment_counts_when_a_vote_comes_alone_and_inside_a_lock() -> None:
    book = Ledger(SIGNED_ROUND)
    book.accept(ALL["timeout"], DURING_ROSTER)
    book.accept(vote(11, digest("roster")), DURING_ROSTER + 5)
    assert book.first_seen(vote(11, digest("roster")).id) == DURING_ROSTER
