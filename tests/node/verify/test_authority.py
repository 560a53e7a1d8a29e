"""Level 2: who may decide, and what does not follow from signatures."""

from dataclasses import replace
from pathlib import Path

import pytest

from node.lineage import Step
from node.verify.authority import believed, check_authority
from node.verify.report import FAILED, OK, Level, State, What
from protocol.records import Recipe, sign
from tests.node.verify import rounds
from tests.node.verify.rounds import World
from tests.node.verify.steps import ADMISSION, a_revised_step, a_round, a_step, an_offer, an_outcome, in_order
from tests.protocol.keys import key
from tests.protocol.records.examples import digest

FOUR = (11, 12, 13, 14)
ROUND = a_round(stewards=FOUR)
OFFERS = in_order([an_offer(ROUND, author) for author in (21, 22)])


def step(*signers: int, **changes: object) -> Step:
    return Step(ROUND, (an_outcome(ROUND, OFFERS, signers, **changes),), OFFERS)  # type: ignore[arg-type]


def whats(one: Step, pinned: bytes | None = None) -> list[What]:
    return [finding.what for finding in check_authority(one, pinned)]


def test_a_quorum_of_the_rounds_own_stewards_may_decide() -> None:
    assert whats(step(11, 12, 13)) == whats(step(*FOUR)) == whats(a_revised_step()) == []


def test_two_of_four_are_too_few() -> None:
    (finding,) = check_authority(step(11, 12))
    assert finding.what is What.QUORUM_MISSING
    assert "2 endorsements; it takes 3 of 4" in finding.text


def test_strangers_do_not_count_however_many_there_are() -> None:
    assert whats(step(31, 32, 33, 34)) == [What.QUORUM_MISSING, What.AUTHOR_STRANGE]
    assert whats(step(11, 12, 31)) == [What.QUORUM_MISSING]


def test_signatures_under_something_else_do_not_count() -> None:
    said = an_outcome(ROUND, OFFERS, (11, 12, 13))
    moved = sign(replace(said.record, root=digest("another root")), key(11))
    assert whats(Step(ROUND, (moved,), OFFERS)) == [What.QUORUM_MISSING]


def test_an_outcome_published_by_somebody_who_is_no_steward_is_refused() -> None:
    assert whats(step(11, 12, 13, author=31)) == [What.AUTHOR_STRANGE]


def test_a_merge_by_another_recipe_than_the_round_announced_is_refused() -> None:
    assert whats(step(11, 12, 13, recipe=Recipe(text='{"merge_method":"linear"}'))) == [What.RECIPE_DIFFERS]


def test_the_same_recipe_as_a_blob_is_the_same_recipe() -> None:
    blob = Recipe(blob=ROUND.record.recipe.digest)
    assert whats(step(11, 12, 13, recipe=blob)) == []


def test_every_revision_needs_its_own_quorum() -> None:
    result = an_outcome(ROUND, OFFERS, (11, 12, 13))
    alone = an_outcome(ROUND, OFFERS, (11,), after=result)
    assert whats(Step(ROUND, (result, alone), OFFERS)) == [What.QUORUM_MISSING]


def test_the_round_that_the_user_named_must_be_the_one() -> None:
    one = step(11, 12, 13)
    assert whats(one, ROUND.id) == []
    assert whats(one, digest("another round")) == [What.ROUND_DIFFERS]
    assert believed(one, ROUND.id).pinned
    assert not believed(one, None).pinned


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"licences": ("MIT",)}, "its licence is Apache-2.0"),
        ({"domains": ("law",)}, "its domain is mathematics"),
        ({"keys": (key(29).public.point,)}, "not on the round's list"),
        ({"bytes_each": 10}, "at most 10 are allowed"),
        ({"contributions": 1}, "the roster has 2 contributions; the round allows 1"),
        ({"bytes_total": 10}, "bytes of contributions; the round allows 10"),
    ],
)
def test_a_roster_against_the_rounds_own_rules_is_a_fault_of_the_stewards(
    changes: dict[str, object], words: str
) -> None:
    found = list(check_authority(a_step(admission=replace(ADMISSION, **changes))))  # type: ignore[arg-type]
    assert {finding.what for finding in found} == {What.RULE_BROKEN}
    assert any(words in finding.text for finding in found)


def test_more_contributions_of_one_key_than_the_round_allows_are_a_fault() -> None:
    one = a_round(admission=replace(ADMISSION, contributions_per_key=1))
    offers = in_order([an_offer(one, 21, "first"), an_offer(one, 21, "second")])
    assert whats(Step(one, (an_outcome(one, offers, [11]),), offers)) == [What.RULE_BROKEN]


# -- on real folders ---------------------------------------------------------------------------------------------


def test_the_report_names_whose_word_it_is_until_the_user_says_so(honest: World) -> None:
    unsure = honest.verified(materials=False).report
    assert unsure.believed is not None
    assert (unsure.believed.round, unsure.believed.quorum, unsure.believed.pinned) == (honest.step.round.id, 3, False)
    sure = honest.verified(materials=False, round=honest.step.round.id).report
    assert sure.believed is not None
    assert (sure.believed.pinned, sure.code) == (True, OK)
    assert honest.verified(materials=False, round=digest("mine")).report.code == FAILED


def test_the_records_of_another_round_do_not_fit_the_model(pulled: World) -> None:
    report = pulled.told(a_step()).verified(materials=False).report
    assert report.code == FAILED
    assert [check.state for check in report.checks[:2]] == [State.FAILED, State.PASSED]


def test_a_result_that_names_the_manifest_of_something_else_is_wrong(pulled: World) -> None:
    one = pulled.step
    root = one.outcome.record.root
    said = an_outcome(one.round, one.contributions, (11, 12, 13), root=root, manifest=digest("something else"))
    report = pulled.told(Step(one.round, (said,), one.contributions)).verified(materials=False).report
    assert report.code == FAILED
    (check,) = [check for check in report.checks if check.level is Level.AUTHORITY]
    assert [finding.what for finding in check.findings] == [What.MANIFEST_WRONG]


def test_a_model_that_a_revision_replaced_is_said_to_be_old(tmp_path: Path) -> None:
    made = rounds.make(tmp_path / "round", experts=("a", "b", "c"))
    newer = rounds.revised(made, tmp_path / "revised")
    assert newer.verified(materials=False).report.code == OK
    report = made.pulled(tmp_path / "old").told(*newer.steps).verified(materials=False).report
    assert What.SUPERSEDED in [finding.what for finding in report.findings]
    assert report.code == FAILED
