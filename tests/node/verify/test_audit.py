"""Levels 3 to 5 on real rounds: an honest merge comes out the same, a lie does not, and what is missing is said."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from node.lineage import Lineage, Step
from node.verify.audit import choose
from node.verify.materials import FolderMaterials, check_delivery, needed
from node.verify.merge_fault import MergeFault
from node.verify.remerge import CannotMergeError
from node.verify.report import FAILED, OK, UNREACHABLE, Finding, Gravity, Level, Report, State, What
from protocol.blobs.folder import manifest_of_folder
from protocol.blobs.kinds import Adapter
from protocol.blobs.manifest import FileEntry, Manifest, TensorEntry
from protocol.errors import ForgedError, MalformedError
from tests.node.verify import rounds
from tests.node.verify.conftest import LIE
from tests.node.verify.rounds import World
from tests.node.verify.steps import an_offer, an_outcome, in_order
from tests.protocol.records.examples import digest
from tests.umm import checkpoints


def state(report: Report, level: Level) -> State:
    (check,) = [check for check in report.checks if check.level is level]
    return check.state


def found(report: Report, what: What) -> list[Finding]:
    return [finding for finding in report.findings if finding.what is what]


def seed_that_draws(world: World, tensor: str, *, hit: bool, count: int = 3) -> int:
    """A seed whose audit looks at a tensor, or does not."""
    return next(seed for seed in range(1_000) if (tensor in choose(world.manifest, count, seed).tensors) is hit)


def test_an_honest_model_passes_every_level(honest: World) -> None:
    verified = honest.verified(audit=3, recompute=True, lineage=True)
    assert [check.state for check in verified.report.checks] == [State.PASSED] * 5
    assert (verified.report.code, verified.proof) == (OK, None)


def test_an_audit_says_what_it_looked_at_and_what_that_is_worth(honest: World) -> None:
    sample = honest.verified(audit=3, seed=5).report.sample
    assert sample is not None
    assert (len(sample.tensors), sample.of) == (3, 9)
    assert [(chance.share, chance.touched) for chance in sample.chances] == [(0.01, 1), (0.05, 1), (0.1, 1), (0.5, 5)]
    assert sample.chances[0].slips_through == pytest.approx(6 / 9)


def test_integrity_and_authority_cannot_see_a_lie_of_the_only_steward(cheated: World) -> None:
    assert cheated.verified(materials=False).report.code == OK


def test_an_audit_that_draws_the_lie_finds_it_and_proves_it(cheated: World) -> None:
    verified = cheated.verified(audit=3, seed=seed_that_draws(cheated, LIE, hit=True))
    assert (verified.report.code, state(verified.report, Level.AUDIT)) == (FAILED, State.FAILED)
    assert [finding.subject for finding in found(verified.report, What.MERGE_DIFFERS)] == [LIE]
    assert verified.proof is not None
    assert verified.proof.tensor == LIE
    verified.proof.check()


def test_an_audit_that_draws_others_passes_and_says_how_likely_that_was(cheated: World) -> None:
    verified = cheated.verified(audit=3, seed=seed_that_draws(cheated, LIE, hit=False))
    assert (verified.report.code, verified.proof) == (OK, None)
    assert verified.report.sample is not None
    assert verified.report.sample.chances[0].slips_through > 0.6


def test_recomputing_finds_every_lie(cheated: World) -> None:
    verified = cheated.verified(recompute=True)
    assert (verified.report.code, state(verified.report, Level.RECOMPUTE)) == (FAILED, State.FAILED)
    assert [finding.subject for finding in found(verified.report, What.MERGE_DIFFERS)] == [LIE]


def test_an_audit_finds_a_lie_in_the_config_whatever_it_draws(tmp_path: Path) -> None:
    world = rounds.make(tmp_path / "round", cheat=lambda model: rounds.configure(model, rope_theta=1))
    verified = world.verified(audit=1)
    assert state(verified.report, Level.AUDIT) is State.FAILED
    assert found(verified.report, What.FILE_DIFFERS)[0].subject == "config.json"
    assert verified.proof is None


def test_a_tensor_that_no_merge_gives_is_found_and_proven(tmp_path: Path) -> None:
    from tests.node.verify.test_integrity import rewrite

    extra = ("BF16", (2,), b"\x00\x01\x02\x03")
    world = rounds.make(
        tmp_path / "round", cheat=lambda model: rewrite(model, lambda tensors: tensors.update(backdoor=extra))
    )
    verified = world.verified(recompute=True)
    assert [finding.subject for finding in found(verified.report, What.MERGE_UNEXPECTED)] == ["backdoor"]
    assert isinstance(verified.proof, MergeFault)
    assert verified.proof.expected is None


def test_an_audit_that_draws_only_what_no_merge_gives_finds_it(tmp_path: Path) -> None:
    from tests.node.verify.test_integrity import rewrite

    extra = ("BF16", (2,), b"\x00\x01\x02\x03")
    world = rounds.make(
        tmp_path / "round", cheat=lambda model: rewrite(model, lambda tensors: tensors.update(backdoor=extra))
    )
    verified = world.verified(audit=1, seed=seed_that_draws(world, "backdoor", hit=True, count=1))
    assert [finding.what for finding in verified.report.findings if finding.gravity is Gravity.FAULT] == [
        What.MERGE_UNEXPECTED
    ]


def test_a_roster_too_long_for_a_small_file_is_a_fault_without_a_proof(
    cheated: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.verify.merge_fault.MAX_INPUTS", 1)
    verified = cheated.verified(recompute=True)
    assert (verified.report.code, verified.proof) == (FAILED, None)


def test_a_roster_that_the_engine_refuses_leaves_the_question_open(
    honest: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: object) -> None:
        raise CannotMergeError("the models do not line up")

    monkeypatch.setattr(rounds.LocalEngine, "merge", refuse)
    report = honest.verified(audit=1).report
    assert (report.code, len(found(report, What.MERGE_FAILED))) == (UNREACHABLE, 1)


def test_a_tensor_that_was_left_out_is_found_by_recomputing(tmp_path: Path) -> None:
    from tests.node.verify.test_integrity import rewrite

    world = rounds.make(
        tmp_path / "round", cheat=lambda model: rewrite(model, lambda tensors: tensors.pop("lm_head.weight"))
    )
    verified = world.verified(recompute=True)
    assert [finding.subject for finding in found(verified.report, What.MERGE_INCOMPLETE)] == ["lm_head.weight"]
    assert verified.proof is None


def test_a_folder_that_is_not_what_was_published_is_not_merged_again(pulled: World) -> None:
    rounds.flip(pulled.model, LIE)
    report = pulled.verified(audit=3, recompute=True).report
    assert [state(report, level) for level in (Level.AUDIT, Level.RECOMPUTE)] == [State.SKIPPED] * 2
    assert report.code == FAILED


# -- materials ---------------------------------------------------------------------------------------------------


def test_without_materials_a_merge_is_open_and_not_passed(honest: World) -> None:
    report = honest.verified(materials=False, audit=3, recompute=True).report
    assert (report.code, state(report, Level.AUDIT), state(report, Level.RECOMPUTE)) == (
        UNREACHABLE,
        State.OPEN,
        State.OPEN,
    )
    assert "--base" in found(report, What.MATERIAL_MISSING)[0].advice


def test_a_contribution_that_is_not_there_is_named(honest: World, tmp_path: Path) -> None:
    contributions = shutil.copytree(honest.contributions, tmp_path / "contributions")
    gone = honest.step.contributions[0].id.hex()
    shutil.rmtree(contributions / gone)
    report = replace(honest, contributions=contributions).verified(audit=3).report
    assert report.code == UNREACHABLE
    assert gone in found(report, What.MATERIAL_MISSING)[0].text


def test_another_base_is_not_merged_and_accuses_nobody(honest: World, tmp_path: Path) -> None:
    other = rounds.expert(tmp_path / "other", "other")
    verified = replace(honest, base=other).verified(recompute=True)
    assert (verified.report.code, verified.proof) == (UNREACHABLE, None)
    assert "is not the base" in found(verified.report, What.MATERIAL_WRONG)[0].text


@pytest.mark.parametrize("stated", [False, True], ids=["hashed whole", "by its manifest"])
def test_a_contribution_with_one_wrong_bit_is_not_merged_and_accuses_nobody(
    stated: bool, honest: World, tmp_path: Path
) -> None:
    contributions = shutil.copytree(honest.contributions, tmp_path / "contributions")
    folder = contributions / honest.step.contributions[0].id.hex()
    if stated:
        (folder / "manifest.umm").write_bytes(manifest_of_folder(folder).encode())
    rounds.flip(folder, LIE)
    verified = replace(honest, contributions=contributions).verified(recompute=True)
    assert (verified.report.code, verified.proof) == (UNREACHABLE, None)
    assert found(verified.report, What.MATERIAL_WRONG)


def test_a_stated_manifest_spares_reading_the_whole_folder(honest: World, tmp_path: Path) -> None:
    base = shutil.copytree(honest.base, tmp_path / "base")
    (base / "manifest.umm").write_bytes(manifest_of_folder(base).encode())
    read: list[Path] = []
    materials = FolderMaterials(base, honest.contributions, read.append)
    import asyncio

    asyncio.run(materials.manifest(honest.step.round))
    assert read == []
    asyncio.run(materials.manifest(honest.step.contributions[0]))
    assert len(read) == 1


def test_only_the_tensors_that_were_asked_for_are_read(honest: World, tmp_path: Path) -> None:
    folder = shutil.copytree(honest.base, tmp_path / "base")
    manifest = manifest_of_folder(folder)
    rounds.flip(folder, LIE)
    other = "model.layers.0.mlp.up_proj.weight"
    assert check_delivery(folder, manifest, frozenset({other})) == 16 * 8 * 2 + manifest.files[0].size
    with pytest.raises(ForgedError, match=LIE):
        check_delivery(folder, manifest, frozenset({LIE}))


def test_a_folder_with_other_headers_or_files_is_refused(honest: World, tmp_path: Path) -> None:
    manifest = manifest_of_folder(honest.base)
    small = checkpoints.plain(tmp_path / "small", "base", layers=1)
    with pytest.raises(ForgedError, match="lacks the tensor"):
        check_delivery(small, manifest, frozenset())
    large = checkpoints.plain(tmp_path / "large", "base", layers=3)
    with pytest.raises(ForgedError, match="not in this form"):
        check_delivery(large, manifest, frozenset())
    configured = shutil.copytree(honest.base, tmp_path / "configured")
    rounds.configure(configured, more=1)
    with pytest.raises(ForgedError, match="its manifest says"):
        check_delivery(configured, manifest, frozenset())


def test_outside_of_layers_every_tensor_may_stand_for_another(honest: World) -> None:
    manifest = honest.manifest
    outside = {"model.embed_tokens.weight", "model.norm.weight", "lm_head.weight"}
    assert needed(manifest, frozenset({LIE})) == {LIE}
    assert needed(manifest, frozenset({"lm_head.weight"})) == outside
    assert needed(manifest, frozenset({LIE, "model.norm.weight"})) == {LIE, *outside}
    assert needed(manifest, frozenset({"model.layers.9.x"})) == frozenset()


def test_of_an_adapter_all_tensors_are_needed() -> None:
    files = (FileEntry("adapter_config.json", 2, digest("c")),)
    names = ("base_model.model.x.lora_A.weight", "base_model.model.x.lora_B.weight")
    manifest = Manifest(Adapter(digest("base")), files, tuple(TensorEntry(n, "F32", (1,), digest("v")) for n in names))
    assert needed(manifest, frozenset({"anything"})) == set(names)


# -- what cannot be compared -------------------------------------------------------------------------------------


def test_a_round_with_a_tolerance_is_said_to_be_undecided_and_accuses_nobody(tmp_path: Path) -> None:
    world = rounds.make(tmp_path / "round", tolerance="0.001", cheat=lambda model: rounds.flip(model, LIE))
    verified = world.verified(recompute=True)
    assert (verified.report.code, verified.proof) == (UNREACHABLE, None)
    missing, note = found(verified.report, What.TOLERANCE)
    assert "not exact: it allows differences of 0.001" in missing.text
    assert note.gravity is Gravity.NOTE


def test_distributions_in_the_roster_are_said_to_be_unrepeatable(pulled: World) -> None:
    from protocol.records import Kind
    from tests.node.verify.steps import a_round

    one = pulled.step
    round_ = a_round(
        base=one.round.record.base,
        kinds=(Kind.CHECKPOINT, Kind.DISTRIBUTIONS),
        prompts=digest("prompts"),
    )
    offers = in_order([an_offer(round_, 21, kind=Kind.DISTRIBUTIONS, base=None, prompts=digest("prompts"))])
    said = one.outcome.record
    outcome = an_outcome(round_, offers, [11], root=said.root, manifest=said.manifest)
    report = pulled.told(Step(round_, (outcome,), offers)).verified(audit=3).report
    assert (report.code, found(report, What.NOT_REPEATABLE)[0].gravity) == (UNREACHABLE, Gravity.MISSING)


def test_a_recipe_that_is_a_blob_is_missing_offline(tmp_path: Path) -> None:
    from protocol.records import Recipe

    world = rounds.make(tmp_path / "round")
    recipe = Recipe(blob=world.step.round.record.recipe.digest)
    said, one = world.step.outcome.record, world.step
    outcome = an_outcome(one.round, one.contributions, [11], root=said.root, manifest=said.manifest, recipe=recipe)
    report = world.told(Step(one.round, (outcome,), one.contributions)).verified(audit=2).report
    assert "is the blob" in found(report, What.MATERIAL_MISSING)[0].text


# -- lineage -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A round on the model of a round."""
    where = tmp_path_factory.mktemp("grown")
    first = rounds.make(where / "first")
    second = rounds.make(where / "second", experts=("c", "d"), under=first)
    for offer in first.step.contributions:
        shutil.copytree(first.contributions / offer.id.hex(), second.contributions / offer.id.hex())
    bases = where / "bases"
    for base in (first.base, second.base):
        shutil.copytree(base, bases / manifest_of_folder(base).root.hex())
    return replace(second, base=bases)


