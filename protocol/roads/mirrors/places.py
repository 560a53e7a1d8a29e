"""Where each blob of a manifest lies in the files of a mirror, found out from their headers.

Rules:

1. Nothing but names, sizes and headers is read to find a place, and no more than ``weights_json.MAX_JSON_BYTES`` of
   any one file. Headers and index are parsed as strictly as those of a folder.
2. Where there is a single weight file it counts, otherwise the index says which file a tensor is in; that file's
   header has to agree. File names in an index are plain: they become a part of an address.
3. A tensor counts only with the dtype and shape that the manifest gives, a file only with its size: the bytes prove
   the rest.
4. What is kept of headers and index is about the manifest's tensors: memory does not grow with what a mirror says.
   Parsing takes long enough to be done in a thread.
"""

import asyncio
import re
from collections.abc import Callable, Mapping, Set
from contextlib import aclosing
from dataclasses import dataclass
from typing import TypeVar

from protocol.blobs import weights_json
from protocol.blobs.layout import MAX_SHARDS, index_name, single_name
from protocol.blobs.manifest import FileEntry, Manifest, TensorEntry
from protocol.blobs.safetensors_header import PREFIX_BYTES, Entry, header_length, parse_header
from protocol.blobs.tensor import MAX_TENSORS
from protocol.blobs.weights_json import MAX_JSON_BYTES
from protocol.errors import MalformedError, TooLargeError, UnavailableError
from protocol.roads.mirrors.files import Files
from protocol.strict import shown

SHARD_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,200}\.safetensors")

Value = TypeVar("Value")


@dataclass(frozen=True)
class Place:
    """A range of bytes in a file."""

    file: str
    start: int
    size: int


class Places:
    """The blobs of one manifest in the files of one mirror, looked up when they are asked for."""

    def __init__(self, manifest: Manifest, files: Files, address: str) -> None:
        self._files = files
        self._address = address
        self._about = manifest.about
        self._names = frozenset(tensor.name for tensor in manifest.tensors)
        self._entries: dict[bytes, FileEntry | TensorEntry] = {}
        for entry in manifest.entries:
            self._entries.setdefault(entry.blob_id, entry)
        self._shards: Mapping[str, str] | None = None
        self._single: str | None = None
        self._headers: dict[str, Mapping[str, Entry]] = {}
        self._lock = asyncio.Lock()

    async def find(self, blob_id: bytes) -> Place:
        """Where a blob lies. Raises :class:`UnavailableError` if this mirror does not have it."""
        entry = self._entries.get(blob_id)
        if entry is None:
            raise UnavailableError(f"blob {blob_id.hex()} is not in the manifest that {self._address} is a mirror of")
        if isinstance(entry, FileEntry):
            return Place(entry.name, 0, entry.size)
        async with self._lock:
            file = await self._file_of(entry.name)
            if file not in self._headers:
                self._headers[file] = await self._header(file)
        found = self._headers[file].get(entry.name)
        if found is None or (found.dtype, found.shape) != (entry.dtype, entry.shape):
            raise UnavailableError(f"{self._address} has no such tensor {shown(entry.name)} in {file}")
        return Place(file, found.start, found.size)

    async def _file_of(self, tensor: str) -> str:
        if self._single is None and self._shards is None:
            await self._look()
        if self._single is not None:
            return self._single
        found = (self._shards or {}).get(tensor)
        if found is None:
            raise UnavailableError(f"{self._address} has no tensor {shown(tensor)}")
        return found

    async def _look(self) -> None:
        """Single file or index?"""
        single = single_name(self._about)
        try:
            await self._files.size(single)
            self._single = single
        except UnavailableError:
            if not self._about.SHARDED:
                raise
            index = index_name(self._about)
            size = await self._files.size(index)
            data = await self._whole(index, 0, size)
            self._shards = await asyncio.to_thread(_only, self._names, parse_index, data, f"{self._address}: {index}")

    async def _header(self, file: str) -> Mapping[str, Entry]:
        where = f"{self._address}: {file}"
        size = await self._files.size(file)
        prefix = await self._whole(file, 0, min(size, PREFIX_BYTES))
        length = header_length(prefix, size, where)
        head = prefix + await self._whole(file, PREFIX_BYTES, length)
        here = self._names if self._shards is None else {name for name, other in self._shards.items() if other == file}
        return await asyncio.to_thread(_only, here, _entries, head, size, where)

    async def _whole(self, file: str, start: int, length: int) -> bytes:
        if length > MAX_JSON_BYTES:
            raise TooLargeError(f"{self._address}: {file} has {length} bytes to parse; the limit is {MAX_JSON_BYTES}")
        if length == 0:
            return b""
        async with aclosing(self._files.read(file, start, length)) as pieces:
            return b"".join([piece async for piece in pieces])


def parse_index(data: bytes, where: str) -> Mapping[str, str]:
    """Which file each tensor is in, from the bytes of an index."""
    weight_map = weights_json.parse(data, where).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise MalformedError(f"{where} has no weight_map")
    if len(weight_map) > MAX_TENSORS:
        raise TooLargeError(f"{where} names {len(weight_map)} tensors; the limit is {MAX_TENSORS}")
    for file in weight_map.values():
        if not isinstance(file, str) or not SHARD_NAME.fullmatch(file):
            raise MalformedError(f"{where} puts a tensor into {shown(str(file))}, which is no weight file beside it")
    if len(files := set(weight_map.values())) > MAX_SHARDS:
        raise TooLargeError(f"{where} names {len(files)} files; the limit is {MAX_SHARDS}")
    return weight_map


def _entries(head: bytes, size: int, where: str) -> Mapping[str, Entry]:
    return {entry.name: entry for entry in parse_header(head, size, where)}


def _only(names: Set[str], parse: Callable[..., Mapping[str, Value]], *arguments: object) -> Mapping[str, Value]:
    """Of what ``parse`` finds, that which has one of these names."""
    return {name: value for name, value in parse(*arguments).items() if name in names}
