"""The report: what it says to programs, to people, and to shells."""

import json
from dataclasses import replace

import pytest

from node.verify.report import (
    FAILED,
    MAX_FINDINGS,
    OK,
    UNREACHABLE,
    Check,
    Finding,
    Gravity,
    Level,
    Report,
    State,
    What,
    shortened,
)
from node.verify.wording import text, verdict
from tests.node.verify.conftest import LIE
from tests.node.verify.rounds import World

FAULT = Finding(What.ROOT_DIFFERS, Gravity.FAULT, "it differs", "pull again")
MISSING = Finding(What.MATERIAL_MISSING, Gravity.MISSING, "it is not here", "bring it")
WARNING = Finding(What.NOT_COVERED, Gravity.WARNING, "a stranger", "remove it")
NOTE = Finding(What.NOT_COVERED, Gravity.NOTE, "a note")


@pytest.mark.parametrize(
    ("findings", "state"),
    [
        ([], State.PASSED),
        ([NOTE, WARNING], State.PASSED),
        ([MISSING, WARNING], State.OPEN),
        ([MISSING, FAULT], State.FAILED),
    ],
)
def test_a_check_is_as_good_as_its_worst_finding(findings: list[Finding], state: State) -> None:
    assert Check.of(Level.INTEGRITY, "looked", findings).state is state


@pytest.mark.parametrize(
    ("states", "code"),
    [
        ([State.PASSED, State.SKIPPED], OK),
        ([State.PASSED, State.OPEN], UNREACHABLE),
        ([State.OPEN, State.FAILED, State.PASSED], FAILED),
        ([], OK),
    ],
)
def test_the_exit_code_is_that_of_the_worst_check(states: list[State], code: int) -> None:
    assert Report("x", None, tuple(Check(Level.AUDIT, state, "") for state in states)).code == code


def test_a_folder_of_another_model_does_not_flood_the_report() -> None:
    many = tuple(replace(FAULT, subject=str(i)) for i in range(1_000))
    found = shortened((*many, NOTE))
    assert len(found) == MAX_FINDINGS + 2
    assert found[-1].text == f"… and {1_000 - MAX_FINDINGS} more of this kind (root-differs)"
    assert Check.of(Level.INTEGRITY, "", many).state is State.FAILED


KEYS = {"version", "subject", "root", "code", "checks", "believed", "sample", "fault_proof"}


def test_the_document_has_its_keys_whatever_was_asked(honest: World) -> None:
    for asked in ({}, {"audit": 2}):
        document = json.loads(json.dumps(honest.verified(**asked).report.document))  # type: ignore[arg-type]
        assert document.keys() == KEYS
        assert [check["level"] for check in document["checks"]] == [
            "integrity",
            "authority",
            "audit",
            "recompute",
            "lineage",
        ]
        assert document["checks"][0].keys() == {"level", "state", "summary", "findings", "seconds", "bytes_read"}
        assert document["believed"].keys() == {"round", "title", "convener", "stewards", "quorum", "pinned"}
        assert (document["version"], document["code"]) == (1, 0)


def test_the_words_for_programs_are_those_that_are_documented() -> None:
    assert [state.value for state in State] == ["passed", "failed", "open", "skipped"]
    assert [gravity.value for gravity in Gravity] == ["fault", "missing", "warning", "note"]
    assert len({what.value for what in What}) == len(What)


def test_the_text_says_what_was_not_checked_and_whose_word_it_is(honest: World) -> None:
    said = text(honest.verified(materials=False).report)
    assert "not checked" in said
    assert "--audit K" in said
    assert f"round {honest.step.round.id.hex()}" in said
    assert "Nobody checked that this is the round you mean" in said
    assert said.endswith("Integrity and authority: everything that was checked holds.")
    pinned = text(honest.verified(materials=False, round=honest.step.round.id).report)
    assert "The round is the one that you named." in pinned


def test_the_text_of_an_audit_says_how_likely_a_cheat_slips_through(cheated: World) -> None:
    report = replace(cheated.verified(audit=9).report, fault_proof="fault.umm")
    said = text(report)
    assert "An audit of 9 of 9 tensors" in said
    assert f"! the tensor '{LIE}' is not what merging the round's contributions gives" in said
    assert "→ do not use this model" in said
    assert "'fault.umm'" in said
    assert verdict(report) == "Audit: FAILED."


def test_what_could_not_be_decided_is_not_called_passed(honest: World) -> None:
    assert verdict(honest.verified(materials=False, audit=1).report) == "Audit: could not be decided."
