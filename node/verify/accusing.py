"""Making a fault proof of a tensor that came out differently."""

from node.verify.fault import MAX_TENSORS_EACH, FaultProof, Input
from node.verify.materials import needed
from node.verify.remerge import Again, Decision
from protocol import checkpoint_root, merkle
from protocol.blobs.kinds import Adapter
from protocol.blobs.manifest import Manifest, TensorEntry
from protocol.proofs import TensorProof


def leaf_of(entry: TensorEntry) -> bytes:
    """The leaf of a tensor in a manifest."""
    return checkpoint_root.tensor_leaf(entry.name, entry.dtype, entry.shape, entry.blob_id)


def leaves_of(manifest: Manifest) -> dict[str, bytes]:
    """The leaves of all tensors, by name."""
    return {entry.name: leaf_of(entry) for entry in manifest.tensors}


def proofs_of(manifest: Manifest, names: frozenset[str]) -> tuple[TensorProof, ...]:
    """Proofs, under the manifest's root, for those of its tensors that go by these names."""
    files = [checkpoint_root.file_leaf(file.name, file.blob_id) for file in manifest.files]
    tree = merkle.Tree([*map(leaf_of, manifest.tensors), *files])
    return tuple(
        TensorProof.of(tree, index, entry.name, entry.dtype, entry.shape, entry.blob_id)
        for index, entry in enumerate(manifest.tensors)
        if entry.name in names
    )


def accuse(decision: Decision, published: Manifest, again: Again, tensor: str) -> FaultProof:
    """The proof that ``tensor``, as it is published, is not what merging gave again."""
    inputs = again.inputs
    (proof,) = proofs_of(published, frozenset({tensor}))
    return FaultProof(
        decision.round,
        decision.outcome,
        proof,
        again.merged.leaves.get(tensor),
        _sources(inputs.base_manifest, tensor),
        tuple(Input(offer, _sources(inputs.manifests[offer.id], tensor)) for offer in decision.contributions),
    )


def _sources(manifest: Manifest, tensor: str) -> tuple[TensorProof, ...]:
    """The tensors of a model that the tensor is merged from, as far as names tell; of an adapter none."""
    if isinstance(manifest.about, Adapter):
        return ()
    names = needed(manifest, frozenset({tensor}))
    if len(names) > MAX_TENSORS_EACH:
        names &= {tensor}
    return proofs_of(manifest, names)
