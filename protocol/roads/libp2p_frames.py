"""What goes over a libp2p stream: one request, then the frames of its answer. Pure.

A request is ``length version kind body``: length in 2 bytes little-endian (of what follows it), version and kind in
one each. The bodies:

====  ==========  ==========================================
kind  asks for    body
====  ==========  ==========================================
1     who         nothing
2     records     ids of 32 bytes
3     chunk list  blob id
4     chunks      blob id, then indices in 4 bytes each
====  ==========  ==========================================

A frame is ``kind length payload``, the length in 4 bytes little-endian. The payloads:

====  =========  ==========================================================
kind  says       payload
====  =========  ==========================================================
1     key        the server's public key, 33 bytes
2     record     an encoded envelope
3     list       a part of a chunk list
4     piece      index and size of a chunk in 4 bytes each, a part of it
5     end        nothing: the answer is complete
6     busy       milliseconds to wait, 4 bytes
7     absent     nothing: the blob is not here
8     refused    why, ASCII
9     too old    the oldest version that the server reads, 1 byte
10    too new    the newest one, 1 byte
====  =========  ==========================================================

Rules:

1. A length is checked against the limit of its kind before anything is set aside for it.
2. From 5 on a frame ends the answer. What ends without one is not complete.
3. A version that is not ``VERSION`` is answered with frame 9 or 10, whatever follows it.
"""

from dataclasses import dataclass
from enum import IntEnum

from protocol.blobs.chunks import DIGEST_BYTES
from protocol.envelope import MAX_ENVELOPE_BYTES
from protocol.errors import (
    BusyError,
    MalformedError,
    PeerError,
    TooLargeError,
    TooNewError,
    TooOldError,
    UnavailableError,
)
from protocol.exchange.answers import MAX_REASON_CHARACTERS, bearable, refusal
from protocol.exchange.pieces import PIECE_BYTES, Piece
from protocol.exchange.requests import MAX_RECORDS_PER_REQUEST, ChunkListRequest, ChunksRequest, RecordsRequest
from protocol.identity.public import POINT_BYTES

HANDLER = "umm/exchange"
"""What the streams are called."""

VERSION = 1

ACKNOWLEDGED = b"\x06"
"""The one byte with which the asking side says that it has the answer, before it closes."""

LENGTH_BYTES = 2
"""Of a request's length."""

HEAD_BYTES = 5
"""Kind and length of a frame."""

INDEX_BYTES = 4
PIECE_HEAD_BYTES = 2 * INDEX_BYTES

MAX_REQUEST_BYTES = 2 + MAX_RECORDS_PER_REQUEST * DIGEST_BYTES
"""Version, kind and the longest body."""


class Ask(IntEnum):
    """Kinds of requests; a number is never used again."""

    WHO = 1
    RECORDS = 2
    CHUNK_LIST = 3
    CHUNKS = 4


class Say(IntEnum):
    """Kinds of frames; a number is never used again."""

    KEY = 1
    RECORD = 2
    LIST = 3
    PIECE = 4
    END = 5
    BUSY = 6
    ABSENT = 7
    REFUSED = 8
    TOO_OLD = 9
    TOO_NEW = 10


LENGTHS = {
    Say.KEY: (POINT_BYTES, POINT_BYTES),
    Say.RECORD: (1, MAX_ENVELOPE_BYTES),
    Say.LIST: (1, PIECE_BYTES),
    Say.PIECE: (PIECE_HEAD_BYTES, PIECE_HEAD_BYTES + PIECE_BYTES),
    Say.END: (0, 0),
    Say.BUSY: (INDEX_BYTES, INDEX_BYTES),
    Say.ABSENT: (0, 0),
    Say.REFUSED: (0, MAX_REASON_CHARACTERS),
    Say.TOO_OLD: (1, 1),
    Say.TOO_NEW: (1, 1),
}
"""The shortest and the longest payload of each kind, in bytes."""


@dataclass(frozen=True)
class WhoRequest:
    """Which key does the server hold?"""


AnyRequest = WhoRequest | RecordsRequest | ChunkListRequest | ChunksRequest


def write_request(request: AnyRequest) -> bytes:
    """The bytes of a request, with its length."""
    match request:
        case WhoRequest():
            kind, body = Ask.WHO, b""
        case RecordsRequest(ids):
            kind, body = Ask.RECORDS, b"".join(ids)
        case ChunkListRequest(blob_id):
            kind, body = Ask.CHUNK_LIST, blob_id
        case ChunksRequest(blob_id, indices):
            kind, body = Ask.CHUNKS, blob_id + b"".join(map(_number, indices))
    data = bytes([VERSION, kind]) + body
    return len(data).to_bytes(LENGTH_BYTES, "little") + data


