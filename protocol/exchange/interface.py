"""What one node can ask of another, whichever road lies between them.

A :class:`Road` connects to a :class:`Peer`; a peer is asked for records by id, for a blob's chunk list and for chunks;
the other side takes the answers from a :class:`Shelf`.

Rules for every road:

1. Nothing that a peer sends is believed. A chunk list proves itself before it is returned. Records and chunks are
   returned as they came: whoever asked verifies them.
2. A peer that sends more, or other, than what was asked for is refused with :class:`MalformedError`, before memory is
   set aside for it.
3. A stream that ends is not a stream that is complete: what is missing from an answer was not sent.
4. When nothing arrives for ``STALL_SECONDS``, the call ends with :class:`UnavailableError`. A call never hangs.
5. A peer that has no capacity says so: :class:`BusyError`, with the seconds to wait.
6. Errors are those of ``protocol.errors`` only. Who is to blame is decided once for all roads (``answers``): a peer
   that refuses, or whose answer ends short, is unavailable, not a liar.
"""

from collections.abc import AsyncGenerator, Sequence
from typing import Protocol

from protocol.blobs.chunks import MAX_BLOB_BYTES, ChunkList
from protocol.blobs.source import Source
from protocol.identity import PublicKey

STALL_SECONDS = 10.0
"""How long nothing may arrive before a call is given up."""

CONNECT_SECONDS = 10.0
"""How long a connection may take to come about."""


class Peer(Protocol):
    """Another node, connected."""

    @property
    def address(self) -> str:
        """Where it was reached."""
        ...

    @property
    def identity(self) -> PublicKey | None:
        """The key it has proven to hold; None where the road has no keys (a mirror)."""
        ...

    async def records(self, ids: Sequence[bytes]) -> list[bytes]:
        """Encoded envelopes: those of ``ids`` that the peer has, in that order. Not verified; ids are digests.

        At most ``requests.MAX_RECORDS_PER_REQUEST`` ids.
        """
        ...

    async def chunk_list(self, blob_id: bytes, limit: int = MAX_BLOB_BYTES) -> ChunkList:
        """A blob's chunks, verified against its id; ``limit`` is the largest blob to accept, in bytes.

        Raises :class:`UnavailableError` if the peer does not have the blob.
        """
        ...

    def chunks(self, blob_id: bytes, indices: Sequence[int]) -> AsyncGenerator[tuple[int, bytes], None]:
        """Chunks with their index, in the order of ``indices`` (ascending); those the peer does not have are left out.

        Not verified. At most ``requests.MAX_CHUNKS_PER_REQUEST`` indices. Leaving the generator (``aclosing``) ends
        the transfer on both sides.
        """
        ...

    async def close(self) -> None:
        """End the connection and every call on it. Closing twice is allowed."""
        ...


class Road(Protocol):
    """One way of reaching peers."""

    async def connect(self, address: str, expected: PublicKey | None) -> Peer:
        """The peer at an address of this road's kind.

        With ``expected``, a peer that does not prove to hold this key is refused with :class:`ForgedError`. Raises
        :class:`UnavailableError` if nobody answers.
        """
        ...


class Shelf(Source, Protocol):
    """What a node serves: records, and blobs as any :class:`Source` has them."""

    async def record(self, record_id: bytes) -> bytes | None:
        """The encoded envelope with this id; None if it is not here."""
        ...
