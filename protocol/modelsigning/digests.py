"""Both worlds' digests of a file from one pass over its bytes: SHA-256 for signatures, chunks for the swarm."""

import hashlib
from dataclasses import dataclass

from protocol.blobs.chunks import ChunkList, Hasher


@dataclass(frozen=True)
class FileDigests:
    """What was computed; ``sha256`` can be given to ``sign_folder`` as known."""

    sha256: bytes
    chunks: ChunkList


class Digests:
    """Digests in the making: feed a file's bytes in order while they are written or read, cut anywhere."""

    def __init__(self) -> None:
        self._sha256 = hashlib.sha256()
        self._chunks = Hasher()

    def update(self, data: bytes | bytearray | memoryview) -> None:
        """Take the next bytes; long ones are hashed without holding Python's lock."""
        self._chunks.update(data)
        self._sha256.update(data)

    def finish(self) -> FileDigests:
        """The digests of all bytes so far."""
        return FileDigests(self._sha256.digest(), self._chunks.finish())
