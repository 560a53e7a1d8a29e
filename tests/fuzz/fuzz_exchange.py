"""Messages and certificates of the direct road: what is accepted is the same after it was written."""

from collections.abc import Callable
from typing import TypeVar

from protocol.errors import PeerError
from protocol.exchange.pieces import Assembly, ListAssembly
from protocol.roads.grpc import messages
from protocol.roads.grpc.address import Address
from protocol.roads.grpc.certificate import node_key

Value = TypeVar("Value")


def one(data: bytes) -> None:
    """Every parser, over the same bytes."""
    _stable(data, messages.read_records_request, messages.write_records_request)
    _stable(data, messages.read_chunk_list_request, messages.write_chunk_list_request)
    _stable(data, messages.read_chunks_request, messages.write_chunks_request)
    _stable(data, messages.read_record, messages.write_record)
    _stable(data, messages.read_chunk_list_part, messages.write_chunk_list_part)
    _stable(data, messages.read_piece, messages.write_piece)
    _stable(data.decode("latin-1"), Address.parse, str)
    _refused(lambda: Assembly([0, 1]).add(messages.read_piece(data)))
    _refused(lambda: ListAssembly(1 << 20).add(data))
    _refused(lambda: node_key(data))


Spelling = TypeVar("Spelling", bytes, str)


def _stable(data: Spelling, read: Callable[[Spelling], Value], write: Callable[[Value], Spelling]) -> None:
    try:
        found = read(data)
    except PeerError:
        return
    assert read(write(found)) == found


def _refused(work: Callable[[], object]) -> None:
    try:
        work()
    except PeerError:
        return
