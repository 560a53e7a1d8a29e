"""Looking through the values of a contribution for one that is no finite number. Packed values are not looked at."""

from dataclasses import dataclass
from pathlib import Path

from node.verify.materials import PerhapsPart
from node.verify.values_fault import PLAIN, WIDTHS, first_not_finite
from protocol.blobs.chunks import CHUNK_BYTES, ChunkList, Hasher
from protocol.blobs.disk import read_up_to
from protocol.blobs.manifest import Manifest
from protocol.blobs.modelfolder import reading
from protocol.blobs.safetensors_header import Entry


@dataclass(frozen=True)
class Strange:
    """A chunk of a tensor with a value that is no finite number, ``offset`` bytes from its beginning."""

    tensor: str
    chunks: ChunkList
    index: int
    offset: int
    chunk: bytes


def find_strange(folder: Path, manifest: Manifest, tensors: frozenset[str]) -> Strange | None:
    """The first one in these tensors of a folder that was checked."""
    if manifest.about.NAME not in PLAIN:
        return None
    for entry, path in PerhapsPart.of(folder).tensors(manifest.about):
        if entry.name in tensors and entry.dtype in WIDTHS and (found := _look(entry, path)) is not None:
            return found
    return None


def _look(entry: Entry, path: Path) -> Strange | None:
    with reading(path) as fd:
        for index, at in enumerate(range(0, entry.size, CHUNK_BYTES)):
            data = read_up_to(fd, min(CHUNK_BYTES, entry.size - at), entry.start + at)
            if (offset := first_not_finite(entry.dtype, data)) is not None:
                return Strange(entry.name, _chunks(entry, path), index, offset, data)
    return None


def _chunks(entry: Entry, path: Path) -> ChunkList:
    hasher = Hasher()
    with reading(path) as fd:
        for at in range(0, entry.size, CHUNK_BYTES):
            hasher.update(read_up_to(fd, min(CHUNK_BYTES, entry.size - at), entry.start + at))
    return hasher.finish()
