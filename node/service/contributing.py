"""Offering an expert to a round: everything that a steward would check is checked here first.

The contribution is made, served from this disk, signed and put into the database. Saying the commitment and, later,
the contribution itself is for the conductor: it does so by the clock, also after a restart.
"""

import asyncio
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path

from node.control.orders import ContributeOrder
from node.control.progress import Offered, Progress
from node.control.views import Reason
from node.errors import UserError
from node.rounds.conductor import Conductor
from node.rounds.materials import Materials
from node.rounds.merging import Merging
from node.service.streaming import Hear, of_download, of_job
from node.services import Services
from protocol.blobs.kinds import ADAPTER_CONFIG, About, Adapter, Checkpoint, Delta
from protocol.blobs.manifest import Manifest
from protocol.errors import RuleError
from protocol.ledger.terms import check_terms
from protocol.offer import size_of
from protocol.records import Claim, Contribution, Fault, Kind, Phase, Round, Signed, sign

SALT_BYTES = 32

TOO_LATE = (Phase.REVEAL, Phase.ROSTER, Phase.MERGE, Phase.CLOSED)


@dataclass(frozen=True)
class Making:
    """Makes contributions of this node."""

    services: Services
    materials: Materials

    async def contribute(self, order: ContributeOrder, conductor: Conductor, hear: Hear) -> Offered:
        """Make, check, sign and keep a contribution."""
        round_ = conductor.proceedings.round
        self._refuse_late(round_.record)
        kind = _kind_of(order, round_.record)
        places = conductor.gathering.sources(conductor.proceedings)
        base = await self.materials.base(round_, places, of_download(hear, "fetching the base"))
        merging = Merging(self.services.home, self.services.config.limits, self.materials, of_job(hear))
        unnamed = self.services.home.contributions / secrets.token_hex(8)
        folder, norm = await self._make(kind, base, order.expert, unnamed, merging)
        try:
            hear(Progress(what="hashing the contribution", done=0, total=0, unit="B"))
            manifest = await self.materials.serve(folder, _about(kind, round_.record.base.root))
            record = self._record(order, round_, kind, manifest, norm)
            check_terms(record, round_.record)
            await self._check_as_a_steward(record, base, folder, round_, merging)
        except BaseException:
            await asyncio.to_thread(shutil.rmtree, unnamed, ignore_errors=True)
            raise
        if order.dry_run:
            await asyncio.to_thread(shutil.rmtree, unnamed, ignore_errors=True)
            return _offered(record, None, "this was a dry run: nothing was signed")
        signed = sign(record, self.services.key)
        await asyncio.to_thread(
            self.services.database.offer,
            signed.id,
            round_.id,
            signed.envelope.encode(),
            folder,
            self.services.clock(),
        )
        conductor.wake()
        return _offered(record, signed.id, "the node commits, reveals and serves it by itself; see `umm status`")

    def _refuse_late(self, round_: Round) -> None:
        phase = round_.schedule.phase(self.services.clock())
        if phase in TOO_LATE:
            raise UserError(
                f"this round takes no contributions any more: it is in the phase {phase.value}. "
                "Ask its convener when the next one opens"
            )

    async def _make(
        self, kind: Kind, base: Path, expert: Path, unnamed: Path, merging: Merging
    ) -> tuple[Path, str | None]:
        """The folder of the contribution, and the norm of its delta if that is known."""
        await asyncio.to_thread(unnamed.parent.mkdir, parents=True, exist_ok=True)
        if kind is Kind.DELTA:
            answer = await merging.encode(base, expert, unnamed)
            return unnamed, str(answer["norm"])
        if kind is Kind.ADAPTER:
            await asyncio.to_thread(_copy, expert, unnamed, Adapter.ALLOWED | {f"{Adapter.WEIGHTS}.safetensors"})
            return unnamed, None
        return expert, None  # served from where it lies

    def _record(
        self, order: ContributeOrder, round_: Signed[Round], kind: Kind, manifest: Manifest, norm: str | None
    ) -> Contribution:
        return Contribution(
            author=self.services.key.public.point,
            round=round_.id,
            kind=kind,
            title=order.title,
            manifest=manifest.id,
            root=manifest.root,
            size=size_of(manifest),
            base=round_.record.base.root,
            norm=norm,
            domain=order.domain,
            licence=order.licence,
            claims=tuple(Claim(suite=c.suite, metric=c.metric, score=c.score, items=c.items) for c in order.claims),
            derived_from=tuple(sorted(set(order.derived_from))),
            salt=secrets.token_bytes(SALT_BYTES),
        )

    async def _check_as_a_steward(
        self, record: Contribution, base: Path, folder: Path, round_: Signed[Round], merging: Merging
    ) -> None:
        verdict = await merging.check(sign(record, self.services.key), base, folder, round_.record)
        if verdict.fault is not None:
            raise UserError(f"stewards would refuse this contribution ({verdict.fault}): {verdict.reason}")

    async def obstacles(self, order: ContributeOrder, conductor: Conductor) -> tuple[Reason, ...]:
        """Why such a contribution would not be taken."""
        try:
            await self.contribute(order, conductor, lambda _: None)
        except UserError as error:
            return (Reason(word=Fault.OTHER.value, text=str(error)),)
        except RuleError as error:
            return (Reason(word=error.rule, text=str(error)),)
        return ()


def _kind_of(order: ContributeOrder, round_: Round) -> Kind:
    is_adapter = (order.expert / ADAPTER_CONFIG).is_file()
    if order.kind is None:
        kind = Kind.ADAPTER if is_adapter else Kind.DELTA if Kind.DELTA in round_.kinds else Kind.CHECKPOINT
    else:
        kind = next((kind for kind in Kind if kind.value == order.kind), Kind.DISTRIBUTIONS)
    if kind is Kind.DISTRIBUTIONS:
        raise UserError(f"contributions of the kind {order.kind} cannot be made here yet")
    if kind not in round_.kinds:
        accepted = ", ".join(one.value for one in round_.kinds)
        raise UserError(f"this round takes {accepted}, and {order.expert} would be an offer of the kind {kind.value}")
    return kind


def _about(kind: Kind, base: bytes) -> About:
    if kind is Kind.DELTA:
        return Delta(base)
    return Adapter(base) if kind is Kind.ADAPTER else Checkpoint()


def _copy(source: Path, target: Path, names: frozenset[str]) -> None:
    """An adapter is small, and its folder may go while the round is on."""
    target.mkdir()
    for name in sorted(names):
        if (source / name).is_file():
            shutil.copyfile(source / name, target / name)


def _offered(record: Contribution, contribution: bytes | None, what_next: str) -> Offered:
    return Offered(
        contribution=contribution,
        kind=record.kind.value,
        root=record.root,
        size=record.size,
        norm=record.norm,
        next=what_next,
    )
