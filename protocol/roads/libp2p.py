"""The asking end of the road through p2pd: raw libp2p streams, which also reach nodes behind NAT. ``libp2p_frames``
says what goes over them.

Rules:

1. One stream for one request. libp2p has proven who is at its other end before the first byte; the key with which a
   node then answers has to be the one in its peer id.
2. An answer is whole only when its last frame has come: a killed peer looks like a stream that ended. Then the asking
   side acknowledges and closes first, because what the other side still has under way when *it* closes can be lost.
3. Every wait is bounded: for a connection by ``CONNECT_SECONDS``, for a stream to open and for bytes by
   ``STALL_SECONDS``.
4. p2pd may be started again at any time: it is asked for anew with every request.
"""

import asyncio
import re
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import Any, Self, TypeVar

from protocol import hivemind_light  # isort: skip  # noqa: F401  # before hivemind

from hivemind.p2p import P2P, PeerID
from hivemind.p2p.p2p_daemon_bindings.utils import ControlFailure, raise_if_failed, read_pbmsg_safe, write_pbmsg
from hivemind.proto import p2pd_pb2
from hivemind.utils.multiaddr import Multiaddr

from protocol.blobs.chunks import MAX_BLOB_BYTES, ChunkList
from protocol.errors import EnvironmentFault, ForgedError, MalformedError, UnavailableError
from protocol.exchange import answers
from protocol.exchange.interface import CONNECT_SECONDS, STALL_SECONDS
from protocol.exchange.requests import ChunkListRequest, ChunksRequest, RecordsRequest
from protocol.identity import PublicKey
from protocol.identity.libp2p import parse_peer_id
from protocol.roads.arrivals import Arrivals
from protocol.roads.libp2p_frames import (
    ACKNOWLEDGED,
    HANDLER,
    HEAD_BYTES,
    AnyRequest,
    Say,
    WhoRequest,
    read_error,
    read_head,
    read_piece,
    write_request,
)

MAX_ADDRESS_CHARACTERS = 512

Item = TypeVar("Item")

_ADDRESS = re.compile(r"(?P<where>(?:/[A-Za-z0-9.:_-]+)*)/p2p/(?P<peer>[1-9A-HJ-NP-Za-km-z]+)")


class Libp2pRoad:
    """Connects through p2pd; ``daemon`` gives the one that runs now (``lambda: swarm.p2p``)."""

    def __init__(self, daemon: Callable[[], P2P], stall_seconds: float = STALL_SECONDS) -> None:
        self._daemon = daemon
        self._stall = stall_seconds

    async def connect(self, address: str, expected: PublicKey | None) -> "Libp2pPeer":
        """See :class:`protocol.exchange.interface.Road`.

        An address is ``/p2p/Qm…``, looked up in the swarm, or a multiaddr that ends so.
        """
        where, peer_id = _parse(address)
        if expected is not None and expected.peer_id != peer_id:
            raise ForgedError(f"{address} is of {peer_id}, not of {expected.peer_id} ({expected.name})")
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                if where is not None:
                    await _dial(self._daemon(), peer_id, where)
                identity = await _who(self._daemon, peer_id, self._stall)
        except TimeoutError:
            raise UnavailableError(f"{address} did not answer within {CONNECT_SECONDS:.0f} s") from None
        return Libp2pPeer(self._daemon, address, identity, self._stall)


class Libp2pPeer:
    """A node that p2pd can open streams to."""

    def __init__(self, daemon: Callable[[], P2P], address: str, identity: PublicKey, stall_seconds: float) -> None:
        self._daemon = daemon
        self._address = address
        self._identity = identity
        self._stall = stall_seconds
        self._closed = False

    @property
    def address(self) -> str:
        """See :class:`protocol.exchange.interface.Peer`."""
        return self._address

    @property
    def identity(self) -> PublicKey:
        """See :class:`protocol.exchange.interface.Peer`."""
        return self._identity

    async def records(self, ids: Sequence[bytes]) -> list[bytes]:
        """See :class:`protocol.exchange.interface.Peer`."""
        request = RecordsRequest(tuple(ids))
        return await answers.records(self._ask(request, Say.RECORD, bytes), request, self._address)

    async def chunk_list(self, blob_id: bytes, limit: int = MAX_BLOB_BYTES) -> ChunkList:
        """See :class:`protocol.exchange.interface.Peer`."""
        request = ChunkListRequest(blob_id)
        return await answers.chunk_list(self._ask(request, Say.LIST, bytes), request, limit, self._address)

    def chunks(self, blob_id: bytes, indices: Sequence[int]) -> AsyncGenerator[tuple[int, bytes], None]:
        """See :class:`protocol.exchange.interface.Peer`."""
        request = ChunksRequest(blob_id, tuple(indices))
        return answers.chunks(self._ask(request, Say.PIECE, read_piece), request)

    async def close(self) -> None:
        """See :class:`protocol.exchange.interface.Peer`. The connection itself belongs to p2pd."""
        self._closed = True

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _ask(self, request: AnyRequest, kind: Say, read: Callable[[bytes], Item]) -> AsyncGenerator[Item, None]:
        """What the frames of an answer carry."""
        if self._closed:
            raise UnavailableError(f"the connection to {self._address} is closed")
        async with aclosing(_ask(self._daemon(), self._identity.peer_id, request, kind, self._stall)) as payloads:
            async for payload in payloads:
                yield read(payload)


