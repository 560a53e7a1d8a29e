"""p2pd: whether it is here and how long it takes to start; and through it, what the bootstrap nodes answer.

Under a key of its own that nobody sees again: the node itself may be running.
"""

import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from node.doctor.finding import Finding, fail, ok, warn
from protocol.errors import ProtocolError
from protocol.identity import Key

SLOW_SECONDS = 5.0


def binary() -> Path | None:
    """The program p2pd that came with hivemind."""
    found = find_spec("hivemind")
    places = [] if found is None else [Path(p) for p in found.submodule_search_locations or ()]
    return next((p / "hivemind_cli" / "p2pd" for p in places if (p / "hivemind_cli" / "p2pd").is_file()), None)


async def start() -> Finding:
    """Start p2pd once and stop it."""
    if binary() is None:
        return fail("p2pd", "it is not installed", 'install it again: pip install --force-reinstall "hivemind==1.1.12"')
    from protocol.swarm.config import Config
    from protocol.swarm.daemon import Daemon

    began = time.monotonic()
    try:
        daemon = await Daemon.start(Config(Key.generate(), _clock, listen=(), client=True, nat=False))
    except ProtocolError as error:
        fix = f"run {binary()} by hand: it says why. On a machine that is not x86_64 or aarch64 there is none"
        return fail("p2pd", str(error), fix)
    took = time.monotonic() - began
    await daemon.stop()
    found = f"starts in {took:.2f} s"
    if took > SLOW_SECONDS:
        return warn("p2pd", found, "it gives up after 15 s; is this machine out of memory or very busy?")
    return ok("p2pd", found)


async def greet(addresses: Sequence[str]) -> dict[str, str | None]:
    """Greet the nodes at these addresses; why it failed, or None."""
    from protocol.swarm.config import Config
    from protocol.swarm.node import Swarm

    config = Config(Key.generate(), _clock, listen=(), client=True, nat=False, bootstrap=tuple(addresses))
    swarm = await Swarm.start(config)
    try:
        return {address: swarm.troubles.get(address) for address in addresses}
    finally:
        await swarm.close()


def _clock() -> float:
    return time.time()  # noqa: TID251 - the swarm lives by wall-clock time
