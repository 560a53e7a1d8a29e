"""What a model folder is made of: a table of files and a table of tensors, each naming a blob. Itself a blob.

Layout, numbers little-endian and unsigned, ``field`` as everywhere::

    field("umm/manifest")  version: 1 byte (1)  kind: 1 byte (``kinds``)  field(what the kind says about itself)
    number of files: 4     then for each: field(name)  size: 8  blob id: 32
    number of tensors: 4   then for each: field(name)  field(dtype)  number of dimensions: 4  each: 8  blob id: 32

Rules:

1. There is one way to write a manifest: both tables in ascending order of name, no name twice, nothing after the end.
2. File names come from the closed list of the kind; those that the kind requires are there. There is a tensor.
3. A blob that is named twice has one size. All of it together has at most ``MAX_TOTAL_BYTES``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Self

from protocol import checkpoint_root
from protocol.blobs.chunks import DIGEST_BYTES, ChunkList
from protocol.blobs.kinds import KINDS, About, file_limit
from protocol.blobs.tensor import MAX_DIMENSIONS, MAX_TENSORS, byte_size, check_name, shown
from protocol.errors import MalformedError, TooLargeError, TooNewError
from protocol.field import LENGTH_BYTES, field

DOMAIN = field(b"umm/manifest")
VERSION = 1

MAX_MANIFEST_BYTES = 16 * 2**20
MAX_FILES = 64
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

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """The manifest in these bytes."""
        if len(data) > MAX_MANIFEST_BYTES:
            raise TooLargeError(f"a manifest of {len(data)} bytes; the limit is {MAX_MANIFEST_BYTES}")
        reader = _Reader(data)
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
        parts = [DOMAIN, _number(VERSION, 1), _number(self.about.CODE, 1), field(self.about.encode())]
        parts.append(_number(len(self.files), 4))
        parts += [field(f.name.encode()) + _number(f.size, 8) + f.blob_id for f in self.files]
        parts.append(_number(len(self.tensors), 4))
        for t in self.tensors:
            sides = b"".join(_number(side, 8) for side in t.shape)
            parts += [field(t.name.encode()), field(t.dtype.encode()), _number(len(t.shape), 4), sides, t.blob_id]
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


class _Reader:
    """Takes bytes off the front, never more than there are."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, size: int) -> bytes:
        """The next ``size`` bytes."""
        found = self._data[self._at : self._at + size]
        if len(found) != size:
            raise MalformedError(f"a manifest ends at byte {len(self._data)}, in the middle of something")
        self._at += size
        return found

    def number(self, size: int) -> int:
        """A number of ``size`` bytes."""
        return int.from_bytes(self.take(size), "little")

    def field(self) -> bytes:
        """A length and as many bytes."""
        return self.take(self.number(LENGTH_BYTES))

    def text(self) -> str:
        """A field of UTF-8."""
        try:
            return self.field().decode("utf-8")
        except UnicodeDecodeError:
            raise MalformedError(f"a manifest has a name before byte {self._at} that is not UTF-8") from None

    def count(self, limit: int, least: int, what: str) -> int:
        """How many entries follow, checked before any is made."""
        found = self.number(4)
        if found > limit:
            raise TooLargeError(f"a manifest claims {found} {what}; the limit is {limit}")
        if found * least > len(self._data) - self._at:
            raise MalformedError(f"a manifest claims {found} {what}, more than its bytes can hold")
        return found

    def end(self) -> None:
        """Refuse anything that is left."""
        if self._at != len(self._data):
            raise MalformedError(f"a manifest has {len(self._data) - self._at} bytes after its end")


def _about(reader: _Reader) -> About:
    if reader.take(len(DOMAIN)) != DOMAIN:
        raise MalformedError("these bytes are not a manifest")
    version = reader.number(1)
    if version > VERSION:
        raise TooNewError(f"a manifest of version {version}; this program reads version {VERSION}, so update it")
    if version < VERSION:
        raise MalformedError(f"a manifest of version {version}, which there never was")
    code = reader.number(1)
    if code not in KINDS:
        raise MalformedError(f"a manifest of the unknown kind {code}")
    return KINDS[code].parse(reader.field())


def _file(reader: _Reader) -> FileEntry:
    return FileEntry(reader.text(), reader.number(8), reader.take(DIGEST_BYTES))


def _tensor(reader: _Reader) -> TensorEntry:
    name, dtype = reader.text(), reader.text()
    shape = tuple(reader.number(8) for _ in range(reader.count(MAX_DIMENSIONS, 8, "dimensions")))
    return TensorEntry(name, dtype, shape, reader.take(DIGEST_BYTES))


def _number(value: int, size: int) -> bytes:
    return value.to_bytes(size, "little")
