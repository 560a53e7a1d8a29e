"""TLS connections to whoever holds a node key, as the owner of another.

First the certificate is **looked at**, in a handshake that is then dropped; the node in it is compared with the one
expected. gRPC then accepts this one certificate and no other, so what it talks to is what was looked at.
"""

import asyncio
import ssl
import tempfile
from collections.abc import Sequence
from pathlib import Path

import grpc
import grpc.aio

from protocol.errors import ForgedError, UnavailableError
from protocol.exchange.interface import CONNECT_SECONDS
from protocol.identity import Key, PublicKey
from protocol.roads.grpc.address import Address
from protocol.roads.grpc.certificate import TLS_NAME, credentials, node_key


class Lines:
    """Connects as the owner of a key; ``now`` is in unix seconds, ``options`` are those of gRPC's channels."""

    def __init__(self, key: Key, now: float, options: Sequence[tuple[str, int]]) -> None:
        self._own = credentials(key, now)
        self._looking = _looking(now)
        self._options = (*options, ("grpc.ssl_target_name_override", TLS_NAME))

    async def open(self, where: Address, expected: PublicKey | None) -> tuple[PublicKey, grpc.aio.Channel]:
        """Who is there, and a channel to nobody else; anybody when none is expected. The channel is to be closed."""
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                certificate = await _look(where, self._looking)
                identity = node_key(certificate)
                if expected is not None and identity != expected:
                    raise ForgedError(f"{where} is {identity.peer_id} ({identity.name}), not {expected.peer_id}")
                channel = self._channel(where, certificate)
                try:
                    await ready(channel, str(where))
                except BaseException:
                    await channel.close()
                    raise
        except TimeoutError:
            raise UnavailableError(f"{where} did not answer within {CONNECT_SECONDS:.0f} s") from None
        return identity, channel

    def _channel(self, where: Address, certificate: bytes) -> grpc.aio.Channel:
        """A connection to whoever holds the key of this certificate."""
        only = ssl.DER_cert_to_PEM_cert(certificate).encode("ascii")
        secure = grpc.ssl_channel_credentials(only, self._own.private_key, self._own.certificate)
        return grpc.aio.secure_channel(where.target, secure, options=self._options)


async def ready(channel: grpc.aio.Channel, where: str) -> None:
    """Wait until the connection stands; once it has failed it is given up."""
    state = channel.get_state(try_to_connect=True)
    while state is not grpc.ChannelConnectivity.READY:
        if state in (grpc.ChannelConnectivity.TRANSIENT_FAILURE, grpc.ChannelConnectivity.SHUTDOWN):
            raise UnavailableError(f"{where} let no connection come about, or is no longer who it was a moment ago")
        await channel.wait_for_state_change(state)
        state = channel.get_state(try_to_connect=True)


async def _look(where: Address, looking: ssl.SSLContext) -> bytes:
    """The certificate (DER) that is shown at an address. TLS has checked that the other side holds its key."""
    try:
        _, writer = await asyncio.open_connection(where.host, where.port, ssl=looking, server_hostname=TLS_NAME)
    except (OSError, ssl.SSLError) as error:
        raise UnavailableError(f"{where} cannot be reached: {error or type(error).__name__}") from None
    try:
        return bytes(writer.get_extra_info("ssl_object").getpeercert(binary_form=True))
    finally:
        writer.transport.abort()


def _looking(now: float) -> ssl.SSLContext:
    """TLS that accepts any certificate: the caller compares the key in it. Shows that of a node made up for this."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    nobody = credentials(Key.generate(), now)
    with tempfile.TemporaryDirectory() as folder:  # Python reads keys from files only
        path = Path(folder, "nobody.pem")
        path.write_bytes(nobody.certificate + nobody.private_key)
        context.load_cert_chain(path)
    return context
