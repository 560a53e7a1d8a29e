"""``umm verify``: whether a model is what its round says it is, or a fault proof is right."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from node.cli import here
from node.cli.progress import Bar, bar
from node.cli.screen import Screen
from node.cli.verb import verb

if TYPE_CHECKING:
    from node.verify.fault_file import FaultProof
    from node.verify.remerge import Remerging
    from node.verify.report import Report
    from protocol.identity import PublicKey

PROOF = "fault.umm"

MAX_PEM_BYTES = 16 * 1024

PATH = click.Path(path_type=Path)


class Id(click.ParamType[bytes]):
    """64 hexadecimal digits."""

    name = "ID"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> bytes:
        """What was typed."""
        text = str(value).lower()
        if len(text) != 64 or not set(text) <= set("0123456789abcdef"):
            self.fail(f"{value!r} is no id; give all 64 hexadecimal digits, since less can be imitated", param, ctx)
        return bytes.fromhex(text)


@dataclass(frozen=True, kw_only=True)
class Order:
    """What the command line asks for."""

    folder: Path | None
    round: bytes | None
    key: Path | None
    audit: int | None
    recompute: bool
    lineage: bool
    proof: Path | None
    base: Path | None
    contributions: Path | None
    fault: Path

    @property
    def merges(self) -> bool:
        """Whether anything but records and the folder itself is needed."""
        return self.audit is not None or self.recompute or self.lineage or self.proof is not None


@verb(
    "verify",
    help="Check a model that was pulled: every byte against the root that its round published (integrity), and that a "
    "quorum of the round's stewards signed it (authority). Both need no network and no node. --audit merges K random "
    "tensors again and says how likely a cheat would slip through, --recompute merges everything again, --lineage goes "
    "up to the first base. A fault that is found is written to FAULT, for others to check with --proof.",
    epilog="Exit code: 0 what was checked holds, 3 it does not, 4 something that is needed is not here, 2 wrong usage.",
)
@click.argument("folder", metavar="FOLDER", required=False, type=PATH)
@click.option("--round", type=Id(), metavar="ID", help="The round that it must come from.")
@click.option("--key", type=PATH, metavar="PEM", help="The public key that must have signed model.sig.")
@click.option("--audit", type=click.IntRange(min=1), metavar="K", help="Merge K random tensors again.")
@click.option("--recompute", is_flag=True, help="Merge everything again.")
@click.option("--lineage", is_flag=True, help="The same for the base, if a round made it, and so on.")
@click.option("--proof", type=PATH, metavar="FILE", help="Check a fault proof instead of a folder.")
@click.option("--base", type=PATH, metavar="DIR", help="The base. Default: ask the node.")
@click.option("--contributions", type=PATH, metavar="DIR", help="A folder for each, by id. Default: ask the node.")
@click.option("--fault", type=PATH, metavar="FAULT", default=PROOF, help=f"Where a fault proof goes; default: {PROOF}")
def command(screen: Screen, **chosen: Any) -> int:
    """Verify, print, and answer with the exit code."""
    order = Order(**chosen)
    if (order.folder is None) == (order.proof is None):
        raise click.UsageError("give either the FOLDER of a model or --proof FILE", click.get_current_context())
    report, proof = _run(order, screen)
    if proof is not None:
        _write(order.fault, proof)
        report = replace(report, fault_proof=str(order.fault))
    screen.document(report.document)
    if not screen.json:
        from node.verify.wording import text

        screen.say(text(report))
    return report.code


def _run(order: Order, screen: Screen) -> "tuple[Report, FaultProof | None]":
    from node.verify.verifying import Means, Request, verify, verify_proof

    with bar(screen, "verifying") as seen, _remerging(order, seen) as remerging:
        means = Means(time.perf_counter, remerging)
        if order.folder is None:
            return asyncio.run(verify_proof(order.proof or Path(), means)), None
        request = Request(
            order.folder,
            round=order.round,
            key=_public(order.key) if order.key else None,
            audit=order.audit,
            recompute=order.recompute,
            lineage=order.lineage,
        )
        verified = asyncio.run(verify(request, means))
    return verified.report, verified.proof


@contextmanager
def _remerging(order: Order, seen: Bar) -> "Iterator[Remerging | None]":
    """What merges again, with a place to do it in; nothing where only records are checked."""
    if not order.merges:
        yield None
        return
    from tempfile import TemporaryDirectory

    from node.verify.daemon import DaemonMaterials
    from node.verify.engine import WorkerEngine
    from node.verify.materials import FolderMaterials, Materials, Remembering
    from node.verify.remerge import Remerging

    place = here.home()
    limits = here.settings(place).limits
    with TemporaryDirectory(prefix="umm-verify-", dir=place.work if place.work.is_dir() else None) as work:
        materials: Materials = DaemonMaterials(place.socket, Path(work))
        if order.base is not None or order.contributions is not None:
            materials = FolderMaterials(_absolute(order.base), _absolute(order.contributions))
        engine = WorkerEngine(
            Path(work), limits.memory, limits.job_seconds, lambda what, done, total: seen.at(done, total, what)
        )
        yield Remerging(Remembering(materials), engine, lambda what: seen.at(0, 0, what))


def _absolute(path: Path | None) -> Path | None:
    """A child process has a folder of its own."""
    return None if path is None else path.absolute()


def _public(file: Path) -> "PublicKey":
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

    from node.errors import UserError
    from node.plainfile import read_plain
    from protocol.errors import MalformedError
    from protocol.identity import PublicKey

    data = read_plain(file.resolve(), MAX_PEM_BYTES)
    if data is None:
        raise UserError(f"there is no file {file}; name a public key in PEM (from: umm key show --pem)")
    try:
        der = load_pem_public_key(data).public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return PublicKey.from_der(der)
    except (ValueError, UnsupportedAlgorithm, MalformedError) as error:
        raise UserError(f"{file} holds no P-256 public key in PEM ({error}); ask its owner for one") from None


def _write(file: Path, proof: "FaultProof") -> None:
    from protocol.modelsigning.replacing import replace as put

    data = proof.encode()
    put(file.absolute(), lambda: data)