async def _who(daemon: Callable[[], P2P], peer_id: str, stall: float) -> PublicKey:
    """The key of the node with this peer id, shown by itself."""
    async with aclosing(_ask(daemon(), peer_id, WhoRequest(), Say.KEY, stall)) as points:
        shown = [PublicKey.from_point(point) async for point in points]
    if [key.peer_id for key in shown] != [peer_id]:
        raise ForgedError(f"{peer_id} does not show the key that its peer id is of")
    return shown[0]


async def _ask(p2p: P2P, peer_id: str, request: AnyRequest, kind: Say, stall: float) -> AsyncGenerator[bytes, None]:
    """The payloads of an answer, all of one kind. Leaving this generator ends the stream on both sides."""
    reader, writer = await _open(p2p, peer_id, stall)
    arrivals = Arrivals(reader, stall)
    try:
        writer.write(write_request(request))
        while True:
            said, length = read_head(await arrivals.exactly(HEAD_BYTES))
            payload = await arrivals.exactly(length)
            if said is kind:
                yield payload
                continue
            writer.write(ACKNOWLEDGED)
            error = read_error(said, payload, peer_id)
            if error is not None:
                raise error
            return
    except TimeoutError:
        raise UnavailableError(f"{peer_id} sent nothing for {stall:g} s") from None
    except (OSError, EOFError):
        raise UnavailableError(f"{peer_id} broke off in the middle of an answer") from None
    finally:
        arrivals.close()
        writer.close()


async def _open(p2p: P2P, peer_id: str, stall: float) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A new stream, libp2p having checked who is at its other end."""
    request = p2pd_pb2.Request(
        type=p2pd_pb2.Request.STREAM_OPEN,
        streamOpen=p2pd_pb2.StreamOpenRequest(peer=PeerID.from_base58(peer_id).to_bytes(), proto=[HANDLER]),
    )
    try:
        async with asyncio.timeout(stall):
            response, reader, writer = await _command(p2p, request, peer_id)
    except TimeoutError:
        raise UnavailableError(f"{peer_id} opened no stream within {stall:g} s") from None
    if response.streamInfo.peer != PeerID.from_base58(peer_id).to_bytes():
        writer.close()
        raise ForgedError(f"p2pd opened a stream to another node than {peer_id}")
    return reader, writer


async def _dial(p2p: P2P, peer_id: str, where: bytes) -> None:
    """Let p2pd connect to an address."""
    connect = p2pd_pb2.ConnectRequest(peer=PeerID.from_base58(peer_id).to_bytes(), addrs=[where])
    _, _, writer = await _command(p2p, p2pd_pb2.Request(type=p2pd_pb2.Request.CONNECT, connect=connect), peer_id)
    writer.close()


async def _command(p2p: P2P, request: Any, peer_id: str) -> tuple[Any, asyncio.StreamReader, asyncio.StreamWriter]:
    """p2pd's answer, and the connection to it, which becomes the stream.

    hivemind's own call would leave that connection open when it is cancelled by a timeout.
    """
    try:
        reader, writer = await p2p._client.control.daemon_connector.open_connection()
    except OSError as error:
        raise EnvironmentFault(f"p2pd, which carries this road, is not running ({error}); try again") from None
    opened = False
    try:
        await write_pbmsg(writer, request)
        response = p2pd_pb2.Response()
        await read_pbmsg_safe(reader, response)
        raise_if_failed(response)
        opened = True
    except ControlFailure as error:
        raise UnavailableError(f"{peer_id} cannot be reached: {str(error)[:200]!a}") from None
    except (OSError, EOFError):
        raise EnvironmentFault("p2pd, which carries this road, stopped running; try again") from None
    finally:
        if not opened:
            writer.close()
    return response, reader, writer


def _parse(address: str) -> tuple[bytes | None, str]:
    """An address as p2pd takes it, if there is one, and the peer id."""
    found = _ADDRESS.fullmatch(address) if len(address) <= MAX_ADDRESS_CHARACTERS else None
    if found is None:
        raise MalformedError(f"{address[:80]!a} is not an address such as /ip4/192.0.2.7/tcp/7400/p2p/Qm…")
    parse_peer_id(found["peer"])
    if not found["where"]:
        return None, found["peer"]
    try:
        return Multiaddr(found["where"]).to_bytes(), found["peer"]
    except (ValueError, LookupError) as error:
        raise MalformedError(f"{address[:80]!a} is not a multiaddr: {str(error)[:80]!a}") from None
