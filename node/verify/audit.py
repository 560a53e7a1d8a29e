"""Levels 3 and 4: some tensors, or all of it, merged again and compared bit for bit with what was published."""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from node.verify.accusing import accuse, accuse_values, leaves_of
from node.verify.fault_file import FaultProof
from node.verify.odds import chances
from node.verify.remerge import Again, CannotMergeError, Decision, NotFiniteError, Remerging, WrongMaterialError
from node.verify.report import Finding, Gravity, Sample, What
from protocol import checkpoint_root
from protocol.blobs.manifest import Manifest
from protocol.errors import ProtocolError, TooLargeError, UnavailableError
from protocol.records import Kind
from protocol.strict import shown

CHEATED = (
    "do not use this model; send the fault proof to the people of the round, who can check it with `umm verify --proof`"
)


REFUSABLE = "the stewards should have refused it; send them the fault proof, which needs nothing else to be checked"


@dataclass(frozen=True)
class Compared:
    """What merging again has shown."""

    findings: tuple[Finding, ...]
    bytes_read: int = 0
    proof: FaultProof | None = None
    """Of the first tensor that differs."""
    done: bool = False
    """Whether anything was merged again at all."""


def choose(manifest: Manifest, count: int, seed: int | None = None) -> Sample:
    """Draw tensors, each set of ``count`` as likely as any other; all where there are no more.

    Without a seed the system's randomness is taken: whoever made the model could not know what would be drawn.
    """
    names = [entry.name for entry in manifest.tensors]
    chosen = drawn(names, min(count, len(names)), seed)
    return Sample(chosen, len(names), chances(len(names), len(chosen)))


def drawn(names: Sequence[str], count: int, seed: int | None) -> tuple[str, ...]:
    """So many of the names, in order."""
    source = random.SystemRandom() if seed is None else random.Random(seed)  # noqa: S311 - a seed is for tests
    return tuple(sorted(source.sample(names, count)))


async def compare(
    decision: Decision, published: Manifest, remerging: Remerging, outputs: frozenset[str] | None
) -> Compared:
    """Merge these tensors again, all for None, and say what differs from what is published."""
    if unrepeatable := [o for o in decision.contributions if o.record.kind is Kind.DISTRIBUTIONS]:
        text = (
            f"{len(unrepeatable)} contributions of the roster are distributions: what was made of them cannot be "
            "repeated to the bit"
        )
        return Compared((Finding(What.NOT_REPEATABLE, Gravity.MISSING, text, "measure the model's scores instead"),))
    try:
        again = await remerging.run(decision, outputs)
    except WrongMaterialError as error:
        text = f"what was given to merge again is not what was merged: {error}"
        return Compared((Finding(What.MATERIAL_WRONG, Gravity.MISSING, text, "fetch it anew, or from somebody else"),))
    except NotFiniteError as error:
        finding = Finding(What.VALUES_STRANGE, Gravity.FAULT, str(error), REFUSABLE, error.strange.tensor)
        return Compared((finding,), proof=accuse_values(error))
    except UnavailableError as error:
        advice = "give --base and --contributions, or start the node (`umm node`), which fetches them"
        return Compared((Finding(What.MATERIAL_MISSING, Gravity.MISSING, str(error), advice),))
    except (ProtocolError, CannotMergeError) as error:
        text = f"the roster could not be merged again: {error}"
        return Compared((Finding(What.MERGE_FAILED, Gravity.MISSING, text, "see what the error names"),))
    findings = tuple(_findings(decision, published, again, outputs))
    return Compared(findings, again.inputs.bytes_read, _proof(decision, published, again, findings), done=True)


def _proof(decision: Decision, published: Manifest, again: Again, findings: tuple[Finding, ...]) -> FaultProof | None:
    """Of the first tensor that is a fault; None where there is none, and of a roster too long for a small file."""
    differing = [f.subject for f in findings if f.what in (What.MERGE_DIFFERS, What.MERGE_UNEXPECTED)]
    if not differing:
        return None
    try:
        proof = accuse(decision, published, again, min(differing))
        proof.encode()
    except TooLargeError:
        return None
    return proof


def _findings(
    decision: Decision, published: Manifest, again: Again, outputs: frozenset[str] | None
) -> Iterator[Finding]:
    merged, leaves = again.merged, leaves_of(published)
    for name in sorted(leaves if outputs is None else outputs):
        if merged.leaves.get(name) != leaves[name]:
            yield _differing(decision, name, merged.leaves.get(name))
    if outputs is None:
        for name in sorted(merged.leaves.keys() - leaves.keys()):
            text = f"merging gives the tensor {shown(name)}, which the published model lacks"
            yield Finding(What.MERGE_INCOMPLETE, Gravity.FAULT, text, CHEATED, name)
    if merged.files is not None:
        yield from _files(published, merged.files)
    if (tolerance := decision.round.record.tolerance) is not None:
        text = f"this round's method is not exact: its stewards may have differed by {tolerance}"
        yield Finding(What.TOLERANCE, Gravity.NOTE, f"{text}, and equal bits are more than was promised")


def _files(published: Manifest, merged: Mapping[str, bytes]) -> Iterator[Finding]:
    """Config, tokenizer and the like come out of every merge; they are small, so an audit compares all of them."""
    said = {file.name: checkpoint_root.file_leaf(file.name, file.blob_id) for file in published.files}
    for name in sorted(said.keys() | merged.keys()):
        if said.get(name) != merged.get(name):
            text = f"{name} is not what merging gives" if name in said else f"merging gives {name}, which was left out"
            yield Finding(What.FILE_DIFFERS, Gravity.FAULT, text, "do not use this model", name)


def _differing(decision: Decision, name: str, leaf: bytes | None) -> Finding:
    if decision.round.record.tolerance is not None:
        text = (
            f"the tensor {shown(name)} is not bit for bit what merging gives here. This round's method is not exact: "
            f"it allows differences of {decision.round.record.tolerance}; this one was not measured"
        )
        return Finding(What.TOLERANCE, Gravity.MISSING, text, "compare the two models' values and scores", name)
    if leaf is None:
        text = f"merging gives no tensor {shown(name)}; the published model has one"
        return Finding(What.MERGE_UNEXPECTED, Gravity.FAULT, text, CHEATED, name)
    text = f"the tensor {shown(name)} is not what merging the round's contributions gives"
    return Finding(What.MERGE_DIFFERS, Gravity.FAULT, text, CHEATED, name)
