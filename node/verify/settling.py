"""Checking somebody else's fault proof: what it shows by itself, then the one tensor merged again."""

from collections.abc import Iterator
from dataclasses import dataclass

from node.verify.fault_file import FaultProof
from node.verify.merge_fault import MergeFault
from node.verify.remerge import CannotMergeError, Decision, NotFiniteError, Remerging, WrongMaterialError
from node.verify.report import Finding, Gravity, What
from protocol.errors import ProtocolError
from protocol.identity import PublicKey
from protocol.strict import shown

INPUTS = "give --base and --contributions, or start the node (`umm node`), which fetches the tensors"


@dataclass(frozen=True)
class Settled:
    """What became of a proof."""

    findings: tuple[Finding, ...]
    bytes_read: int = 0


def shows(proof: FaultProof) -> str:
    """In words, what a proof shows by itself."""
    if not isinstance(proof, MergeFault):
        author = PublicKey.from_point(proof.offer.record.author).name
        return (
            f"{author} signed contribution {proof.offer.id.hex()} to round {proof.offer.record.round.hex()}, and chunk "
            f"{proof.place.index} of its tensor {shown(proof.tensor)} has at byte {proof.offset} the value "
            f"{proof.value.hex()} ({proof.published.dtype}, little-endian), which is no finite number"
        )
    names = ", ".join(PublicKey.from_point(e.author).name for e in proof.outcome.record.endorsements)
    return (
        f"{names} signed the root {proof.outcome.record.root.hex()} for round {proof.round.id.hex()}, and under it the "
        f"tensor {shown(proof.tensor)} has the leaf {proof.published_leaf.hex()}"
    )


def claims(proof: FaultProof) -> str:
    """In words, what a proof says beyond that."""
    if not isinstance(proof, MergeFault):
        return "no more than this, which it shows by itself"
    count = len(proof.inputs)
    if proof.expected is None:
        return f"merging the {count} contributions of the roster gives no such tensor"
    return f"merging the {count} contributions of the roster gives the leaf {proof.expected.hex()}"


async def settle(proof: FaultProof, remerging: Remerging | None) -> Settled:
    """Merge the tensor again: nothing is found when the proof is right."""
    try:
        proof.check()
    except ProtocolError as error:
        advice = "the proof shows nothing; do not pass it on"
        return Settled((Finding(What.PROOF_BROKEN, Gravity.FAULT, str(error), advice, proof.tensor),))
    if not isinstance(proof, MergeFault):
        return Settled(())
    if remerging is None:
        return Settled((_open("nothing to merge again was given"),))
    decision = Decision(proof.round, proof.outcome, tuple(one.offer for one in proof.inputs))
    try:
        again = await remerging.run(decision, frozenset({proof.tensor}))
    except (ProtocolError, WrongMaterialError, CannotMergeError, NotFiniteError) as error:
        return Settled((_open(str(error)),))
    return Settled(tuple(_verdict(proof, again.merged.leaves.get(proof.tensor))), again.inputs.bytes_read)


def _verdict(proof: MergeFault, leaf: bytes | None) -> Iterator[Finding]:
    if leaf == proof.published_leaf:
        text = f"merging again gives the tensor {shown(proof.tensor)} exactly as it was published"
        advice = "the proof is false: the stewards are right. Do not pass it on"
        yield Finding(What.PROOF_FALSE, Gravity.FAULT, text, advice, proof.tensor)
    elif leaf != proof.expected:
        text = f"merging again gives the tensor {shown(proof.tensor)} neither as published nor as the proof expects"
        advice = "run `umm verify --audit` on the model yourself: it may be wrong in another way than the proof says"
        yield Finding(What.PROOF_FALSE, Gravity.FAULT, text, advice, proof.tensor)


def _open(why: str) -> Finding:
    text = f"whether merging gives another tensor is not settled: {why}"
    return Finding(What.PROOF_UNSETTLED, Gravity.MISSING, text, INPUTS)
