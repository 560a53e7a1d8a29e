"""What a re-merge needs: some tensors of the base and of each contribution, wherever they come from.

Whoever brings them is not trusted. A manifest must be the one that the signed record names, and every tensor that is
going to be merged is hashed and compared with it, however it came onto this disk.
"""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

from node.plainfile import read_inside
from node.verify.integrity import MANIFEST_FILE
from protocol.blobs.chunks import CHUNK_BYTES, Hasher
from protocol.blobs.disk import read_up_to
from protocol.blobs.folder import manifest_of_folder
from protocol.blobs.kinds import About, Adapter, Checkpoint, Delta
from protocol.blobs.manifest import MAX_MANIFEST_BYTES, FileEntry, Manifest, TensorEntry
from protocol.blobs.modelfolder import ModelFolder, reading
from protocol.errors import ForgedError, PeerError, UnavailableError, UsageError
from protocol.offer import check_manifest
from protocol.records import Contribution, Kind, Recipe, Round, Signed
from protocol.strict import shown

PART = "umm-only.json"
"""Lies in a folder that was made with a part of a model's tensors; the others are holes."""

IN_A_LAYER = re.compile(r"\.\d+\.")
"""A tensor with a number in its name belongs to a layer."""

MaterialRecord = Signed[Round] | Signed[Contribution]
"""Of a round, its base is meant."""


class Materials(Protocol):
    """Brings what records name. Raises ``UnavailableError`` for what it cannot find."""

    async def manifest(self, record: MaterialRecord) -> Manifest:
        """The manifest that the record names: of a round, that of its base."""
        ...

    async def folder(self, record: MaterialRecord, manifest: Manifest, tensors: frozenset[str]) -> Path:
        """A folder laid out as the manifest says, with all small files and these tensors; the rest may be holes."""
        ...

    async def text(self, recipe: Recipe) -> str:
        """The recipe's text, wherever it lies."""
        ...


def needed(manifest: Manifest, outputs: frozenset[str]) -> frozenset[str]:
    """The tensors of a manifest that may play a part in merging these output tensors.

    Layer by layer they go by the same name. Outside of layers one tensor may stand for another, as an embedding does
    for the head of a model that ties them, so of those all are needed when one is. Adapters are small and needed
    whole.
    """
    names = frozenset(entry.name for entry in manifest.tensors)
    if isinstance(manifest.about, Adapter):
        return names
    wanted = outputs & names
    if all(IN_A_LAYER.search(name) for name in outputs):
        return wanted
    return wanted | {name for name in names if not IN_A_LAYER.search(name)}


def check_delivery(folder: Path, manifest: Manifest, tensors: frozenset[str]) -> int:
    """Refuse a folder that is not laid out as the manifest says or in which one of these tensors or a file differs.

    Returns the bytes that were hashed.
    """
    here = PerhapsPart.of(folder)
    listed = {entry.name: entry for entry in manifest.tensors}
    read = 0
    for entry, path in here.tensors(manifest.about):
        expected = listed.pop(entry.name, None)
        if expected is None or (entry.dtype, entry.shape) != (expected.dtype, expected.shape):
            raise ForgedError(f"{folder} has the tensor {shown(entry.name)}, which its manifest has not in this form")
        if entry.name in tensors:
            _check_blob(path, entry.start, expected)
            read += entry.size
    if listed:
        raise ForgedError(f"{folder} lacks the tensor {shown(min(listed))} of its manifest")
    for file in manifest.files:
        path, size = here.file(file.name)
        if size != file.size:
            raise ForgedError(f"{path} has {size} bytes; its manifest says {file.size}")
        _check_blob(path, 0, file)
        read += size
    return read


