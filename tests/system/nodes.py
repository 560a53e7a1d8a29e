"""Real nodes for system tests: processes with a home of their own, spoken to over their control sockets."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from node.control.client import Client
from node.control.interface import conclusion
from node.control.orders import BaseChoice, ContributeOrder, Draft, ShowRoundOrder, Terms, Times
from node.control.progress import Offered
from node.control.views import RoundDetail
from node.errors import NodeError
from protocol.identity import Key, keyfile


def asynchronous(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """A test that runs in an event loop of its own."""

    @wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        asyncio.run(test(*args, **kwargs))

    return run


START_SECONDS = 30.0
STOP_SECONDS = 15.0

RECIPE = (
    "{merge_method: task_arithmetic, base_model: base, dtype: float32,"
    " models: [{model: contributions, parameters: {weight: 0.7}}]}"
)
MAIN = "import os; from node.home import Home; from node.config import load; from node.daemon import run; \
home = Home.find(os.environ); run(home, load(home.config, os.environ))"


@dataclass
class NodeProcess:
    """One node; it can be killed and started again with what it kept."""

    home: Path
    bootstrap: tuple[str, ...] = ()
    settings: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def key(self) -> Key:
        """Its key, made at first."""
        path = self.home / "key.pem"
        if not path.exists():
            self.home.mkdir(mode=0o700, parents=True)
            return keyfile.create(path)
        return keyfile.load(path)

    def start(self) -> None:
        """Run it; ``client`` waits until it answers."""
        assert self.key.public.name  # makes the key
        environment = os.environ | {
            "UMM_HOME": str(self.home),
            "UMM_NETWORK_LISTEN": "/ip4/127.0.0.1/tcp/0",
            "UMM_NETWORK_NAT": "false",
            "UMM_NETWORK_EXCHANGE_LISTEN": "127.0.0.1:0",
            "UMM_NETWORK_BOOTSTRAP": ",".join(self.bootstrap),
            **self.settings,
        }
        with (self.home / "output.txt").open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-c", MAIN], env=environment, stdout=output, stderr=output, start_new_session=True
            )

    async def client(self) -> Client:
        """Its control client, as soon as it answers."""
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                return await Client.connect(self.home / "control.sock")
            except NodeError:
                assert self.process is None or self.process.poll() is None, self.said()
                assert time.monotonic() < deadline, self.said()
                await asyncio.sleep(0.1)

    def kill(self) -> None:
        """SIGKILL, as a crash would."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """SIGTERM, and it ends by itself."""
        self._end(signal.SIGTERM)

    def said(self) -> str:
        """What it wrote, for a failing test."""
        parts = [self.home / "output.txt", self.home / "node.log"]
        return "\n".join(part.read_text(errors="replace")[-6000:] for part in parts if part.exists())

    def _end(self, number: int) -> None:
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(number)
        self.process.wait(STOP_SECONDS)


class Company:
    """Nodes that know each other through the first."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.nodes: dict[str, NodeProcess] = {}
        self._address: str | None = None

    async def node(self, name: str, **settings: str) -> tuple[NodeProcess, Client]:
        """A new node, running."""
        bootstrap = (self._address,) if self._address else ()
        made = NodeProcess(self.folder / name, bootstrap, settings)
        self.nodes[name] = made
        made.start()
        client = await made.client()
        if self._address is None:
            self._address = (await client.status()).addresses[0]
        return made, client


@contextmanager
def company() -> Iterator[Company]:
    """Nodes that all end with the block. Their homes have short paths, as sockets must."""
    with TemporaryDirectory(prefix="umm-") as folder:
        made = Company(Path(folder))
        try:
            yield made
        finally:
            for node in made.nodes.values():
                node.kill()


def draft(base: Path, *, commit: int, reveal: int, roster: int = 60, stewards: tuple[bytes, ...] = ()) -> Draft:
    """A round that begins now."""
    now = int(time.time())  # noqa: TID251 - schedules are by the wall clock
    at = [
        now,
        now + commit,
        now + commit + reveal,
        now + commit + reveal + roster,
        now + commit + reveal + roster + 600,
    ]
    names = ("commit_opens", "commit_closes", "reveal_closes", "roster_closes", "merge_closes")
    return Draft(
        title="A round for a test",
        base=BaseChoice(folder=base),
        recipe=RECIPE,
        kinds=("adapter", "checkpoint", "delta"),
        stewards=stewards,
        times=Times(**dict(zip(names, at, strict=True))),
        terms=Terms(contributions_per_key=4, contributions=16, bytes_each=10**9, bytes_total=10**10),
    )


async def opened(client: Client, of: Draft) -> bytes:
    """The id of a round that this node opens."""
    return (await conclusion(client.open_round(of), lambda _: None)).round


async def offered(client: Client, round_id: bytes, expert: Path, domain: str = "math") -> Offered:
    """A contribution of this node."""
    order = ContributeOrder(round=round_id, expert=expert, domain=domain, licence="apache-2.0")
    return await conclusion(client.contribute(order), lambda _: None)


async def until(client: Client, round_id: bytes, wanted: Callable[[RoundDetail], bool], seconds: float) -> RoundDetail:
    """The round, as soon as it is as wanted."""
    deadline = time.monotonic() + seconds
    while True:
        detail = await client.show_round(ShowRoundOrder(round=round_id))
        if wanted(detail):
            return detail
        assert time.monotonic() < deadline, detail
        await asyncio.sleep(0.3)