def request_length(prefix: bytes) -> int:
    """How many bytes of request follow, checked before they are read."""
    length = int.from_bytes(prefix, "little")
    if length > MAX_REQUEST_BYTES:
        raise TooLargeError(f"a request of {length} bytes; at most {MAX_REQUEST_BYTES} are read")
    if length < 2:
        raise MalformedError(f"a request of {length} bytes; it begins with version and kind")
    return length


def read_request(data: bytes) -> AnyRequest:
    """The request in these bytes, which follow its length."""
    if len(data) < 2:
        raise MalformedError(f"a request of {len(data)} bytes; it begins with version and kind")
    version, kind, body = data[0], data[1], data[2:]
    if version < VERSION:
        raise TooOldError(f"a request of version {version}, which is no longer read; update your program")
    if version > VERSION:
        raise TooNewError(f"a request of version {version}; this node reads up to {VERSION}")
    if kind == Ask.WHO and not body:
        return WhoRequest()
    if kind == Ask.RECORDS:
        return RecordsRequest(tuple(_cut(body, DIGEST_BYTES)))
    if kind == Ask.CHUNK_LIST:
        return ChunkListRequest(body)
    if kind == Ask.CHUNKS:
        indices = (int.from_bytes(part, "little") for part in _cut(body[DIGEST_BYTES:], INDEX_BYTES))
        return ChunksRequest(body[:DIGEST_BYTES], tuple(indices))
    raise MalformedError(f"a request of kind {kind} with {len(body)} bytes, which means nothing")


def write_frame(kind: Say, payload: bytes = b"") -> bytes:
    """One frame."""
    return bytes([kind]) + _number(len(payload)) + payload


def write_piece(piece: Piece) -> tuple[bytes, bytes]:
    """The frame of a piece in two parts, so that its data is not copied once more."""
    head = bytes([Say.PIECE]) + _number(PIECE_HEAD_BYTES + len(piece.data))
    return head + _number(piece.index) + _number(piece.size), piece.data


def write_error(error: PeerError) -> bytes:
    """The frame that ends an answer because of an error."""
    match error:
        case BusyError():
            milliseconds = round(bearable(error.retry_after) * 1000)
            return write_frame(Say.BUSY, _number(milliseconds))
        case UnavailableError():
            return write_frame(Say.ABSENT)
        case TooOldError():
            return write_frame(Say.TOO_OLD, bytes([VERSION]))
        case TooNewError():
            return write_frame(Say.TOO_NEW, bytes([VERSION]))
    return write_frame(Say.REFUSED, str(error).encode("ascii", "replace")[:MAX_REASON_CHARACTERS])


def read_head(head: bytes) -> tuple[Say, int]:
    """Kind and length of the frame that follows, checked before anything is set aside for it."""
    if len(head) != HEAD_BYTES or head[0] not in LENGTHS:
        raise MalformedError(f"a frame that begins with {head[:HEAD_BYTES].hex() or 'nothing'}, which means nothing")
    kind, length = Say(head[0]), int.from_bytes(head[1:], "little")
    least, most = LENGTHS[kind]
    if length > most:
        raise TooLargeError(f"a frame ({kind.name.lower()}) of {length} bytes; at most {most} are read")
    if length < least:
        raise MalformedError(f"a frame ({kind.name.lower()}) of {length} bytes; it has at least {least}")
    return kind, length


def read_piece(payload: bytes) -> Piece:
    """The piece in a frame of that kind."""
    index, size = payload[:INDEX_BYTES], payload[INDEX_BYTES:PIECE_HEAD_BYTES]
    return Piece(int.from_bytes(index, "little"), int.from_bytes(size, "little"), payload[PIECE_HEAD_BYTES:])


def read_error(kind: Say, payload: bytes, where: str) -> PeerError | None:
    """What the last frame of an answer means for whoever asked, ``where`` naming the peer; None if all is well."""
    match kind:
        case Say.END:
            return None
        case Say.BUSY:
            seconds = bearable(int.from_bytes(payload, "little") / 1000)
            return BusyError(f"{where} is busy; ask again in {seconds:g} s", seconds)
        case Say.ABSENT:
            return UnavailableError(f"{where} does not have it")
        case Say.REFUSED:
            return refusal(where, payload.decode("ascii", "replace"))
        case Say.TOO_OLD:
            return TooNewError(f"{where} reads version {payload[0]} and up, this program speaks {VERSION}; update it")
        case Say.TOO_NEW:
            return TooOldError(f"{where} reads up to version {payload[0]}, this program speaks {VERSION}")
    return MalformedError(f"{where} sent a frame ({kind.name.lower()}) that does not belong into this answer")


def _number(value: int) -> bytes:
    return value.to_bytes(INDEX_BYTES, "little")


def _cut(data: bytes, size: int) -> list[bytes]:
    if len(data) % size:
        raise MalformedError(f"a request whose list of {len(data)} bytes cannot be cut into parts of {size}")
    return [data[start : start + size] for start in range(0, len(data), size)]
