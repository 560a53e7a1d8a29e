"""A model folder served as it lies on the disk: nothing is copied, and nothing is served that has changed.

Every byte is hashed once, to find out what the folder's blobs are called. From then on a chunk is read from its place
in a weight file or small file, checked against its digest, and only then given away: a file that was changed, cut off
or replaced meanwhile is an error, not wrong bytes at somebody else's.
"""

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from protocol.blobs.chunks import CHUNK_BYTES, ChunkList, Hasher
from protocol.blobs.disk import read_up_to
from protocol.blobs.kinds import About, Checkpoint
from protocol.blobs.manifest import FileEntry, Manifest, TensorEntry
from protocol.blobs.modelfolder import ModelFolder, reading
from protocol.blobs.source import DiskSource, StoreDamage
from protocol.errors import EnvironmentFault, ForgedError, UsageError
from protocol.strict import shown

HASHING_THREADS = 4
"""Tensors hashed at once; each thread holds one chunk in memory."""


@dataclass(frozen=True)
class Place:
    """Where a blob's bytes lie."""

    path: Path
    start: int
    size: int


Item = tuple[Place, FileEntry | TensorEntry]
"""Something in a folder and its line in a manifest, without the blob id as long as nobody looked at its bytes."""


class FolderSource(DiskSource):
    """The blobs of a model folder, and the blob of its manifest.

    To build one takes reading all of the folder, in the calling thread. ``known`` spares that after a restart: the
    manifest that an earlier one had, and the chunk lists (``lists``) to go with it. The folder's bytes are then looked
    at only when they are read.
    """

    def __init__(
        self, folder: Path, about: About | None = None, known: tuple[Manifest, Iterable[ChunkList]] | None = None
    ) -> None:
        super().__init__()
        self.folder = folder
        about = known[0].about if known else about or Checkpoint()
        items = _look(folder, about)
        hashed = _recall(folder, items, *known) if known else _hash_all(items)
        entries = [replace(entry, blob_id=chunks.id) for (_, entry), chunks in zip(items, hashed, strict=True)]
        files = tuple(entry for entry in entries if isinstance(entry, FileEntry))
        self.manifest = Manifest(about, files, tuple(entry for entry in entries if isinstance(entry, TensorEntry)))
        self.lists: Mapping[bytes, ChunkList] = MappingProxyType({chunks.id: chunks for chunks in hashed})
        self._places = {chunks.id: place for (place, _), chunks in zip(items, hashed, strict=True)}

    def find(self, blob_id: bytes) -> ChunkList | None:
        """See :class:`protocol.blobs.source.Blobs`."""
        return self.manifest.chunks if blob_id == self.manifest.id else self.lists.get(blob_id)

    def read(self, blob_id: bytes, index: int) -> bytes | None:
        """See :class:`protocol.blobs.source.Blobs`; a changed file raises :class:`StoreDamage` whenever it is read."""
        chunks = self.find(blob_id)
        if chunks is None or not 0 <= index < len(chunks.digests):
            return None
        start, length = index * CHUNK_BYTES, chunks.chunk_length(index)
        if blob_id == self.manifest.id:
            return self.manifest.encode()[start : start + length]
        return self._checked(blob_id, index, chunks, start, length)

    def _checked(self, blob_id: bytes, index: int, chunks: ChunkList, start: int, length: int) -> bytes:
        place = self._places[blob_id]
        advice = f"chunk {index} of a tensor or file in {place.path} is not what it was; share the folder anew"
        try:
            with reading(place.path) as fd:
                data = read_up_to(fd, length, place.start + start)
            chunks.check(index, data)
        except (EnvironmentFault, ForgedError) as error:
            raise StoreDamage(blob_id, index, f"{advice} ({error})") from error
        return data


def manifest_of_folder(folder: Path, about: About | None = None) -> Manifest:
    """What a folder is made of, from every byte on disk; a checkpoint unless ``about`` says otherwise."""
    with FolderSource(folder, about) as source:
        return source.manifest


def _look(folder: Path, about: About) -> list[Item]:
    """Files, then tensors, each in order of name."""
    here = ModelFolder.of(folder)
    items = [_file(here, name) for name in sorted(about.ALLOWED) if here.has(name)]
    for entry, path in sorted(here.tensors(about), key=lambda pair: pair[0].name):
        items.append((Place(path, entry.start, entry.size), TensorEntry(entry.name, entry.dtype, entry.shape, b"")))
    return items


def _file(here: ModelFolder, name: str) -> Item:
    path, size = here.file(name)
    return Place(path, 0, size), FileEntry(name, size, b"")


def _hash_all(items: list[Item]) -> list[ChunkList]:
    with ThreadPoolExecutor(HASHING_THREADS) as pool:
        return list(pool.map(lambda item: _hash(item[0]), items))


def _hash(place: Place) -> ChunkList:
    hasher = Hasher()
    with reading(place.path) as fd:
        for at in range(0, place.size, CHUNK_BYTES):
            wanted = min(CHUNK_BYTES, place.size - at)
            data = read_up_to(fd, wanted, place.start + at)
            if len(data) != wanted:
                raise EnvironmentFault(f"{place.path} became shorter while it was read; let nobody write into it")
            hasher.update(data)
    return hasher.finish()


def _recall(folder: Path, items: list[Item], manifest: Manifest, lists: Iterable[ChunkList]) -> list[ChunkList]:
    """The chunk lists of the items, if the manifest is of this folder as far as names, dtypes and shapes tell."""
    by_id = {chunks.id: chunks for chunks in lists}
    now = {(type(entry), entry.name): entry for _, entry in items}
    then = {(type(entry), entry.name): entry for entry in manifest.entries}
    for key in now.keys() | then.keys():
        if key not in now or key not in then or replace(then[key], blob_id=b"") != now[key]:
            raise UsageError(f"{folder} has changed: {shown(key[1])} is not what it was; share the folder anew")
        if then[key].blob_id not in by_id:
            raise UsageError(f"the chunk list of {shown(key[1])} in {folder} is not known; share the folder anew")
    return [by_id[then[type(entry), entry.name].blob_id] for _, entry in items]
