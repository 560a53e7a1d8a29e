"""Finality: a quorum's signatures, checked with the Round and the Result alone."""

from dataclasses import replace
from typing import Any

import pytest

from protocol.blobs.chunks import ChunkList
from protocol.errors import ForgedError, MalformedError, RuleError
from protocol.ledger import Ledger, Rule, attestations, locking_votes
from protocol.records import (
    Attestation,
    Endorsement,
    Lock,
    Outcome,
    Recipe,
    Record,
    Result,
    Stage,
    Timeout,
    Vote,
    endorsements,
    open_record,
    sign,
)
from protocol.records.round import MAX_RECIPE, MAX_STEWARDS
from tests.protocol.keys import key
from tests.protocol.records.examples import (
    ALL,
    DURING_MERGE,
    DURING_ROSTER,
    SIGNED_ROUND,
    attestation,
    digest,
    locked,
    points,
    result,
    revision,
    signed_round,
    vote,
)

GOOD = result(11, 11, 12, 13).record


def endorsed(good: Outcome, *forged: Endorsement) -> Outcome:
    """The result with some endorsements replaced."""
    by_author = {e.author: e for e in (*good.endorsements, *forged)}
    return replace(good, endorsements=tuple(by_author[author] for author in sorted(by_author)))


@pytest.mark.must("LED-18", "REC-22")
@pytest.mark.parametrize("outcome", [GOOD, revision(11, 11, 12, 13).record], ids=["result", "revision"])
def test_a_quorum_is_final_with_the_round_alone(outcome: Outcome) -> None:
    found = attestations(outcome, SIGNED_ROUND)
    assert {said.record.author for said in found} == set(points((11, 12, 13)))
    assert {(said.record.roster, said.record.root) for said in found} == {(outcome.roster, outcome.root)}


@pytest.mark.must("LED-18", "REC-22")
def test_endorsements_are_the_attestations_that_were_made() -> None:
    assert attestations(GOOD, SIGNED_ROUND) == tuple(
        sorted((attestation(n) for n in (11, 12, 13)), key=lambda a: a.record.author)
    )


@pytest.mark.must("LED-18")
def test_fewer_than_a_quorum_is_not_final() -> None:
    with pytest.raises(RuleError, match="2 endorsements; it takes 3 of 4") as caught:
        attestations(result(11, 11, 12).record, SIGNED_ROUND)
    assert caught.value.rule is Rule.QUORUM


@pytest.mark.must("LED-18")
def test_a_stranger_does_not_make_up_a_quorum() -> None:
    with pytest.raises(RuleError, match="no steward"):
        attestations(result(11, 11, 12, 99).record, SIGNED_ROUND)


@pytest.mark.must("LED-18")
@pytest.mark.parametrize(
    "changes",
    [
        {"root": digest("another root")},
        {"roster": digest("another roster")},
        {"recipe": Recipe(blob=digest("another recipe"))},
        {"recipe": Recipe(text="{}")},
    ],
    ids=["root", "roster", "recipe", "recipe in the record"],
)
def test_endorsements_are_of_no_use_for_another_statement(changes: dict[str, Any]) -> None:
    with pytest.raises(ForgedError, match="proves nothing"):
        attestations(replace(GOOD, **changes), SIGNED_ROUND)


@pytest.mark.must("LED-15", "REC-22")
def test_a_recipe_is_the_same_as_text_and_as_a_blob() -> None:
    text = Recipe(text='{"merge_method":"ties"}')
    blob = Recipe(blob=ChunkList.of(b'{"merge_method":"ties"}').id)
    assert text.digest == blob.digest
    said = [sign(replace(attestation(n).record, recipe=text.digest), key(n)) for n in (11, 12, 13)]
    book = Ledger(SIGNED_ROUND)
    for recipe in (text, blob):
        made = replace(GOOD, recipe=recipe, endorsements=endorsements(tuple(said)))
        assert book.accept(sign(made, key(11)), DURING_MERGE).equivocations == ()


@pytest.mark.must("LED-18")
def test_endorsements_of_the_result_are_of_no_use_for_a_revision() -> None:
    revised = revision(11, 11, 12, 13).record
    stolen = replace(revised, root=GOOD.root, roster=GOOD.roster, endorsements=GOOD.endorsements)
    with pytest.raises(ForgedError, match="proves nothing"):
        attestations(stolen, SIGNED_ROUND)


@pytest.mark.must("LED-18")
def test_a_signature_of_another_steward_endorses_nothing() -> None:
    other = endorsements((attestation(11),))[0].signature
    forged = Endorsement(author=key(12).public.point, signature=other)
    with pytest.raises(ForgedError, match="proves nothing"):
        attestations(endorsed(GOOD, forged), SIGNED_ROUND)


@pytest.mark.must("LED-18")
def test_one_bad_endorsement_spoils_even_more_than_a_quorum() -> None:
    forged = Endorsement(author=key(14).public.point, signature=bytes.fromhex("3006020101020101"))
    with pytest.raises(ForgedError, match="proves nothing"):
        attestations(endorsed(GOOD, forged), SIGNED_ROUND)


@pytest.mark.must("LED-1", "LED-18")
def test_a_quorum_of_another_round_is_not_final_here() -> None:
    with pytest.raises(RuleError) as caught:
        attestations(GOOD, signed_round(title="Another round"))
    assert caught.value.rule is Rule.ROUND


