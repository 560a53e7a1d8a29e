"""Fault proofs: a true one convinces whoever merges the one tensor again, a false one convinces nobody."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.verify import fault_file
from node.verify.fault import FAULT_FILE, MAX_FAULT_BYTES, MAX_TENSORS_EACH
from node.verify.merge_fault import MAX_INPUTS, Input, MergeFault
from node.verify.report import FAILED, OK, UNREACHABLE, Report, What
from node.verify.verifying import Means, verify_proof
from protocol.blobs.manifest import TensorEntry
from protocol.errors import (
    ForgedError,
    MalformedError,
    PeerError,
    ProtocolError,
    RuleError,
    TooLargeError,
    TooNewError,
    UsageError,
)
from protocol.field import field
from protocol.proofs import TensorProof
from tests.node.verify import rounds
from tests.node.verify.accused import HONEST_PROOF, PROOF, STEP
from tests.node.verify.conftest import LIE
from tests.node.verify.rounds import World
from tests.node.verify.steps import a_round, an_offer, an_outcome, in_order
from tests.protocol.records.examples import digest

GOOD = PROOF.encode()


def judged(proof: MergeFault | bytes, folder: Path, world: World | None = None) -> Report:
    file = folder / FAULT_FILE
    file.write_bytes(proof if isinstance(proof, bytes) else proof.encode())
    return asyncio.run(verify_proof(file, Means(lambda: 0.0, world.remerging() if world else None)))


@pytest.fixture(scope="module")
def proven(cheated: World) -> MergeFault:
    proof = cheated.verified(recompute=True).proof
    assert isinstance(proof, MergeFault)
    return proof


# -- on a real round -----------------------------------------------------------------------------------------------


@pytest.mark.must("FLT-9")
def test_a_proof_of_a_real_lie_is_confirmed_by_merging_one_tensor(
    proven: MergeFault, cheated: World, tmp_path: Path
) -> None:
    report = judged(proven, tmp_path, cheated)
    assert (report.code, report.findings) == (OK, ())
    assert LIE in report.checks[0].summary
    assert "signed the root" in report.checks[0].summary
    assert len(proven.encode()) < 16_384


@pytest.mark.must("FLT-9")
def test_without_the_tensors_a_proof_is_not_settled(proven: MergeFault, tmp_path: Path) -> None:
    report = judged(proven, tmp_path)
    assert (report.code, [finding.what for finding in report.findings]) == (UNREACHABLE, [What.PROOF_UNSETTLED])


@pytest.mark.must("FLT-9")
def test_with_other_tensors_than_the_rounds_a_proof_is_not_settled(
    proven: MergeFault, honest: World, tmp_path: Path
) -> None:
    report = judged(proven, tmp_path, honest)
    assert (report.code, [finding.what for finding in report.findings]) == (UNREACHABLE, [What.PROOF_UNSETTLED])


@pytest.mark.must("FLT-9")
def test_a_false_proof_against_honest_stewards_is_refused(honest: World, tmp_path: Path) -> None:
    """Everything in it is genuine but the claim."""
    from node.verify.accusing import proofs_of

    one, names = honest.step, frozenset({LIE})
    (published,) = proofs_of(honest.manifest, names)
    false = MergeFault(
        one.round, one.outcome, published, digest("a lie"), (), tuple(Input(offer, ()) for offer in one.contributions)
    )
    false.check()
    report = judged(false, tmp_path, honest)
    assert (report.code, [finding.what for finding in report.findings]) == (FAILED, [What.PROOF_FALSE])
    assert "the stewards are right" in report.findings[0].advice


@pytest.mark.must("FLT-9")
def test_a_proof_that_expects_another_leaf_than_merging_gives_is_refused(
    proven: MergeFault, cheated: World, tmp_path: Path
) -> None:
    for expected in (digest("made up"), None):
        report = judged(replace(proven, expected=expected), tmp_path, cheated)
        assert (report.code, [finding.what for finding in report.findings]) == (FAILED, [What.PROOF_FALSE])
        assert "neither as published nor as the proof expects" in report.findings[0].text


@pytest.mark.must("FLT-9")
def test_a_proof_of_a_tensor_that_no_merge_gives_is_confirmed(tmp_path: Path) -> None:
    from tests.node.verify.test_integrity import rewrite

    extra = ("BF16", (2,), b"\x00\x01\x02\x03")
    world = rounds.make(
        tmp_path / "round", cheat=lambda model: rewrite(model, lambda tensors: tensors.update(backdoor=extra))
    )
    proof = world.verified(recompute=True).proof
    assert isinstance(proof, MergeFault)
    assert proof.expected is None
    assert fault_file.parse(proof.encode()) == proof
    assert judged(proof, tmp_path, world).code == OK


def test_a_file_that_is_no_proof_is_told_from_one_that_is_not_there(tmp_path: Path) -> None:
    report = judged(b"rubbish", tmp_path)
    assert (report.code, report.findings[0].what) == (FAILED, What.PROOF_BROKEN)
    with pytest.raises(UsageError, match="there is no file"):
        asyncio.run(verify_proof(tmp_path / "nothing.umm", Means(lambda: 0.0)))


# -- the format ----------------------------------------------------------------------------------------------------


@pytest.mark.must("FLT-1", "FLT-3")
@pytest.mark.parametrize("proof", [PROOF, replace(PROOF, expected=None), HONEST_PROOF], ids=["leaf", "none", "other"])
def test_a_proof_is_read_as_it_was_written(proof: MergeFault) -> None:
    read = fault_file.parse(proof.encode())
    assert read == proof
    assert read.encode() == proof.encode()
    read.check()


def changed(at: int, new: bytes) -> bytes:
    return GOOD[:at] + new + GOOD[at + len(new) :]


HEAD = len(field(b"umm/fault"))
ENVELOPE = STEP.round.envelope.encode()

BROKEN: dict[str, tuple[bytes, type[PeerError], str]] = {
    "empty": (b"", MalformedError, "does not begin with umm/fault"),
    "another domain": (field(b"umm/faults") + GOOD[HEAD:], MalformedError, "does not begin with umm/fault"),
    "version 0": (changed(HEAD, b"\x00"), MalformedError, "version 0, which never was"),
    "version 2": (changed(HEAD, b"\x02"), TooNewError, "version 2; this program knows 1"),
    "kind 0": (changed(HEAD + 1, b"\x00"), MalformedError, "the unknown kind 0"),
    "kind 3": (changed(HEAD + 1, b"\x03"), TooNewError, "the kind 3, which this program does not know"),
    "another kind": (changed(HEAD + 1, b"\x02"), MalformedError, "a round where a contribution is expected"),
    "nothing behind the head": (GOOD[: HEAD + 2], MalformedError, "ends within a field"),
    "a record of four gigabytes": (changed(HEAD + 2, b"\xff\xff\xff\xff"), TooLargeError, "record of 4294967295 bytes"),
    "a record that is no envelope": (
        GOOD[: HEAD + 2] + field(b"{}") + GOOD[HEAD + 6 + len(ENVELOPE) :],
        MalformedError,
        "exactly the keys",
    ),
    "a record in another spelling": (
        GOOD[: HEAD + 2] + field(ENVELOPE + b" ") + GOOD[HEAD + 6 + len(ENVELOPE) :],
        MalformedError,
        "one spelling",
    ),
    "a result in place of the round": (
        GOOD[: HEAD + 2] + field(STEP.outcome.envelope.encode()) + GOOD[HEAD + 6 + len(ENVELOPE) :],
        MalformedError,
        "a result where a round is expected",
    ),
    "the last byte cut off": (GOOD[:-1], MalformedError, "ends within a field"),
    "a byte behind": (GOOD + b"\x00", MalformedError, "1 bytes after its end"),
    "too many bytes": (GOOD + bytes(MAX_FAULT_BYTES), TooLargeError, "at most 16777216"),
}


@pytest.mark.must("FLT-1", "FLT-2", "FLT-3")
@pytest.mark.parametrize("name", BROKEN)
def test_broken_bytes_are_refused_with_their_own_error(name: str) -> None:
    data, kind, message = BROKEN[name]
    with pytest.raises(kind) as refused:
        fault_file.parse(data)
    assert message in str(refused.value)


@pytest.mark.must("FLT-1")
def test_a_count_is_checked_before_anything_is_read_for_it() -> None:
    counted = GOOD.rfind(field(STEP.contributions[0].envelope.encode())) - 4
    for count, message in ((MAX_INPUTS + 1, "at most 4096"), (MAX_INPUTS, "more than its bytes can hold")):
        with pytest.raises(MalformedError, match=message):
            fault_file.parse(changed(counted, count.to_bytes(4, "little")))


def test_more_than_the_limits_is_not_made_either() -> None:
    with pytest.raises(TooLargeError, match="tensors of a model"):
        replace(PROOF, base=PROOF.base * (MAX_TENSORS_EACH + 1))
    with pytest.raises(TooLargeError, match="contributions"):
        replace(PROOF, inputs=PROOF.inputs * MAX_INPUTS)
    with pytest.raises(MalformedError, match="expected leaf of 3 bytes"):
        replace(PROOF, expected=b"abc")


@settings(max_examples=80, deadline=None)
@given(st.integers(0, len(GOOD) - 1), st.integers(0, 255))
def test_any_change_of_a_byte_is_refused_or_written_the_same(at: int, new: int) -> None:
    data = changed(at, bytes([new]))
    try:
        found = fault_file.parse(data)
    except ProtocolError:
        return
    assert found.encode() == data


# -- what it shows -------------------------------------------------------------------------------------------------


def weak() -> dict[str, Any]:
    """One signature of four."""
    round_ = a_round(stewards=(11, 12, 13, 14), base=STEP.round.record.base)
    return {"round": round_, "outcome": an_outcome(round_, [], [11], root=STEP.outcome.record.root), "inputs": ()}


def of_another_round() -> dict[str, Any]:
    other = an_offer(a_round(title="elsewhere"), 21)
    return {"inputs": (Input(other, ()),)}


def elsewhere(proof: TensorProof) -> TensorProof:
    return replace(proof, blob_id=digest("other values"))


CHECKS: dict[str, tuple[Callable[[], dict[str, Any]], type[PeerError], str]] = {
    "no quorum signed": (weak, RuleError, "it takes 3 of 4"),
    "the result of another round": (lambda: {"round": a_round(title="other")}, RuleError, "is of round"),
    "a tensor that is not under the root": (
        lambda: {"published": elsewhere(PROOF.published)},
        ForgedError,
        "does not lead from tensor",
    ),
    "what was published is expected": (
        lambda: {"expected": PROOF.published_leaf},
        ForgedError,
        "that is no fault",
    ),
    "a contribution left out": (lambda: {"inputs": PROOF.inputs[1:]}, ForgedError, "1 contributions, which are not"),
    "contributions out of order": (lambda: {"inputs": PROOF.inputs[::-1]}, MalformedError, "ascending order"),
    "a contribution of another round": (of_another_round, ForgedError, "of another round"),
    "a base tensor that is not the base's": (
        lambda: {"base": (elsewhere(PROOF.base[0]),)},
        ForgedError,
        "does not lead",
    ),
    "an input tensor that is not the contribution's": (
        lambda: {
            "inputs": (replace(PROOF.inputs[0], tensors=(elsewhere(PROOF.inputs[0].tensors[0]),)), *PROOF.inputs[1:])
        },
        ForgedError,
        "does not lead",
    ),
}


@pytest.mark.must("FLT-4", "FLT-5", "FLT-6", "FLT-7")
@pytest.mark.parametrize("name", CHECKS)
def test_a_proof_that_does_not_show_what_it_is_about_is_refused_offline(name: str, tmp_path: Path) -> None:
    made, kind, message = CHECKS[name]
    proof = replace(PROOF, **made())
    with pytest.raises(kind) as refused:
        proof.check()
    assert message in str(refused.value)
    assert judged(proof, tmp_path).findings[0].what is What.PROOF_BROKEN


@pytest.mark.must("FLT-8")
def test_a_round_that_allows_differences_has_no_faults_of_bits() -> None:
    round_ = a_round(base=STEP.round.record.base, tolerance="0.01")
    outcome = an_outcome(round_, in_order([]), [11], root=STEP.outcome.record.root)
    with pytest.raises(RuleError, match=r"allows differences of 0\.01"):
        replace(PROOF, round=round_, outcome=outcome, inputs=()).check()


@pytest.mark.must("FLT-7")
def test_an_input_without_tensors_is_allowed() -> None:
    replace(PROOF, base=(), inputs=tuple(Input(one.offer, ()) for one in PROOF.inputs)).check()


def test_a_tensor_entry_and_its_proof_have_one_leaf() -> None:
    from node.verify.accusing import leaf_of

    one = PROOF.published
    assert leaf_of(TensorEntry(one.name, one.dtype, one.shape, one.blob_id)) == PROOF.published_leaf
