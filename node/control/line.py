"""The asking end: a line to a node, over its socket file or over TCP.

Rules:

1. Whoever listens at a socket file is the owner's node: nobody else can make that file. Over TCP the node's key is
   compared with the one expected, as on the direct road.
2. Every wait is bounded: for the line, for an answer, and while a stream is silent by asking whether the node still is
   there. A node that hangs in the middle of a stream is told apart from one that has nothing to say.
3. Leaving a stream ends it on both sides.
"""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any, Self

import protocol.roads.grpc  # noqa: F401 (before grpc itself: it sets how loud that is)

# isort: split
import grpc
import grpc.aio

from node.control import faults, messages
from node.control.methods import METHODS
from node.control.socket_file import target
from node.errors import NodeError, UnreachableError, VerificationError
from protocol.errors import ForgedError, ProtocolError
from protocol.identity import Key, PublicKey
from protocol.roads.grpc.address import Address
from protocol.roads.grpc.line import Lines, ready

CONNECT_SECONDS = 10.0

ANSWER_SECONDS = 300.0
"""For an answer that is not a stream; those that need the swarm take seconds."""

PING_SECONDS = 10
"""While nothing comes; server.PING_SECONDS allows it."""

OPTIONS = (
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_http_proxy", 0),
    ("grpc.enable_retries", 0),  # an order is given once
    ("grpc.max_receive_message_length", messages.MAX_ANSWER_BYTES),
    ("grpc.max_send_message_length", messages.MAX_ORDER_BYTES),
    ("grpc.max_metadata_size", faults.MAX_HEADER_BYTES),
    ("grpc.absolute_max_metadata_size", faults.MAX_HEADER_BYTES),
    ("grpc.keepalive_time_ms", PING_SECONDS * 1000),
    ("grpc.keepalive_timeout_ms", PING_SECONDS * 1000),
    ("grpc.http2.ping_timeout_ms", PING_SECONDS * 1000),  # else a minute
    ("grpc.http2.max_pings_without_data", 0),  # as many as it takes
    ("grpc.compression_enabled_algorithms_bitset", 1),  # none
    ("grpc.per_message_decompression", 0),
)


class Line:
    """A connection to a node; to be closed."""

    def __init__(self, channel: grpc.aio.Channel, where: str) -> None:
        self._channel = channel
        self._where = where

    @classmethod
    async def to_socket(cls, path: Path) -> Self:
        """To the node on this machine that has this socket file."""
        channel = grpc.aio.insecure_channel(target(path), options=OPTIONS)
        where = f"the node in {path.parent}"
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await ready(channel, where)
        except (TimeoutError, ProtocolError) as error:
            await channel.close()
            raise UnreachableError(
                f"{where} does not answer ({str(error) or 'nothing came'}); look at: umm log"
            ) from None
        except BaseException:
            await channel.close()
            raise
        return cls(channel, where)

    @classmethod
    async def to_address(cls, address: str, key: Key, expected: PublicKey, now: float) -> Self:
        """To the node ``expected`` at ``host:port``, giving orders as the owner of ``key``."""
        try:
            _, channel = await Lines(key, now, OPTIONS).open(Address.parse(address), expected)
        except ForgedError as error:
            raise VerificationError(f"no order was given: {error}") from None
        except ProtocolError as error:
            raise faults.as_node_error(error) or NodeError(str(error)) from None
        return cls(channel, f"the node at {address}")

    async def close(self) -> None:
        """Closing twice is allowed."""
        await self._channel.close()

    async def ask(self, name: str, order: object = None) -> Any:
        """The answer to an order."""
        method = METHODS[name]
        data = messages.write_order(method, order)
        ask: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = self._channel.unary_unary(messages.path(method))
        try:
            return messages.read_answer(method, await ask(data, timeout=ANSWER_SECONDS))
        except grpc.aio.AioRpcError as error:
            raise self._error(error) from None
        except grpc.aio.UsageError:
            raise self._closed() from None
        except asyncio.CancelledError:
            raise self._ended() from None

    async def stream(self, name: str, order: object = None) -> AsyncGenerator[Any, None]:
        """The items of a stream, as they come."""
        method = METHODS[name]
        data = messages.write_order(method, order)
        ask: grpc.aio.UnaryStreamMultiCallable[bytes, bytes] = self._channel.unary_stream(messages.path(method))
        try:
            call = ask(data)
        except grpc.aio.UsageError:
            raise self._closed() from None
        try:
            async for item in call:
                yield messages.read_answer(method, item)
        except grpc.aio.AioRpcError as error:
            raise self._error(error) from None
        except asyncio.CancelledError:
            raise self._ended() from None
        finally:
            call.cancel()

    def _error(self, error: grpc.aio.AioRpcError) -> NodeError:
        return faults.error_of(error.code(), error.details() or "", tuple(error.trailing_metadata()), self._where)

    def _ended(self) -> BaseException:
        """gRPC says the same when the line is closed under a call as when the caller is cancelled."""
        task = asyncio.current_task()
        return asyncio.CancelledError() if task is not None and task.cancelling() else self._closed()

    def _closed(self) -> NodeError:
        return UnreachableError(f"the line to {self._where} is closed")
