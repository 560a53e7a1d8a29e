"""Making fault proofs: of a tensor that came out differently, of a value that is no number."""

from node.verify.fault import MAX_TENSORS_EACH
from node.verify.materials import needed
from node.verify.merge_fault import Input, MergeFault
from node.verify.remerge import Again, Decision, NotFiniteError
from node.verify.values_fault import ValuesFault
from protocol import checkpoint_root, merkle
from protocol.blobs.kinds import Adapter
from protocol.blobs.manifest import Manifest, TensorEntry
from protocol.proofs import ChunkProof, TensorProof


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


def accuse(decision: Decision, published: Manifest, again: Again, tensor: str) -> MergeFault:
    """The proof that ``tensor``, as it is published, is not what merging gave again."""
    inputs = again.inputs
    (proof,) = proofs_of(published, frozenset({tensor}))
    return MergeFault(
        decision.round,
        decision.outcome,
        proof,
        again.merged.leaves.get(tensor),
        _sources(inputs.base_manifest, tensor),
        tuple(Input(offer, _sources(inputs.manifests[offer.id], tensor)) for offer in decision.contributions),
    )


def accuse_values(found: NotFiniteError) -> ValuesFault:
    """The proof that a contribution holds a value that is no finite number."""
    strange = found.strange
    (proof,) = proofs_of(found.manifest, frozenset({strange.tensor}))
    place = ChunkProof.of(strange.chunks, strange.index)
    return ValuesFault(found.offer, proof, place, strange.offset, strange.chunk)


def _sources(manifest: Manifest, tensor: str) -> tuple[TensorProof, ...]:
    """The tensors of a model that the tensor is merged from, as far as names tell; of an adapter none."""
    if isinstance(manifest.about, Adapter):
        return ()
    names = needed(manifest, frozenset({tensor}))
    if len(names) > MAX_TENSORS_EACH:
        names &= {tensor}
    return proofs_of(manifest, names)
