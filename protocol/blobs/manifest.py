"""What a model folder is made of: a table of files and a table of tensors, each naming a blob. Itself a blob.

Layout, numbers little-endian and unsigned, ``field`` as everywhere::

    field("umm/manifest")  version: 1 byte (1)  kind: 1 byte (``kinds``)  field(what the kind says about itself)
    number of files: 4     then for each: field(name)  size: 8  blob id: 32
    number of tensors: 4   then for each: field(name)  field(dtype)  number of dimensions: 4  each: 8  blob id: 32

Rules:

1. There is one way to write a manifest: both tables in ascending order of name, no name twice, nothing after the end.
2. File names come from the closed list of the kind; those that the kind requires are there. There is a tensor.
3. A blob that is named twice has one size. All of it together has at most ``MAX_TOTAL_BYTES``.
4. It can be assembled (``layout.check``): nobody downloads what could never become a folder.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Self

from protocol import checkpoint_root
from protocol.blobs import layout
from protocol.blobs.chunks import DIGEST_BYTES, ChunkList
from protocol.blobs.kinds import KINDS, About, file_limit
from protocol.blobs.tensor import MAX_DIMENSIONS, MAX_NAME_BYTES, MAX_TENSORS, byte_size, check_name
from protocol.errors import MalformedError, TooLargeError, TooNewError
from protocol.field import LENGTH_BYTES, field, number
from protocol.reader import Reader
from protocol.strict import shown

DOMAIN = b"umm/manifest"
VERSION = 1

MAX_MANIFEST_BYTES = 16 * 2**20
MAX_FILES = 64
MAX_ABOUT_BYTES = 64
MAX_TOTAL_BYTES = 2**44
"""16 TiB: all tensors and files of one manifest."""

MIN_FILE_BYTES = LENGTH_BYTES + 1 + 8 + DIGEST_BYTES
MIN_TENSOR_BYTES = LENGTH_BYTES + 1 + LENGTH_BYTES + 2 + 4 + DIGEST_BYTES
"""The shortest entries; a table cannot have more of them than there are bytes left."""


@dataclass(frozen=True)
class FileEntry:
    """A file beside the weights."""

    name: str
    size: int
    blob_id: bytes


@dataclass(frozen=True)
class TensorEntry:
    """A tensor; its blob is its values as they lie in a safetensors file."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    blob_id: bytes

    @cached_property
    def size(self) -> int:
        """Bytes of the values."""
        return byte_size(self.dtype, self.shape, f"the tensor {shown(self.name)}")


@dataclass(frozen=True)
class Manifest:
    """A checkpoint, delta, adapter or distributions by its blobs."""

    about: About
    files: tuple[FileEntry, ...]
    tensors: tuple[TensorEntry, ...]

    def __post_init__(self) -> None:
        _check_files(self.about, self.files)
        if not 0 < len(self.tensors) <= MAX_TENSORS:
            raise MalformedError(f"a manifest has {len(self.tensors)} tensors; 1 to {MAX_TENSORS} are allowed")
        for tensor in self.tensors:
            check_name(tensor.name, "a manifest")
        _check_order([tensor.name for tensor in self.tensors], "tensors")
        _check_sizes(self.entries)
        if len(self.encode()) > MAX_MANIFEST_BYTES:
            raise TooLargeError(f"a manifest of {len(self.encode())} bytes; the limit is {MAX_MANIFEST_BYTES}")
        layout.check(self)

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """The manifest in these bytes."""
        reader = Reader(data, "a manifest", MAX_MANIFEST_BYTES)
        about = _about(reader)
        files = tuple(_file(reader) for _ in range(reader.count(MAX_FILES, MIN_FILE_BYTES, "files")))
        tensors = tuple(_tensor(reader) for _ in range(reader.count(MAX_TENSORS, MIN_TENSOR_BYTES, "tensors")))
        reader.end()
        return cls(about, files, tensors)

    def encode(self) -> bytes:
        """The bytes that ``parse`` reads, and no others."""
        return self._encoded

    @cached_property
    def _encoded(self) -> bytes:
        parts = [field(DOMAIN), number(VERSION, 1), number(self.about.CODE, 1), field(self.about.encode())]
        parts.append(number(len(self.files), 4))
        parts += [field(f.name.encode()) + number(f.size, 8) + f.blob_id for f in self.files]
        parts.append(number(len(self.tensors), 4))
        for t in self.tensors:
            sides = b"".join(number(side, 8) for side in t.shape)
            parts += [field(t.name.encode()), field(t.dtype.encode()), number(len(t.shape), 4), sides, t.blob_id]
        return b"".join(parts)

    @cached_property
    def chunks(self) -> ChunkList:
        """The chunk list of the manifest's own bytes."""
        return ChunkList.of(self.encode())

    @property
    def id(self) -> bytes:
        """The blob id of the manifest's own bytes."""
        return self.chunks.id

    @cached_property
    def root(self) -> bytes:
        """The root over all tensors and files."""
        tensors = {t.name: checkpoint_root.tensor_leaf(t.name, t.dtype, t.shape, t.blob_id) for t in self.tensors}
        files = {f.name: checkpoint_root.file_leaf(f.name, f.blob_id) for f in self.files}
        return checkpoint_root.root(tensors, files)

    @property
    def entries(self) -> tuple[FileEntry | TensorEntry, ...]:
        """Both tables, one behind the other."""
        return (*self.files, *self.tensors)

    @cached_property
    def blobs(self) -> Mapping[bytes, int]:
        """Every blob once, with its size: small files first, then tensors by name."""
        return {entry.blob_id: entry.size for entry in self.entries}

    @cached_property
    def total_bytes(self) -> int:
        """Bytes of all files and tensors, a blob that is used twice counted twice."""
        return sum(entry.size for entry in self.entries)


