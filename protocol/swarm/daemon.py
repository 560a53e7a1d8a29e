"""One p2pd: its process, its sockets, and hivemind's connection to it. Nothing of it outlives us.

Rules:

1. Sockets and, until p2pd has read it, the identity file lie in a new folder that only we may enter.
2. p2pd ends when its connection to us does. Beside it waits a shell with the end of a pipe from us: when the pipe
   closes, however we went, it kills p2pd should that still be there and removes the folder.
3. p2pd is started without addresses to dial: it would wait a minute for one that does not answer, and then give up.
4. TCP only. TLS rather than noise: a quarter faster.

This does what ``P2P.create`` does, which can neither say where sockets go nor pass ``relayDiscovery``, and which stops
reading what p2pd prints after a long line.
"""

import asyncio
import os
import shutil
import socket
import tempfile
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from contextlib import suppress
from pathlib import Path
from typing import Self

from protocol import hivemind_light  # isort: skip  # noqa: F401  # before hivemind

import hivemind.hivemind_cli
from hivemind.p2p import P2P
from hivemind.p2p.p2p_daemon_bindings import P2PDaemonError, p2pclient
from hivemind.utils.multiaddr import Multiaddr

from protocol.errors import EnvironmentFault
from protocol.identity.libp2p import identity_file_bytes
from protocol.swarm.config import Config

START_SECONDS = 15.0
"""From starting p2pd to its first answer, on a machine that is busy."""

STOP_SECONDS = 1.0
"""How long p2pd may take to end before it is killed."""

IDLE_SECONDS = 10
"""p2pd ends by itself if we do not connect for this long."""

MAX_MESSAGE_BYTES = 4 * 1024 * 1024
"""Between us and p2pd; hivemind's default."""

RELAY_BYTES = 4 * 1024 * 1024 * 1024
"""In each direction of one circuit, if we are a relay; p2pd's default."""

MAX_SOCKET_PATH = 100
"""Bytes; the operating systems allow 103 or 107."""

_FAMILIES = {"ip4": socket.AF_INET, "ip6": socket.AF_INET6}

_OUTPUT_BYTES = 4096
"""How much of what p2pd prints is kept."""

_READY = b"Peer ID:"

_JANITOR = 'trap "" INT TERM HUP; read pid; read end; [ "$end" = done ] || kill -9 "$pid" 2>/dev/null; rm -rf -- "$1"'


