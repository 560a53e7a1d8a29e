"""Level 1: every byte of a model folder against the root that a round's outcome names.

The root says whether anything differs. To say what, the manifest of the outcome is needed (``manifest.umm`` in the
folder, or from a peer); to say which chunk of a large tensor, the list of its chunks (from a peer). Both prove
themselves by their ids, so it does not matter who brings them.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby, zip_longest
from pathlib import Path

from node.plainfile import read_inside
from node.verify.report import Finding, Gravity, What
from protocol.blobs.chunks import ChunkList
from protocol.blobs.folder import FolderSource
from protocol.blobs.kinds import Checkpoint
from protocol.blobs.manifest import MAX_MANIFEST_BYTES, FileEntry, Manifest, TensorEntry
from protocol.errors import PeerError, UsageError
from protocol.offer import check_manifest
from protocol.records import Outcome
from protocol.strict import shown

MANIFEST_FILE = "manifest.umm"
"""The bytes of the outcome's manifest, beside a model that was pulled."""

MAX_RANGES = 8
"""Runs of chunks that one finding spells out."""

AGAIN = "do not use this folder; pull the model again"

Lists = Callable[[bytes], ChunkList | None]
"""Chunk lists that are at hand, by blob id."""


@dataclass(frozen=True)
class Looked:
    """A folder as its bytes are."""

    manifest: Manifest | None
    """None where the folder is no checkpoint that could be read; ``problem`` says why."""
    lists: Mapping[bytes, ChunkList] = field(default_factory=dict)
    problem: str = ""

    @property
    def root(self) -> bytes | None:
        """What the folder is."""
        return self.manifest.root if self.manifest else None

    @property
    def size(self) -> int:
        """Bytes that were hashed."""
        return self.manifest.total_bytes if self.manifest else 0


def look(folder: Path) -> Looked:
    """Hash every byte of the model in a folder."""
    try:
        with FolderSource(folder, Checkpoint()) as source:
            return Looked(source.manifest, source.lists)
    except (PeerError, UsageError) as error:
        return Looked(None, problem=str(error))


def claimed_manifest(folder: Path, outcome: Outcome) -> tuple[Manifest | None, tuple[Finding, ...]]:
    """What ``manifest.umm`` says the model is made of, if it is the outcome's; and what is wrong with it."""
    try:
        data = read_inside(folder, MANIFEST_FILE, MAX_MANIFEST_BYTES)
        if data is None:
            return None, ()
        manifest = Manifest.parse(data)
        check_manifest(outcome, manifest)
    except PeerError as error:
        text = f"{MANIFEST_FILE} in the folder is not the manifest of this model: {error}"
        advice = "it is not used; pull the model again to have the right one"
        return None, (Finding(What.MANIFEST_WRONG, Gravity.WARNING, text, advice, MANIFEST_FILE),)
    return manifest, ()


def compare(looked: Looked, root: bytes, manifest: Manifest | None, lists: Lists = lambda _: None) -> Iterator[Finding]:
    """What is wrong with a folder that should have this root; ``manifest`` is the one under that root."""
    if looked.manifest is None:
        yield Finding(What.FOLDER_BROKEN, Gravity.FAULT, f"the folder is no readable model: {looked.problem}", AGAIN)
        return
    if looked.root == root:
        return
    text = f"the folder has the root {looked.manifest.root.hex()}, the outcome names {root.hex()}"
    if manifest is None:
        text += f"; without the right {MANIFEST_FILE} nobody can say which part differs"
    yield Finding(What.ROOT_DIFFERS, Gravity.FAULT, text, AGAIN)
    if manifest is not None:
        yield from _files(looked, manifest, lists)
        yield from _tensors(looked, manifest, lists)


def differing_chunks(one: ChunkList, other: ChunkList) -> tuple[int, ...]:
    """Which chunks two blobs do not share."""
    pairs = enumerate(zip_longest(one.digests, other.digests))
    return tuple(index for index, (a, b) in pairs if a != b)


def _files(looked: Looked, manifest: Manifest, lists: Lists) -> Iterator[Finding]:
    found = {entry.name: entry for entry in _of(looked).files}
    for entry in manifest.files:
        here = found.pop(entry.name, None)
        if here is None:
            yield _finding(What.FILE_MISSING, entry.name, f"{entry.name} is missing")
        elif here.blob_id != entry.blob_id:
            where = _where(looked, here, entry, lists)
            yield _finding(What.FILE_DIFFERS, entry.name, f"{entry.name} is not the one of the model{where}")
    for name in found:
        yield _finding(What.FILE_ADDED, name, f"{name} is not part of the model, and programs would read it")


def _tensors(looked: Looked, manifest: Manifest, lists: Lists) -> Iterator[Finding]:
    found = {entry.name: entry for entry in _of(looked).tensors}
    for entry in manifest.tensors:
        here = found.pop(entry.name, None)
        name = shown(entry.name)
        if here is None:
            yield _finding(What.TENSOR_MISSING, entry.name, f"the tensor {name} is missing")
        elif (here.dtype, here.shape) != (entry.dtype, entry.shape):
            forms = f"{here.dtype} {list(here.shape)} in place of {entry.dtype} {list(entry.shape)}"
            yield _finding(What.TENSOR_DIFFERS, entry.name, f"the tensor {name} is {forms}")
        elif here.blob_id != entry.blob_id:
            where = _where(looked, here, entry, lists)
            yield _finding(What.TENSOR_DIFFERS, entry.name, f"the tensor {name} has other values{where}")
    for name in found:
        yield _finding(What.TENSOR_ADDED, name, f"the tensor {shown(name)} is not part of the model")


def _where(looked: Looked, here: FileEntry | TensorEntry, entry: FileEntry | TensorEntry, lists: Lists) -> str:
    """In which chunks two versions of something differ, as far as that is known."""
    mine, right = looked.lists[here.blob_id], lists(entry.blob_id)
    if here.size != entry.size:
        return f": {here.size} bytes in place of {entry.size}"
    if right is None:
        count = len(mine.digests)
        return "" if count == 1 else f" somewhere in its {count} chunks; a peer can say in which"
    return f", in {spelled(differing_chunks(right, mine))} of {len(right.digests)}"


def spelled(chunks: Iterable[int]) -> str:
    """``chunks 0-3, 7``."""
    runs = [[index for _, index in run] for _, run in groupby(enumerate(chunks), lambda pair: pair[1] - pair[0])]
    texts = [f"{run[0]}-{run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs]
    more = ", …" if len(texts) > MAX_RANGES else ""
    noun = "chunk" if len(runs) == 1 and len(runs[0]) == 1 else "chunks"
    return f"{noun} {', '.join(texts[:MAX_RANGES])}{more}"


def _finding(what: What, subject: str, text: str) -> Finding:
    return Finding(what, Gravity.FAULT, text, AGAIN, subject)


def _of(looked: Looked) -> Manifest:
    assert looked.manifest is not None  # noqa: S101 - compare looked before
    return looked.manifest
