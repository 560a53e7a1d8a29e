"""Level 5: the same for every base, up to the first one that came from no round."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from node.lineage import Lineage, Step
from node.verify.authority import check_authority
from node.verify.report import Finding, Gravity, What
from protocol.errors import PeerError, UnavailableError, UsageError

if TYPE_CHECKING:
    from node.verify.remerge import Remerging

BRING = "give --base and --contributions, or start the node (`umm node`), which fetches what is needed"


@dataclass(frozen=True)
class Ascended:
    """What was found on the way."""

    findings: tuple[Finding, ...]
    bytes_read: int = 0


def nothing_to_merge() -> Finding:
    """Merging again was asked for, and there is nothing to do it with."""
    return Finding(What.MATERIAL_MISSING, Gravity.MISSING, "the base and the contributions are not at hand", BRING)


async def ascend(lineage: Lineage, remerging: "Remerging | None", *, recompute: bool) -> Ascended:
    """Records of every step; with materials the bytes of every base; with ``recompute`` its merge again."""
    findings = list(_records(lineage))
    read = 0
    if remerging is None:
        text = "the bytes of the bases were not looked at: they are not at hand"
        gravity = Gravity.MISSING if recompute else Gravity.NOTE
        return Ascended((*findings, Finding(What.MATERIAL_MISSING, gravity, text, BRING)))
    for step in lineage.steps:
        found, size = await _base(step, remerging)
        findings += found
        read += size
    if recompute:
        for newer, older in pairwise(lineage.steps):
            again = await _merged_again(newer, older, remerging)
            findings += again.findings
            read += again.bytes_read
    return Ascended(tuple(findings), read)


def _records(lineage: Lineage) -> Iterator[Finding]:
    for step in lineage.steps[1:]:
        for finding in check_authority(step):
            text = f"round {step.round.id.hex()}, which made the base: {finding.text}"
            yield Finding(finding.what, finding.gravity, text, finding.advice, finding.subject)
    if lineage.origin is not None:
        text = f"the base of the last round here came from {lineage.origin.hex()}, whose records are missing"
        advice = "pull the model from a node that has its whole lineage"
        yield Finding(What.LINEAGE_CUT, Gravity.MISSING, text, advice, lineage.origin.hex())


async def _base(step: Step, remerging: "Remerging") -> tuple[list[Finding], int]:
    """Level 1 for the base of a round."""
    from node.verify.materials import check_delivery

    root = step.round.record.base.root.hex()
    try:
        manifest = await remerging.materials.manifest(step.round)
        names = frozenset(entry.name for entry in manifest.tensors)
        folder = await remerging.materials.folder(step.round, manifest, names)
        read = await asyncio.to_thread(check_delivery, folder, manifest, names)
    except UnavailableError as error:
        return [Finding(What.MATERIAL_MISSING, Gravity.MISSING, str(error), BRING, root)], 0
    except (PeerError, UsageError) as error:
        text = f"the base that was given is not the round's: {error}"
        return [Finding(What.BASE_DIFFERS, Gravity.MISSING, text, "fetch the base anew", root)], 0
    return [], read


async def _merged_again(newer: Step, older: Step, remerging: "Remerging") -> Ascended:
    """Level 4 for the base of a round, which another round made."""
    from node.verify import audit
    from node.verify.remerge import Decision

    try:
        published = await remerging.materials.manifest(newer.round)
    except (PeerError, UsageError):  # said above
        return Ascended(())
    compared = await audit.compare(Decision.of(older), published, remerging, None)
    return Ascended(compared.findings, compared.bytes_read)