@dataclass(frozen=True)
class FolderMaterials:
    """Materials in folders on this disk: ``base`` is the base, ``contributions`` has a folder for each, under its id.

    For the bases of earlier rounds, ``base`` may also be a folder of folders under their roots. A folder's own
    ``manifest.umm`` spares reading all of it, where it is the one that the record names.
    """

    base: Path | None
    contributions: Path | None
    read: Callable[[Path], None] = lambda _: None
    """Hears which folders had to be read whole."""

    async def manifest(self, record: MaterialRecord) -> Manifest:
        """See :class:`Materials`."""
        folder, about = self._place(record), about_of(record)
        if (stated := _stated(folder)) is not None and _is_of(record, stated):
            return stated
        whole = await asyncio.to_thread(self._whole, folder, about)
        if _is_of(record, whole):
            return whole
        raise ForgedError(f"{folder} is not {_said(record)}; give the folder that it is in")

    async def folder(self, record: MaterialRecord, manifest: Manifest, tensors: frozenset[str]) -> Path:
        """See :class:`Materials`."""
        del manifest, tensors  # all of it is here
        return self._place(record)

    async def text(self, recipe: Recipe) -> str:
        """See :class:`Materials`; a recipe that is a blob is on no disk here."""
        if recipe.text is None:
            raise UnavailableError(f"the recipe is the blob {recipe.digest.hex()}; start the node, which can fetch it")
        return recipe.text

    def _place(self, record: MaterialRecord) -> Path:
        if isinstance(record.record, Round):
            parent, name = self.base, record.record.base.root.hex()
            candidates = [] if parent is None else [parent / name, parent]
        else:
            parent, name = self.contributions, record.id.hex()
            candidates = [] if parent is None else [parent / name]
        for candidate in candidates:
            if candidate.is_dir():
                return candidate
        option = "--base" if isinstance(record.record, Round) else "--contributions"
        where = f"there is no folder {candidates[0]}" if candidates else f"no folder was given with {option}"
        raise UnavailableError(f"{_said(record)} is not at hand: {where}")

    def _whole(self, folder: Path, about: About) -> Manifest:
        self.read(folder)
        try:
            return manifest_of_folder(folder, about)
        except UsageError as error:
            raise ForgedError(f"{folder} is no {about.NAME}: {error}") from error


@dataclass(frozen=True)
class Remembering:
    """Materials of which every manifest is asked for once, and checked against its record."""

    inner: Materials

    @cached_property
    def _known(self) -> dict[bytes, Manifest]:
        return {}

    async def manifest(self, record: MaterialRecord) -> Manifest:
        """See :class:`Materials`."""
        if record.id not in self._known:
            manifest = await self.inner.manifest(record)
            check_manifest(record.record, manifest)
            self._known[record.id] = manifest
        return self._known[record.id]

    async def folder(self, record: MaterialRecord, manifest: Manifest, tensors: frozenset[str]) -> Path:
        """See :class:`Materials`."""
        return await self.inner.folder(record, manifest, tensors)

    async def text(self, recipe: Recipe) -> str:
        """See :class:`Materials`."""
        return await self.inner.text(recipe)


def about_of(record: MaterialRecord) -> About:
    """What kind of manifest a record names."""
    offer = record.record
    if isinstance(offer, Round):
        return Checkpoint()
    match offer.kind, offer.base:
        case Kind.DELTA, bytes() as base:
            return Delta(base)
        case Kind.ADAPTER, bytes() as base:
            return Adapter(base)
        case Kind.CHECKPOINT, _:
            return Checkpoint()
    raise UnavailableError(
        f"contribution {record.id.hex()} is of the kind {offer.kind}, which cannot be merged again here"
    )


class PerhapsPart(ModelFolder):
    """A folder in which holes are no harm: nothing but what was asked for is looked at."""

    def has(self, name: str) -> bool:
        """As in any folder, without the mark of a part."""
        return name != PART and super().has(name)


def _stated(folder: Path) -> Manifest | None:
    """What a folder's own manifest says, if it has one that parses."""
    try:
        data = read_inside(folder, MANIFEST_FILE, MAX_MANIFEST_BYTES)
        return None if data is None else Manifest.parse(data)
    except PeerError:
        return None


def _is_of(record: MaterialRecord, manifest: Manifest) -> bool:
    try:
        check_manifest(record.record, manifest)
    except PeerError:
        return False
    return True


def _said(record: MaterialRecord) -> str:
    if isinstance(record.record, Round):
        return f"the base {record.record.base.root.hex()} of round {record.id.hex()}"
    return f"contribution {record.id.hex()}"


def _check_blob(path: Path, start: int, entry: FileEntry | TensorEntry) -> None:
    hasher = Hasher()
    with reading(path) as fd:
        for at in range(0, entry.size, CHUNK_BYTES):
            hasher.update(read_up_to(fd, min(CHUNK_BYTES, entry.size - at), start + at))
    if hasher.finish().id != entry.blob_id:
        raise ForgedError(f"{shown(entry.name)} in {path} is not what its manifest says; fetch it again")
