"""All levels in order, from cheap to complete, into one report.

A level that was not asked for is in the report too, with what it would have shown: what was not checked matters as
much as what was. A re-merge is not tried of a folder that is not what its round published: there is nothing to
compare then.
"""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from node.lineage import LINEAGE_FILE, Lineage, Step
from node.lineage import read as read_lineage
from node.plainfile import read_plain
from node.verify import ascent
from node.verify.authority import believed, check_authority
from node.verify.fault import MAX_FAULT_BYTES
from node.verify.integrity import AGAIN, Lists, Looked, claimed_manifest, compare, look
from node.verify.report import Check, Finding, Gravity, Level, Report, Sample, State, What
from node.verify.signature import check_signature
from node.verify.strangers import strangers
from protocol.errors import PeerError, UsageError
from protocol.identity import PublicKey

if TYPE_CHECKING:
    from node.verify.fault_file import FaultProof
    from node.verify.remerge import Remerging
    from protocol.blobs.manifest import Manifest


@dataclass(frozen=True)
class Request:
    """What somebody wants to know of a folder."""

    folder: Path
    round: bytes | None = None
    key: PublicKey | None = None
    audit: int | None = None
    seed: int | None = None
    recompute: bool = False
    lineage: bool = False


@dataclass(frozen=True)
class Means:
    """What there is to find it out with."""

    clock: Callable[[], float]
    """Seconds, for the cost of each level."""
    remerging: "Remerging | None" = None
    lists: Lists = field(default=lambda _: None)


@dataclass(frozen=True)
class Verified:
    """A report, and what others can check of it."""

    report: Report
    proof: "FaultProof | None" = None


async def verify(request: Request, means: Means) -> Verified:
    """Do what was asked."""
    if not request.folder.is_dir():
        raise UsageError(f"{request.folder} is not a folder; name the folder of a model")
    return await _Run(request, means).run()


async def verify_proof(file: Path, means: Means) -> Report:
    """Whether a fault proof holds."""
    from node.verify import fault_file, settling

    began = means.clock()
    try:
        data = read_plain(file, MAX_FAULT_BYTES)
        if data is None:
            raise UsageError(f"there is no file {file}; name a fault proof")
        proof = fault_file.parse(data)
    except PeerError as error:
        finding = Finding(What.PROOF_BROKEN, Gravity.FAULT, f"{file} is no fault proof: {error}", "do not pass it on")
        return Report(str(file), None, (Check.of(Level.PROOF, "the file was read", [finding]),))
    settled = await settling.settle(proof, means.remerging)
    summary = f"{settling.shows(proof)}. The proof says: {settling.claims(proof)}"
    if any(finding.what is What.PROOF_BROKEN for finding in settled.findings):
        summary = "the proof was checked by itself"
    check = Check.of(
        Level.PROOF, summary, settled.findings, seconds=means.clock() - began, bytes_read=settled.bytes_read
    )
    return Report(str(file), None, (check,))


