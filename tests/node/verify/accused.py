"""Fault proofs without a model behind them."""

from dataclasses import replace

from node.lineage import Step
from node.verify.accusing import proofs_of
from node.verify.merge_fault import Input, MergeFault
from protocol.blobs.kinds import Checkpoint
from protocol.blobs.manifest import FileEntry, Manifest, TensorEntry
from protocol.records import Base
from tests.node.verify.steps import a_round, an_offer, an_outcome, in_order
from tests.protocol.records.examples import digest

NAMES = ("lm_head.weight", "model.layers.0.w", "model.layers.1.w")
TENSOR = "model.layers.0.w"


def listing(name: str) -> Manifest:
    """A model of three tensors."""
    files = (FileEntry("config.json", 2, digest("config")),)
    return Manifest(Checkpoint(), files, tuple(TensorEntry(n, "F32", (2,), digest(f"{name} {n}")) for n in NAMES))


def step() -> Step:
    """A round of two contributions with manifests."""
    base = listing("base")
    round_ = a_round(base=Base(root=base.root, manifest=base.id))
    made = [(author, listing(f"expert {author}")) for author in (21, 22)]
    offers = in_order([an_offer(round_, author, root=m.root, manifest=m.id) for author, m in made])
    merged = listing("merged")
    return Step(round_, (an_outcome(round_, offers, [11], root=merged.root, manifest=merged.id),), offers)


STEP = step()


def proof() -> MergeFault:
    """Says that the tensor should be another one."""
    names = frozenset({TENSOR})
    manifests = {m.id: m for m in (listing("expert 21"), listing("expert 22"))}
    (published,) = proofs_of(listing("merged"), names)
    inputs = tuple(Input(o, proofs_of(manifests[o.record.manifest], names)) for o in STEP.contributions)
    return MergeFault(STEP.round, STEP.outcome, published, digest("right"), proofs_of(listing("base"), names), inputs)


PROOF = proof()
HONEST_PROOF = replace(PROOF, base=(), inputs=tuple(Input(one.offer, ()) for one in PROOF.inputs))
