"""Requests and frames of the libp2p road, of any bytes."""

import contextlib

from protocol.errors import PeerError
from protocol.exchange.pieces import Assembly, ListAssembly
from protocol.roads.libp2p_frames import (
    HEAD_BYTES,
    LENGTH_BYTES,
    Say,
    read_error,
    read_head,
    read_piece,
    read_request,
    request_length,
    write_frame,
    write_request,
)


def one(data: bytes) -> None:
    """Read a request and frames; what is accepted is what is written."""
    with contextlib.suppress(PeerError):
        length = request_length(data[:LENGTH_BYTES])
        if len(body := data[LENGTH_BYTES:][:length]) == length:  # a server waits for all of it
            assert write_request(read_request(body)) == data[: LENGTH_BYTES + length]
    with contextlib.suppress(PeerError):
        frames(data)


def frames(data: bytes) -> None:
    """What a client does with an answer."""
    chunks, chunk_list = Assembly([0, 7]), ListAssembly(1 << 30)
    while data:
        kind, length = read_head(data[:HEAD_BYTES])
        payload = data[HEAD_BYTES:][:length]
        if len(payload) < length:
            return
        assert write_frame(kind, payload) == data[: HEAD_BYTES + length]
        if kind is Say.PIECE:
            chunks.add(read_piece(payload))
        elif kind is Say.LIST:
            chunk_list.add(payload)
        else:
            read_error(kind, payload, "a peer")
        data = data[HEAD_BYTES + length :]