class Daemon:
    """A running p2pd."""

    def __init__(self, folder: Path) -> None:
        self.p2p = P2P()
        self.folder = folder
        self.p2p._daemon_listen_maddr = Multiaddr(f"/unix{folder}/p2pd.sock")
        self.p2p._client_listen_maddr = Multiaddr(f"/unix{folder}/client.sock")
        self._output = b""
        self._process: Process | None = None
        self._janitor: Process | None = None
        self._reader: asyncio.Task[None] | None = None

    @classmethod
    async def start(cls, config: Config) -> Self:
        """A p2pd with our key, listening."""
        self = cls(_private_folder())
        try:
            async with asyncio.timeout(START_SECONDS):
                await self._start(config)
        except TimeoutError:
            await self.stop()
            raise EnvironmentFault(f"p2pd did not start within {START_SECONDS:.0f} s: {self._said()}") from None
        except (OSError, EOFError, P2PDaemonError) as error:
            await self.stop()
            raise EnvironmentFault(
                f"p2pd does not run here: {self._said()} ({error or type(error).__name__})"
            ) from None
        except BaseException:
            await self.stop()
            raise
        return self

    @property
    def pid(self) -> int:
        """Of the process."""
        if self._process is None:
            raise EnvironmentFault("p2pd has not been started")
        return self._process.pid

    async def died(self) -> str:
        """Waits until p2pd is gone or no longer connected to us; why."""
        if self._process is None:
            return "it was not started"
        connection = self.p2p._client.control._read_task
        gone = asyncio.ensure_future(self._process.wait())
        try:
            await asyncio.wait({gone, connection}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            gone.cancel()
        return f"exit status {self._process.returncode}; the last it said: {self._said()}"

    def kill(self) -> None:
        """For one that no longer answers."""
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.kill()

    async def stop(self) -> None:
        """End p2pd, and leave nothing. Once more does no harm."""
        self.p2p._child = None  # ended below, once: asking a process to end twice may reap it unnoticed
        self.p2p._terminate()
        tasks = [self._reader, self.p2p._listen_task]
        if self.p2p._client is not None:
            tasks += [self.p2p._client.control._read_task, self.p2p._client.control._write_task]
        if self._process is not None:
            await _end(self._process)
        for task in filter(None, tasks):
            task.cancel()
        await asyncio.gather(*filter(None, tasks), return_exceptions=True)
        janitor, self._janitor = self._janitor, None
        if janitor is not None:
            with suppress(OSError):
                await janitor.communicate(b"done\n")
        shutil.rmtree(self.folder, ignore_errors=True)

    async def _start(self, config: Config) -> None:
        _check_ports(config.listen)
        self._janitor = await asyncio.create_subprocess_exec(
            "/bin/sh", "-c", _JANITOR, "sh", self.folder, stdin=PIPE, stdout=DEVNULL, stderr=DEVNULL,
            start_new_session=True,
        )  # fmt: skip
        identity = self.folder / "identity"
        identity.touch(mode=0o600)
        identity.write_bytes(identity_file_bytes(config.key))
        self._process = await asyncio.create_subprocess_exec(
            *_arguments(config, str(self.p2p._daemon_listen_maddr), identity),
            stdin=DEVNULL, stdout=PIPE, stderr=STDOUT,
            env=os.environ | {"GOLOG_LOG_LEVEL": "error"} | ({"GOMAXPROCS": "1"} if config.relay else {}),
        )  # fmt: skip
        if self._janitor.stdin is not None:
            self._janitor.stdin.write(b"%d\n" % self._process.pid)
        ready = asyncio.Event()
        self._reader = asyncio.create_task(self._read(self._process, ready))
        await ready.wait()
        identity.unlink()
        if _READY not in self._output:
            raise EOFError
        p2p = self.p2p
        p2p._child, p2p._alive = self._process, True
        p2p._client = await p2pclient.Client.create(
            p2p._daemon_listen_maddr, p2p._client_listen_maddr, persistent_conn_max_msg_size=MAX_MESSAGE_BYTES
        )
        await p2p._ping_daemon()

    async def _read(self, process: Process, ready: asyncio.Event) -> None:
        """For ever: p2pd would wait if nobody read what it prints."""
        while process.stdout is not None and (data := await process.stdout.read(_OUTPUT_BYTES)):
            self._output = (self._output + data)[-2 * _OUTPUT_BYTES :]
            if _READY in self._output:
                ready.set()
        ready.set()

    def _said(self) -> str:
        lines = self._output.decode("ascii", "replace").strip().splitlines()
        return ascii(lines[-1][-300:]) if lines else "nothing"


def _private_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="umm-p2pd-"))
    if len(os.fsencode(folder)) + len("/client.sock") > MAX_SOCKET_PATH:
        folder.rmdir()
        raise EnvironmentFault(
            f"the temporary folder {folder.parent} has too long a name for sockets; set TMPDIR to /tmp"
        )
    return folder


def _check_ports(listen: tuple[str, ...]) -> None:
    """p2pd would share a port that is taken, and connections would reach one or the other."""
    for address in listen:
        _, family, host, _, port, *_ = [*address.split("/"), "", "", ""]
        if family not in _FAMILIES or not port.isdecimal() or port == "0":
            continue
        with socket.socket(_FAMILIES[family]) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == "ip6":
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            try:
                probe.bind((host, int(port)))
                probe.listen()
            except (OSError, OverflowError) as error:
                raise EnvironmentFault(f"cannot listen on {address}: {error}; choose another port") from None


def _arguments(config: Config, control: str, identity: Path) -> list[str]:
    binary = Path(hivemind.hivemind_cli.__path__[0]) / "p2pd"
    flags: dict[str, object] = {
        "listen": control,
        "id": identity,
        "idleTimeout": f"{IDLE_SECONDS}s",
        "persistentConnMaxMsgSize": MAX_MESSAGE_BYTES,
        "noise": False,
        "tls": True,
        "connManager": True,
        "dhtClient" if config.client else "dhtServer": True,
        "natPortMap": config.nat and bool(config.listen),
        "autonat": config.nat,
        "relay": True,
        "relayService": config.relay,
        "relayDataLimit": RELAY_BYTES,
    }
    if config.listen:
        flags["hostAddrs"] = ",".join(config.listen)
    else:
        flags["noListenAddrs"] = True
    if config.announce:
        flags["announceAddrs"] = ",".join(config.announce)
    if config.relay:
        flags["forceReachabilityPublic"] = True  # otherwise circuits are cut after 128 KiB; see `relay`
    if config.relays:
        # Without discovery: it would wait three minutes for other candidates.
        flags["forceReachabilityPrivate"] = True  # otherwise it first finds out that it is not reached
        flags |= {"autoRelay": True, "relayDiscovery": False, "trustedRelays": ",".join(config.relays)}
    shown = {name: int(value) if isinstance(value, bool) else value for name, value in flags.items()}
    return [str(binary), *(f"-{name}={value}" for name, value in shown.items())]


async def _end(process: Process) -> None:
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await process.wait()
        except TimeoutError:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
