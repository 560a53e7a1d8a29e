"""Nodes of the demonstration: processes of their own, on loopback, each with a home below one folder."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from node.control.client import Client
from node.errors import MachineFault, NodeError

START_SECONDS = 60.0
STOP_SECONDS = 15.0

SETTINGS = {
    "UMM_NETWORK_LISTEN": "/ip4/127.0.0.1/tcp/0",
    "UMM_NETWORK_EXCHANGE_LISTEN": "127.0.0.1:0",
    "UMM_NETWORK_NAT": "false",
}
"""Nobody outside of this machine is met."""

UMM = (sys.executable, "-m", "node.cli")


@dataclass
class DemoNode:
    """One node."""

    role: str
    home: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def environment(self) -> dict[str, str]:
        """With which `umm` means this node."""
        return os.environ | SETTINGS | {"UMM_HOME": str(self.home)}

    def start(self, bootstrap: str | None) -> None:
        """`umm init`, once, and `umm node`."""
        environment = self.environment | ({"UMM_NETWORK_BOOTSTRAP": bootstrap} if bootstrap else {})
        if not (self.home / "key.pem").exists():
            subprocess.run([*UMM, "init"], env=environment, check=True, stdout=subprocess.DEVNULL)  # noqa: S603
        with (self.home / "output.txt").open("wb") as output:
            self.process = subprocess.Popen([*UMM, "node"], env=environment, stdout=output, stderr=output)  # noqa: S603

    async def client(self) -> Client:
        """Its control client, as soon as it answers."""
        with suppress(TimeoutError):
            async with asyncio.timeout(START_SECONDS):
                while self.process is not None and self.process.poll() is None:
                    with suppress(NodeError):
                        return await Client.connect(self.home / "control.sock")
                    await asyncio.sleep(0.1)
        raise MachineFault(f"the {self.role}'s node did not start; see {self.home}/output.txt and {self.home}/node.log")

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """One `umm` command for this node."""
        return subprocess.run(  # noqa: S603
            [*UMM, *command], env=self.environment, capture_output=True, text=True, check=False
        )

    def stop(self) -> None:
        """End it, and wait until it has."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def stop_all(nodes: Sequence[DemoNode]) -> None:
    """End all of them; none is left."""
    for node in nodes:
        if node.process is not None and node.process.poll() is None:
            node.process.terminate()
    for node in nodes:
        node.stop()
