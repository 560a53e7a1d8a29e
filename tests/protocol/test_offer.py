"""A record and the manifest that it names: of one kind, one base, one size, one root."""

from dataclasses import replace

import pytest

from protocol.blobs.kinds import About, Adapter, Checkpoint, Delta, Distributions
from protocol.blobs.manifest import FileEntry, Manifest, TensorEntry
from protocol.errors import ForgedError, RuleError
from protocol.offer import check_manifest, size_of
from protocol.records import Contribution, Kind, Result, Revision, Round
from tests.protocol.records.examples import BASE, OFFER, ROUND, digest, result, revision

TENSORS = tuple(TensorEntry(name, "F32", (2,), digest("values")) for name in ("a", "tied"))
ABOUTS: dict[Kind, About] = {
    Kind.ADAPTER: Adapter(BASE.root),
    Kind.CHECKPOINT: Checkpoint(),
    Kind.DELTA: Delta(BASE.root),
    Kind.DISTRIBUTIONS: Distributions(digest("prompts"), 8),
}
OTHER = digest("something else")


def manifest(about: About) -> Manifest:
    files = tuple(FileEntry(name, 100, digest(name)) for name in sorted(about.REQUIRED))
    return Manifest(about, files, TENSORS)


def contribution(kind: Kind, listed: Manifest) -> Contribution:
    distributions = kind is Kind.DISTRIBUTIONS
    return replace(
        OFFER.record,
        kind=kind,
        manifest=listed.id,
        root=listed.root,
        size=len(listed.encode()) + sum(file.size for file in listed.files) + 8,
        base=None if distributions else BASE.root,
        prompts=digest("prompts") if distributions else None,
        norm=None,
    )


def outcomes(listed: Manifest) -> list[Result | Revision | Round]:
    """Everything that has to be a checkpoint, with this manifest."""
    return [
        replace(result(11, 11).record, manifest=listed.id, root=listed.root),
        replace(revision(11, 11).record, manifest=listed.id, root=listed.root),
        replace(ROUND, base=replace(BASE, manifest=listed.id, root=listed.root)),
    ]


@pytest.mark.must("BLB-27", "BLB-28")
@pytest.mark.parametrize("kind", Kind)
def test_a_contribution_with_its_own_manifest_is_accepted_and_a_blob_counts_once(kind: Kind) -> None:
    listed = manifest(ABOUTS[kind])
    check_manifest(contribution(kind, listed), listed)
    assert size_of(listed) < len(listed.encode()) + listed.total_bytes


@pytest.mark.must("BLB-28")
@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("other", Kind)
def test_a_manifest_of_another_kind_under_the_same_root_is_refused(kind: Kind, other: Kind) -> None:
    listed = manifest(ABOUTS[other])
    if kind is not other:
        with pytest.raises(RuleError, match=f"needs the manifest of a {kind.value}, not of a {other.value}") as refused:
            check_manifest(contribution(kind, listed), listed)
        assert refused.value.rule == "manifest"


@pytest.mark.must("BLB-28")
@pytest.mark.parametrize("about", [Adapter(OTHER), Delta(OTHER), Distributions(OTHER, 8)], ids=lambda a: str(a.NAME))
def test_a_manifest_on_another_base_or_other_prompts_is_refused(about: About) -> None:
    listed = manifest(about)
    with pytest.raises(RuleError, match=rf"{OTHER.hex()}, another than the contribution"):
        check_manifest(contribution(Kind(about.NAME), listed), listed)


@pytest.mark.must("BLB-27")
def test_another_manifest_root_or_size_than_the_contribution_says_is_refused() -> None:
    listed = manifest(ABOUTS[Kind.DELTA])
    said = contribution(Kind.DELTA, listed)
    for changed, reason in (
        (replace(said, manifest=OTHER), f"the manifest {listed.id.hex()} in place of"),
        (replace(said, root=OTHER), f"the root {listed.root.hex()} in place of"),
        (replace(said, size=said.size + 1), f"lists {said.size} bytes with its own; the contribution says"),
    ):
        with pytest.raises(ForgedError, match=reason):
            check_manifest(changed, listed)


@pytest.mark.must("BLB-27", "BLB-29")
def test_a_result_a_revision_and_a_base_are_checkpoints_under_their_root() -> None:
    listed = manifest(Checkpoint())
    wrong = replace(listed, tensors=TENSORS[:1])
    delta = manifest(Delta(BASE.root))
    for record in outcomes(listed):
        check_manifest(record, listed)
        with pytest.raises(ForgedError, match=r"names$"):
            check_manifest(record, wrong)
    for record in outcomes(delta):
        with pytest.raises(RuleError, match="needs the manifest of a checkpoint, not of a delta"):
            check_manifest(record, delta)


@pytest.mark.must("BLB-27")
def test_a_base_without_a_manifest_is_held_to_its_root() -> None:
    listed = manifest(Checkpoint())
    nowhere = replace(BASE, manifest=None, root=listed.root)
    check_manifest(replace(ROUND, base=nowhere), listed)
    with pytest.raises(ForgedError, match="the root"):
        check_manifest(replace(ROUND, base=replace(nowhere, root=OTHER)), listed)