def test_a_model_of_two_rounds_is_followed_to_its_first_base(grown: World) -> None:
    report = grown.verified(lineage=True, recompute=True).report
    assert (report.code, len(grown.steps)) == (OK, 2)
    assert state(report, Level.LINEAGE) is State.PASSED


def test_without_materials_only_the_records_of_the_chain_are_checked_and_that_is_said(grown: World) -> None:
    report = grown.verified(materials=False, lineage=True).report
    assert report.code == OK
    assert "were not looked at" in found(report, What.MATERIAL_MISSING)[0].text


def test_a_cut_lineage_leaves_the_question_open(grown: World, tmp_path: Path) -> None:
    report = grown.pulled(tmp_path / "out").told(grown.steps[0]).verified(materials=False, lineage=True).report
    assert (report.code, state(report, Level.LINEAGE)) == (UNREACHABLE, State.OPEN)
    assert grown.steps[1].outcome.id.hex() in found(report, What.LINEAGE_CUT)[0].text


def test_a_round_without_a_quorum_further_up_is_found(grown: World, tmp_path: Path) -> None:
    from tests.node.verify.steps import a_round

    new, old = grown.steps
    four = a_round(stewards=(11, 12, 13, 14), base=old.round.record.base)
    offers = in_order([an_offer(four, 21)])
    said = old.outcome.record
    weak = an_outcome(four, offers, [11], root=said.root, manifest=said.manifest)
    base = replace(new.round.record.base, result=weak.id)
    round_ = a_round(base=base)
    top = in_order([an_offer(round_, 21)])
    record = new.outcome.record
    outcome = an_outcome(round_, top, [11], root=record.root, manifest=record.manifest)
    world = grown.pulled(tmp_path / "out").told(Step(round_, (outcome,), top), Step(four, (weak,), offers))
    report = world.verified(materials=False, lineage=True).report
    assert (state(report, Level.AUTHORITY), state(report, Level.LINEAGE)) == (State.PASSED, State.FAILED)
    assert "which made the base" in found(report, What.QUORUM_MISSING)[0].text


def test_a_lie_in_the_round_below_is_found_by_recomputing_the_chain(tmp_path: Path) -> None:
    first = rounds.make(tmp_path / "first", cheat=lambda model: rounds.flip(model, LIE))
    second = rounds.make(tmp_path / "second", experts=("c",), under=first)
    for offer in first.step.contributions:
        shutil.copytree(first.contributions / offer.id.hex(), second.contributions / offer.id.hex())
    bases = tmp_path / "bases"
    for base in (first.base, second.base):
        shutil.copytree(base, bases / manifest_of_folder(base).root.hex())
    report = replace(second, base=bases).verified(lineage=True, recompute=True).report
    assert (state(report, Level.RECOMPUTE), state(report, Level.LINEAGE)) == (State.PASSED, State.FAILED)
    assert [finding.subject for finding in found(report, What.MERGE_DIFFERS)] == [LIE]


def test_a_lineage_that_contradicts_itself_is_no_lineage(grown: World) -> None:
    with pytest.raises((ForgedError, MalformedError)):
        Lineage((grown.steps[1], grown.steps[0]))
