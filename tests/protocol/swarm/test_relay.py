"""What is left when a relay does not start; ``test_node`` has one that does."""

import asyncio
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from protocol.swarm import relay
from protocol.swarm.config import LOOPBACK, Config
from tests.protocol.exchange.loop import soon
from tests.protocol.keys import key

CONFIG = Config(key(1), clock=lambda: 0.0, listen=LOOPBACK, nat=False, relay=True)


@pytest.fixture
def folders(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where each p2pd of this test has its folder as long as it runs."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:  # sockets need a short name
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield Path(folder)


def test_a_p2pd_whose_probe_does_not_start_is_stopped(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        starting = asyncio.create_task(relay.start(CONFIG))
        await soon(lambda: any(folders.iterdir()), 2000)
        monkeypatch.setattr(tempfile, "tempdir", str(folders / "nowhere"))
        with pytest.raises(FileNotFoundError):
            await starting
        assert list(folders.iterdir()) == []

    asyncio.run(scenario())


def test_a_p2pd_whose_start_is_cancelled_is_stopped_with_its_probe(folders: Path) -> None:
    async def scenario() -> None:
        starting = asyncio.create_task(relay.start(CONFIG))
        await soon(lambda: len(list(folders.iterdir())) == 2, 2000)
        starting.cancel()
        await asyncio.wait([starting])
        assert starting.cancelled()
        assert list(folders.iterdir()) == []

    asyncio.run(scenario())
