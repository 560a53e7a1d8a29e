"""Bytes on the direct road to requests, pieces and records, and back. Strict: an unknown field is refused."""

from typing import TypeVar

from google.protobuf.message import DecodeError, Message
from google.protobuf.unknown_fields import UnknownFieldSet

from protocol.errors import MalformedError, TooLargeError
from protocol.exchange.pieces import PIECE_BYTES, Piece
from protocol.exchange.requests import ChunkListRequest, ChunksRequest, RecordsRequest
from protocol.roads.grpc import exchange_pb2 as wire

SERVICE = wire.DESCRIPTOR.services_by_name["Exchange"].full_name

MAX_REQUEST_BYTES = 8 * 1024
"""128 record ids take 4352."""

MAX_ANSWER_BYTES = PIECE_BYTES + 1024
"""The largest piece with its frame."""

Wire = TypeVar("Wire", bound=Message)


def path(method: str) -> str:
    """What gRPC calls a method."""
    return f"/{SERVICE}/{method}"


def write_records_request(request: RecordsRequest) -> bytes:
    """The bytes of a request."""
    return wire.RecordsRequest(ids=request.ids).SerializeToString()


def read_records_request(data: bytes) -> RecordsRequest:
    """The request in these bytes."""
    return RecordsRequest(tuple(_parse(wire.RecordsRequest, data, MAX_REQUEST_BYTES).ids))


def write_chunk_list_request(request: ChunkListRequest) -> bytes:
    """The bytes of a request."""
    return wire.ChunkListRequest(blob_id=request.blob_id).SerializeToString()


def read_chunk_list_request(data: bytes) -> ChunkListRequest:
    """The request in these bytes."""
    return ChunkListRequest(_parse(wire.ChunkListRequest, data, MAX_REQUEST_BYTES).blob_id)


def write_chunks_request(request: ChunksRequest) -> bytes:
    """The bytes of a request."""
    return wire.ChunksRequest(blob_id=request.blob_id, indices=request.indices).SerializeToString()


def read_chunks_request(data: bytes) -> ChunksRequest:
    """The request in these bytes."""
    found = _parse(wire.ChunksRequest, data, MAX_REQUEST_BYTES)
    return ChunksRequest(found.blob_id, tuple(found.indices))


def write_record(envelope: bytes) -> bytes:
    """The bytes of an answer."""
    return wire.Record(envelope=envelope).SerializeToString()


def read_record(data: bytes) -> bytes:
    """The envelope in these bytes; whether it may be as large as it is, ``exchange.answers`` says."""
    return _parse(wire.Record, data, MAX_ANSWER_BYTES).envelope


def write_chunk_list_part(data: bytes) -> bytes:
    """The bytes of an answer."""
    return wire.ChunkListPart(data=data).SerializeToString()


def read_chunk_list_part(data: bytes) -> bytes:
    """The part in these bytes."""
    return _parse(wire.ChunkListPart, data, MAX_ANSWER_BYTES).data


def write_piece(piece: Piece) -> bytes:
    """The bytes of an answer."""
    return wire.Piece(index=piece.index, size=piece.size, data=piece.data).SerializeToString()


def read_piece(data: bytes) -> Piece:
    """The piece in these bytes; whether it is in its place, :class:`Assembly` says."""
    found = _parse(wire.Piece, data, MAX_ANSWER_BYTES)
    return Piece(found.index, found.size, found.data)


def _parse(kind: type[Wire], data: bytes, limit: int) -> Wire:
    name = kind.DESCRIPTOR.name
    if len(data) > limit:
        raise TooLargeError(f"a {name} of {len(data)} bytes; at most {limit} are allowed")
    try:
        found = kind.FromString(data)
    except DecodeError:
        raise MalformedError(f"these {len(data)} bytes are not a {name}") from None
    if len(UnknownFieldSet(found)):
        raise MalformedError(f"a {name} with a field that this version does not have")
    return found