def _check_files(about: About, files: Sequence[FileEntry]) -> None:
    names = [file.name for file in files]
    if strange := [name for name in names if name not in about.ALLOWED]:
        raise MalformedError(
            f"the manifest of a {about.NAME} names the file {shown(strange[0])}, which has no place there"
        )
    if missing := about.REQUIRED.difference(names):
        raise MalformedError(f"the manifest of a {about.NAME} names no {min(missing)}")
    _check_order(names, "files")
    for file in files:
        if not 0 <= file.size <= file_limit(file.name):
            raise TooLargeError(f"the file {file.name} has {file.size} bytes; the limit is {file_limit(file.name)}")


def _check_order(names: Sequence[str], what: str) -> None:
    for before, name in pairwise(names):
        if before == name:
            raise MalformedError(f"a manifest names {shown(name)} twice")
        if before > name:
            raise MalformedError(f"the {what} of a manifest are not in order: {shown(name)} comes too late")


def _check_sizes(entries: Sequence[FileEntry | TensorEntry]) -> None:
    sizes: dict[bytes, int] = {}
    total = 0
    for entry in entries:
        if len(entry.blob_id) != DIGEST_BYTES:
            raise MalformedError(f"the blob id of {shown(entry.name)} has {len(entry.blob_id)} bytes")
        if sizes.setdefault(entry.blob_id, entry.size) != entry.size:
            raise MalformedError(f"a manifest gives the blob of {shown(entry.name)} two sizes")
        total += entry.size
    if total > MAX_TOTAL_BYTES:
        raise TooLargeError(f"a manifest of {total} bytes in all; the limit is {MAX_TOTAL_BYTES}")


def _about(reader: Reader) -> About:
    reader.domain(DOMAIN)
    reader.version(VERSION)
    code = reader.number(1)
    if code > max(KINDS):
        raise TooNewError(f"a manifest of the kind {code}, which this program does not know; update it")
    if code not in KINDS:
        raise MalformedError(f"a manifest of the unknown kind {code}")
    return KINDS[code].parse(reader.field(MAX_ABOUT_BYTES))


def _file(reader: Reader) -> FileEntry:
    return FileEntry(reader.text(MAX_NAME_BYTES), reader.number(8), reader.take(DIGEST_BYTES))


def _tensor(reader: Reader) -> TensorEntry:
    name, dtype = reader.text(MAX_NAME_BYTES), reader.text(MAX_NAME_BYTES)
    shape = tuple(reader.number(8) for _ in range(reader.count(MAX_DIMENSIONS, 8, "dimensions")))
    return TensorEntry(name, dtype, shape, reader.take(DIGEST_BYTES))
