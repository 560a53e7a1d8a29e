"""Materials from the node that runs on this machine, which fetches them from its peers.

The node is no more trusted than a stranger's disk: what it brings is checked like everything else (``materials``).
"""

from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from node.control.client import Client
from node.control.interface import conclusion
from node.control.orders import BlobOrder, MaterialiseOrder
from node.errors import UnreachableError
from node.verify.materials import MaterialRecord
from protocol.blobs.chunks import ChunkList
from protocol.blobs.manifest import Manifest
from protocol.errors import ForgedError, MalformedError, UnavailableError
from protocol.offer import check_manifest
from protocol.records import Recipe, Round


@dataclass(frozen=True)
class DaemonMaterials:
    """See :class:`node.verify.materials.Materials`. Folders are made in ``work``, and are the caller's to remove."""

    socket: Path
    work: Path

    async def manifest(self, record: MaterialRecord) -> Manifest:
        """See :class:`node.verify.materials.Materials`."""
        said = record.record.base.manifest if isinstance(record.record, Round) else record.record.manifest
        if said is None:
            raise UnavailableError(
                f"round {record.id.hex()} names no manifest of its base; give the folder of the base with --base"
            )
        manifest = Manifest.parse(await self._blob(said, _round(record)))
        check_manifest(record.record, manifest)
        return manifest

    async def folder(self, record: MaterialRecord, manifest: Manifest, tensors: frozenset[str]) -> Path:
        """See :class:`node.verify.materials.Materials`."""
        if not tensors:  # none would mean all
            tensors = frozenset([min(manifest.tensors, key=lambda tensor: tensor.size).name])
        out = self.work / f"{record.record.noun}-{uuid4().hex}"
        order = MaterialiseOrder(manifest=manifest.id, folder=out, tensors=tuple(sorted(tensors)), round=_round(record))
        try:
            async with await Client.connect(self.socket) as node:
                await conclusion(node.materialise(order), lambda _: None)
        except UnreachableError as error:
            raise UnavailableError(str(error)) from None
        return out

    async def text(self, recipe: Recipe) -> str:
        """See :class:`node.verify.materials.Materials`."""
        if recipe.text is not None:
            return recipe.text
        try:
            return (await self._blob(recipe.digest, None)).decode()
        except UnicodeDecodeError:
            raise MalformedError(f"the recipe {recipe.digest.hex()} is not text") from None

    async def _blob(self, blob_id: bytes, round_id: bytes | None) -> bytes:
        try:
            async with await Client.connect(self.socket) as node:
                data = (await node.blob(BlobOrder(blob=blob_id, round=round_id))).data
        except UnreachableError as error:
            raise UnavailableError(str(error)) from None
        if ChunkList.of(data).id != blob_id:
            raise ForgedError(f"the node answers with other bytes than the blob {blob_id.hex()}")
        return data


def _round(record: MaterialRecord) -> bytes:
    return record.id if isinstance(record.record, Round) else record.record.round
