"""A p2pd that relays for others, and does so for more than 128 KiB.

A p2pd that is asked to be a relay starts two: libp2p's, as soon as it believes to be public, with the limits that it
was given, and one of its own with libp2p's defaults, which cut a circuit after 128 KiB without a word. The one that
registers last serves, and that is chance (six of ten times the wrong one). Nothing shows it but the answer to a
reservation. So we make one from a p2pd that lives for a moment, and start again until it is the right one.
"""

import asyncio

from protocol import hivemind_light  # isort: skip  # noqa: F401  # before hivemind

from hivemind.p2p import P2PDaemonError
from hivemind.utils.multiaddr import Multiaddr

from protocol.errors import EnvironmentFault
from protocol.identity import Key
from protocol.swarm.config import Config
from protocol.swarm.daemon import RELAY_BYTES, Daemon

ATTEMPTS = 12
"""Starts. With one thread for its scheduler p2pd gets it wrong about once in twenty."""

PROBE_SECONDS = 5.0

MAX_ANSWER_BYTES = 4096
"""Of a relay to a reservation."""

_HOP = "/libp2p/circuit/relay/0.2.0/hop"
_RESERVE = b"\x02\x08\x00"
"""A HopMessage of type RESERVE behind its length."""

_DATA_FIELD = b"\x10"
"""In the message Limit: data, the bytes in each direction, as a varint."""


async def start(config: Config) -> Daemon:
    """A p2pd with our key; if it is a relay, one that was seen to grant what it should."""
    for _ in range(ATTEMPTS):
        daemon = await Daemon.start(config)
        try:
            if not config.relay or await _grants_enough(daemon, config):
                return daemon
        except BaseException:  # the probe did not start, or nobody waits any more
            await daemon.stop()
            raise
        await daemon.stop()
    raise EnvironmentFault(f"p2pd relays only 128 KiB at a time, {ATTEMPTS} times in a row; start again")


async def _grants_enough(relay: Daemon, config: Config) -> bool:
    probe = await Daemon.start(Config(Key.generate(), config.clock, listen=(), client=True, nat=False))
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            await probe.p2p._client.connect(relay.p2p.peer_id, list(map(Multiaddr, _dialled(relay, config))))
            _, reader, writer = await probe.p2p.call_binary_stream_handler(relay.p2p.peer_id, _HOP)
            try:
                writer.write(_RESERVE)
                answer = await reader.readexactly((await reader.readexactly(1))[0] & 0x7F)
                answer += await reader.read(MAX_ANSWER_BYTES)
            finally:
                writer.close()
    except (TimeoutError, P2PDaemonError, OSError, EOFError):
        return True  # not reachable from here; there is nothing to be learnt
    finally:
        await probe.stop()
    return _DATA_FIELD + _varint(RELAY_BYTES) in answer


def _dialled(relay: Daemon, config: Config) -> list[str]:
    """Where this machine reaches the relay, whatever it announces."""
    listen = [a.replace("/0.0.0.0/", "/127.0.0.1/").replace("/::/", "/::1/") for a in config.listen]
    return [str(a) for a in relay.p2p._visible_maddrs] + [a for a in listen if not a.endswith("/tcp/0")]


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*found, number])