@pytest.mark.must("LED-18")
def test_the_ledger_refuses_a_result_without_a_quorum() -> None:
    book = Ledger(SIGNED_ROUND)
    with pytest.raises(RuleError, match="endorsements"):
        book.accept(result(11, 11, 12), DURING_MERGE)
    assert list(book) == []


@pytest.mark.must("LED-19")
def test_the_attestations_that_a_result_carries_count_as_if_they_had_come_alone() -> None:
    alone, carried = Ledger(SIGNED_ROUND), Ledger(SIGNED_ROUND)
    for steward in (11, 12, 13):
        alone.accept(attestation(steward), DURING_ROSTER)
    carried.accept(result(11, 11, 12, 13), DURING_MERGE)
    assert carried.records(Attestation) == alone.records(Attestation)
    assert not carried.accept(attestation(12), DURING_MERGE).new


@pytest.mark.must("LED-18")
def test_a_single_steward_makes_a_quorum_alone() -> None:
    round_ = signed_round(stewards=points((11,)))
    said = sign(replace(attestation(11).record, round=round_.id), key(11))
    alone = sign(replace(GOOD, round=round_.id, endorsements=endorsements((said,))), key(11))
    assert Ledger(round_).accept(alone, DURING_MERGE).new


@pytest.mark.must("REC-7", "REC-22")
def test_a_result_of_the_largest_quorum_fits_into_a_record() -> None:
    crowd = tuple(
        Endorsement(author=author, signature=bytes(72)) for author in points(tuple(range(1, MAX_STEWARDS + 1)))
    )
    large = replace(GOOD, recipe=Recipe(text="x" * MAX_RECIPE), endorsements=crowd)
    assert isinstance(Record.parse(large.payload_type, large.payload()), Result)


@pytest.mark.must("REC-22")
def test_endorsements_stand_in_the_order_of_their_authors() -> None:
    with pytest.raises(MalformedError, match="ascending order"):
        replace(GOOD, endorsements=GOOD.endorsements[::-1])


LOCKED_OUT = open_record(ALL["timeout"].envelope, Timeout).record


def timeout(lock: Lock | None, **changes: Any) -> Timeout:
    return replace(LOCKED_OUT, lock=lock, **changes)


@pytest.mark.must("LED-18", "LED-19", "REC-21")
def test_the_votes_of_a_lock_are_checked_with_the_round_alone_and_count_as_if_they_had_come_alone() -> None:
    votes = locking_votes(timeout(locked(11, 12, 13)), SIGNED_ROUND)
    assert sorted(votes, key=lambda s: s.id) == sorted(
        (vote(n, digest("roster")) for n in (11, 12, 13)), key=lambda s: s.id
    )
    book = Ledger(SIGNED_ROUND)
    book.accept(ALL["timeout"], DURING_ROSTER)
    assert book.records(Vote) == tuple(sorted(votes, key=lambda s: s.id))
    assert locking_votes(timeout(None), SIGNED_ROUND) == ()


@pytest.mark.must("LED-18", "REC-21")
@pytest.mark.parametrize(
    "changes",
    [
        {"lock": replace(locked(11, 12, 13), roster=digest("another"))},
        {"lock": replace(locked(11, 12, 13), attempt=1)},
        {"revision": 1},
        {"lock": replace(locked(11, 12, 13), votes=endorsements(attestation(n) for n in (11, 12, 13)))},
        {
            "lock": replace(
                locked(11, 12, 13),
                votes=endorsements(vote(n, digest("roster"), stage=Stage.DECIDE) for n in (11, 12, 13)),
            )
        },
    ],
    ids=["roster", "attempt", "revision", "attestations", "stage"],
)
def test_a_lock_of_votes_for_something_else_is_refused(changes: dict[str, Any]) -> None:
    made = sign(replace(LOCKED_OUT, **changes), key(11))
    book = Ledger(SIGNED_ROUND)
    with pytest.raises(ForgedError, match="proves nothing"):
        book.accept(made, DURING_ROSTER)
    assert list(book) == []


@pytest.mark.must("LED-18")
def test_a_lock_without_a_quorum_is_refused() -> None:
    for stewards in ((11, 12), (11, 12, 99)):
        with pytest.raises(RuleError) as caught:
            Ledger(SIGNED_ROUND).accept(sign(timeout(locked(*stewards)), key(11)), DURING_ROSTER)
        assert caught.value.rule is Rule.QUORUM


@pytest.mark.must("LED-17", "LED-19")
@pytest.mark.parametrize("first", ["lock", "lie"])
def test_a_double_vote_convicts_and_still_counts_inside_the_lock_that_contains_it(first: str) -> None:
    lie = vote(12, digest("another"))
    book = Ledger(SIGNED_ROUND)
    for signed in (ALL["timeout"], lie) if first == "lock" else (lie, ALL["timeout"]):
        book.accept(signed, DURING_ROSTER)
    assert [proof.liar for proof in book.equivocations] == [key(12).public]
    assert {said.record.author for said in book.records(Vote)} == set(points((11, 13)))
    (held,) = book.records(Timeout)
    assert len(locking_votes(held.record, SIGNED_ROUND)) == 3


@pytest.mark.must("REC-7", "REC-21")
def test_a_lock_of_the_largest_quorum_fits_into_a_record() -> None:
    everybody = points(tuple(range(1, MAX_STEWARDS + 1)))
    votes = tuple(Endorsement(author=author, signature=bytes(72)) for author in everybody)
    large = timeout(replace(locked(11, 12, 13), votes=votes))
    assert isinstance(Record.parse(large.payload_type, large.payload()), Timeout)
