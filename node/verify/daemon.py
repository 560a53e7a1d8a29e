"""Materials from the node that runs on this machine, which fetches them from its peers.

The node is no more trusted than a stranger's disk: what it brings is checked like everything else (``materials``).
"""

from dataclasses import dataclass
from pathlib import Path

from node.verify.materials import MaterialRecord
from protocol.blobs.manifest import Manifest
from protocol.errors import UnavailableError
from protocol.records import Recipe

OFFLINE = "the node is not asked for materials yet; give the folders with --base and --contributions"


@dataclass(frozen=True)
class DaemonMaterials:
    """See :class:`node.verify.materials.Materials`. Folders are made in ``work``, and are the caller's to remove."""

    socket: Path
    work: Path

    async def manifest(self, record: MaterialRecord) -> Manifest:
        """See :class:`node.verify.materials.Materials`."""
        raise UnavailableError(f"{record.record.noun} {record.id.hex()}: {OFFLINE}")

    async def folder(self, record: MaterialRecord, manifest: Manifest, tensors: frozenset[str]) -> Path:
        """See :class:`node.verify.materials.Materials`."""
        del manifest, tensors
        raise UnavailableError(f"{record.record.noun} {record.id.hex()}: {OFFLINE}")

    async def text(self, recipe: Recipe) -> str:
        """See :class:`node.verify.materials.Materials`."""
        if recipe.text is None:
            raise UnavailableError(f"recipe {recipe.digest.hex()}: {OFFLINE}")
        return recipe.text
