"""What can be asked for in one request. Frozen and valid once built, so both sides keep to the same limits."""

from dataclasses import dataclass

from protocol.blobs.chunks import CHUNK_BYTES, DIGEST_BYTES, MAX_BLOB_BYTES
from protocol.errors import MalformedError, TooLargeError

MAX_RECORDS_PER_REQUEST = 128
"""At most 4 MiB of envelopes."""

MAX_CHUNKS_PER_REQUEST = 64
"""64 MiB."""

MAX_CHUNK_INDEX = MAX_BLOB_BYTES // CHUNK_BYTES - 1
"""The last chunk of the largest blob."""


@dataclass(frozen=True)
class RecordsRequest:
    """Records by their ids, each asked for once."""

    ids: tuple[bytes, ...]

    def __post_init__(self) -> None:
        _check_count(len(self.ids), MAX_RECORDS_PER_REQUEST, "records")
        for record_id in self.ids:
            _check_digest(record_id, "record id")
        if len(set(self.ids)) != len(self.ids):
            raise MalformedError("a request for the same record twice")


@dataclass(frozen=True)
class ChunkListRequest:
    """The digests of a blob's chunks."""

    blob_id: bytes

    def __post_init__(self) -> None:
        _check_digest(self.blob_id, "blob id")


@dataclass(frozen=True)
class ChunksRequest:
    """Chunks of one blob, in ascending order."""

    blob_id: bytes
    indices: tuple[int, ...]

    def __post_init__(self) -> None:
        _check_digest(self.blob_id, "blob id")
        _check_count(len(self.indices), MAX_CHUNKS_PER_REQUEST, "chunks")
        before = -1
        for index in self.indices:
            if index <= before:
                raise MalformedError(f"a request for chunk {index} after chunk {before}; indices ascend")
            if index > MAX_CHUNK_INDEX:
                raise TooLargeError(f"a request for chunk {index}; the largest blob ends with {MAX_CHUNK_INDEX}")
            before = index


def _check_count(count: int, most: int, what: str) -> None:
    if count == 0:
        raise MalformedError(f"a request for no {what}")
    if count > most:
        raise TooLargeError(f"a request for {count} {what}; at most {most} are asked for at once")


def _check_digest(digest: bytes, what: str) -> None:
    if len(digest) != DIGEST_BYTES:
        raise MalformedError(f"a {what} of {len(digest)} bytes; it has {DIGEST_BYTES}")