class _Run:
    """One verification."""

    def __init__(self, request: Request, means: Means) -> None:
        self._request, self._means = request, means
        self._lineage: Lineage | None = None
        self._unread: tuple[Finding, ...] = ()
        self._looked = Looked(None)
        self._sample: Sample | None = None
        self._proof: FaultProof | None = None

    async def run(self) -> Verified:
        self._read()
        checks = [await asyncio.to_thread(self._integrity), self._authority()]
        sound = all(check.state is State.PASSED for check in checks)
        checks += [await self._audit(sound), await self._recompute(sound), await self._ascend()]
        step = self._step
        report = Report(
            str(self._request.folder),
            self._looked.root,
            tuple(checks),
            believed(step, self._request.round) if step else None,
            self._sample,
        )
        return Verified(report, self._proof)

    @property
    def _step(self) -> Step | None:
        return self._lineage.steps[0] if self._lineage else None

    def _read(self) -> None:
        try:
            self._lineage = read_lineage(self._request.folder)
        except PeerError as error:
            advice = "nobody can tell from it who decided what; pull the model again"
            self._unread = (Finding(What.LINEAGE_BROKEN, Gravity.FAULT, str(error), advice, LINEAGE_FILE),)
            return
        if self._lineage is None:
            text = f"the folder holds no {LINEAGE_FILE}: nothing in it says which round it came from"
            advice = "pull the model with `umm pull`, which brings the records along"
            self._unread = (Finding(What.LINEAGE_MISSING, Gravity.MISSING, text, advice, LINEAGE_FILE),)

    # -- cheap -----------------------------------------------------------------------------------------------------

    def _integrity(self) -> Check:
        began = self._means.clock()
        self._looked = look(self._request.folder)
        findings = [*self._bytes(), *strangers(self._request.folder)]
        stewards = [PublicKey.from_point(p) for p in self._step.round.record.stewards] if self._step else []
        signer, wrong = check_signature(self._request.folder, stewards, self._request.key)
        manifest = self._looked.manifest
        summary = "the folder could not be read as a model"
        if manifest is not None:
            summary = f"all {len(manifest.tensors)} tensors and {len(manifest.files)} files were hashed"
        if signer is not None:
            summary += f"; model.sig by {signer.name} covers the folder"
        return Check.of(
            Level.INTEGRITY,
            summary,
            [*findings, *wrong],
            seconds=self._means.clock() - began,
            bytes_read=self._looked.size,
        )

    def _bytes(self) -> Iterator[Finding]:
        if self._step is None:
            if self._looked.manifest is None:
                yield Finding(What.FOLDER_BROKEN, Gravity.FAULT, f"no readable model: {self._looked.problem}", AGAIN)
            return
        outcome = self._step.outcome.record
        for earlier in self._step.outcomes[:-1]:
            if self._looked.root == earlier.record.root != outcome.root:
                text = f"this is what the {earlier.record.noun} made; it was replaced by revision {outcome.number}"
                yield Finding(What.SUPERSEDED, Gravity.FAULT, text, "pull the newer model")
        manifest, wrong = claimed_manifest(self._request.folder, outcome)
        yield from wrong
        yield from compare(self._looked, outcome.root, manifest, self._means.lists)

    def _authority(self) -> Check:
        began = self._means.clock()
        step = self._step
        if step is None:
            return Check.of(Level.AUTHORITY, "there is no record to check", self._unread)
        round_ = step.round.record
        findings = [*check_authority(step, self._request.round), *self._named_manifest(step)]
        summary = "the records were read"
        if all(finding.what is not What.QUORUM_MISSING for finding in findings):
            summary = (
                f"{len(step.outcome.record.endorsements)} of {len(round_.stewards)} stewards signed the root over "
                f"{len(step.contributions)} contributions; a quorum is {round_.quorum}"
            )
        return Check.of(Level.AUTHORITY, summary, findings, seconds=self._means.clock() - began)

    def _named_manifest(self, step: Step) -> Iterator[Finding]:
        """A root has one manifest. Its outcome may name another: then nobody could fetch the model."""
        here, said = self._looked.manifest, step.outcome.record
        if here is not None and here.root == said.root and here.id != said.manifest:
            text = f"the {said.noun} names the manifest {said.manifest.hex()}, which is not that of its root"
            yield Finding(What.MANIFEST_WRONG, Gravity.FAULT, text, "ask the stewards to publish a right one")

    # -- complete --------------------------------------------------------------------------------------------------

    async def _audit(self, sound: bool) -> Check:
        if self._request.audit is None:
            return _skipped(Level.AUDIT, "not asked for (--audit K): merging K random tensors again would show a cheat")
        if not sound:
            return _skipped(Level.AUDIT, "not done: the folder is not what a round published")
        from node.verify import audit

        manifest = self._manifest
        self._sample = audit.choose(manifest, self._request.audit, self._request.seed)
        names = self._sample.tensors
        summary = f"{len(names)} of {self._sample.of} tensors, drawn at random,"
        return await self._merge_again(Level.AUDIT, summary, frozenset(names))

    async def _recompute(self, sound: bool) -> Check:
        if not self._request.recompute:
            return _skipped(Level.RECOMPUTE, "not asked for (--recompute): merging everything again leaves no doubt")
        if not sound:
            return _skipped(Level.RECOMPUTE, "not done: the folder is not what a round published")
        summary = f"all {len(self._manifest.tensors)} tensors"
        return await self._merge_again(Level.RECOMPUTE, summary, None)

    async def _merge_again(self, level: Level, what: str, outputs: frozenset[str] | None) -> Check:
        from node.verify import audit
        from node.verify.remerge import Decision

        began, step, remerging = self._means.clock(), self._step, self._means.remerging
        if step is None or remerging is None:
            return Check.of(level, f"{what} were to be merged again", [ascent.nothing_to_merge()])
        compared = await audit.compare(Decision.of(step), self._manifest, remerging, outputs)
        self._proof = self._proof or compared.proof
        done = "were merged again and compared bit for bit" if compared.done else "were to be merged again"
        return Check.of(
            level,
            f"{what} {done}",
            compared.findings,
            seconds=self._means.clock() - began,
            bytes_read=compared.bytes_read,
        )

    async def _ascend(self) -> Check:
        if not self._request.lineage:
            return _skipped(Level.LINEAGE, "not asked for (--lineage): where the base came from was not looked at")
        if self._lineage is None:
            return Check.of(Level.LINEAGE, "there is no record to check", self._unread)
        began = self._means.clock()
        ascended = await ascent.ascend(self._lineage, self._means.remerging, recompute=self._request.recompute)
        summary = f"{len(self._lineage.steps)} rounds from this model to the first base that is known"
        return Check.of(
            Level.LINEAGE,
            summary,
            ascended.findings,
            seconds=self._means.clock() - began,
            bytes_read=ascended.bytes_read,
        )

    @property
    def _manifest(self) -> "Manifest":
        assert self._looked.manifest is not None  # noqa: S101 - integrity passed
        return self._looked.manifest


def _skipped(level: Level, summary: str) -> Check:
    return Check(level, State.SKIPPED, summary)
