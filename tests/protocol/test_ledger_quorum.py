"""Finality: a quorum's signatures, checked with the Round and the Result alone."""

from dataclasses import replace

import pytest

from protocol.errors import ForgedError, MalformedError, RuleError
from protocol.ledger import Ledger, Rule, attestations
from protocol.records import Attestation, Endorsement, Outcome, Recipe, Record, Result, endorsements, sign
from protocol.records.round import MAX_RECIPE, MAX_STEWARDS
from tests.protocol.keys import key
from tests.protocol.records.examples import (
    DURING_MERGE,
    DURING_ROSTER,
    SIGNED_ROUND,
    attestation,
    digest,
    points,
    result,
    revision,
    signed_round,
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
    ],
    ids=["root", "roster"],
)
def test_endorsements_are_of_no_use_for_another_statement(changes: dict[str, bytes]) -> None:
    with pytest.raises(ForgedError, match="proves nothing"):
        attestations(replace(GOOD, **changes), SIGNED_ROUND)  # type: ignore[arg-type]


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
