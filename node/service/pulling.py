"""Fetching a merged model, or part of what a manifest lists, into a folder of the user's choice.

Whatever serves the bytes is not trusted: chunks prove themselves by the manifest, the manifest by the record that names
it, and the record by its signatures. What lets others check the same later is written beside the model: its lineage and
its manifest.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from node.control.orders import BlobOrder, MaterialiseOrder, PullOrder
from node.control.progress import Materialised, Pulled
from node.errors import UnreachableError, UserError
from node.lineage import Lineage, Step
from node.lineage import write as write_lineage
from node.peers import Place
from node.rounds.conductor import Conductor
from node.rounds.followed import Rounds
from node.rounds.materials import Materials
from node.service.streaming import Hear, of_download
from node.services import Services
from protocol.blobs.assemble import assemble
from protocol.blobs.folder import FolderSource
from protocol.blobs.kinds import About
from protocol.blobs.manifest import MAX_MANIFEST_BYTES, Manifest
from protocol.errors import ProtocolError
from protocol.modelsigning.replacing import replace
from protocol.records import Contribution, Outcome, Roster, Signed
from protocol.records.roster import MAX_ROSTER_BYTES

MANIFEST_FILE = "manifest.umm"

HOLDER = "pull"
"""Who pins what is fetched for a folder outside of the node's own."""


@dataclass(frozen=True)
class Pulling:
    """Fetches for the user."""

    services: Services
    rounds: Rounds
    materials: Materials

    async def pull(self, order: PullOrder, hear: Hear) -> Pulled:
        """A merged model with its lineage."""
        began = self.services.clock()
        conductor, chain = await self._made(order)
        outcome = chain[-1]
        places = conductor.gathering.sources(conductor.proceedings)
        fetched = _Count(hear, f"fetching {outcome.record.root.hex()[:12]}")
        step = await self._step(conductor, chain, places)
        await self.materials.outcome(outcome, order.out, places, fetched)
        await self._write_proofs(order.out, outcome, step)
        return Pulled(
            folder=order.out,
            root=outcome.record.root,
            manifest=outcome.record.manifest,
            round=conductor.proceedings.round.id,
            revision=outcome.record.number,
            fetched_bytes=fetched.bytes,
            seconds=self.services.clock() - began,
        )

    async def materialise(self, order: MaterialiseOrder, hear: Hear) -> Materialised:
        """What a manifest lists, or some of its tensors."""
        began = self.services.clock()
        places = self._places(order.round)
        fetched = _Count(hear, "fetching")
        manifest = Manifest.parse(await self.blob(BlobOrder(blob=order.manifest, round=order.round)))
        chosen = frozenset(order.tensors) or frozenset(tensor.name for tensor in manifest.tensors)
        if missing := chosen - {tensor.name for tensor in manifest.tensors}:
            raise UserError(f"the manifest has no tensor {min(missing)}")
        wanted = {f.blob_id: f.size for f in manifest.files}
        wanted |= {tensor.blob_id: tensor.size for tensor in manifest.tensors if tensor.name in chosen}
        only = chosen if order.tensors else None
        own, about = self.services.database.folders().get(order.manifest, (None, None))
        if own is not None and about is not None and own.is_dir():
            await asyncio.to_thread(_copy, own, about, manifest, order.folder, only)
        else:
            await self.materials.bring(wanted, HOLDER, places, fetched)
            await asyncio.to_thread(assemble, manifest, self.services.store, order.folder, only=only)
        await asyncio.to_thread(self.services.store.release, HOLDER)
        return Materialised(
            folder=order.folder,
            root=manifest.root,
            fetched_bytes=fetched.bytes,
            seconds=self.services.clock() - began,
        )

    async def blob(self, order: BlobOrder) -> bytes:
        """One small blob: from this disk, or from others."""
        library = self.services.library
        if await library.chunk_list(order.blob) is None:
            await self.materials.bring({order.blob: MAX_MANIFEST_BYTES}, HOLDER, self._places(order.round))
        chunks = await library.chunk_list(order.blob)
        if chunks is None or chunks.size > MAX_MANIFEST_BYTES:
            raise UserError(f"the blob {order.blob.hex()} is too large to be read at once; fetch it with its manifest")
        parts = [await library.read_chunk(order.blob, index) for index in range(len(chunks.digests))]
        if any(part is None for part in parts):
            raise UnreachableError(f"a part of the blob {order.blob.hex()} is missing here; try again")
        return b"".join(part for part in parts if part is not None)

    def knows(self, what: bytes) -> bool:
        """Whether this is a round that is followed, or something that one of these has made."""
        if what in self.rounds.conductors:
            return True
        ledgers = (conductor.proceedings.ledger for conductor in self.rounds.conductors.values())
        made = (signed for ledger in ledgers for signed in ledger if isinstance(signed.record, Outcome))
        return any(what in (signed.id, getattr(signed.record, "root", None)) for signed in made)

    async def _made(self, order: PullOrder) -> tuple[Conductor, list[Signed[Outcome]]]:
        """What is wanted; it may have been published since this node last listened."""
        for conductor in list(self.rounds.conductors.values()):
            if order.what == conductor.proceedings.round.id or not self.knows(order.what):
                with suppress(ProtocolError):  # what was heard before counts
                    await conductor.step()
        return self._outcomes(order)

    def _outcomes(self, order: PullOrder) -> tuple[Conductor, list[Signed[Outcome]]]:
        """The round that made what is wanted, and its outcomes up to that one."""
        for conductor in self.rounds.conductors.values():
            ledger = conductor.proceedings.ledger
            known = [Signed(s.record, s.envelope) for s in ledger if isinstance(s.record, Outcome)]
            known.sort(key=lambda signed: (signed.record.number, signed.id))
            if conductor.proceedings.round.id == order.what:
                wanted = [s for s in known if order.revision in (None, s.record.number)]
            else:
                wanted = [s for s in known if order.what in (s.id, s.record.root)]
            if wanted:
                return conductor, _chain(known, wanted[-1])
        if order.what in self.rounds.conductors:
            raise UserError("this round has no such result yet; see how far it is: umm round show ID")
        raise UnreachableError(
            f"no round that this node follows has made {order.what.hex()}; follow its round first: umm round join ID"
        )

    async def _step(self, conductor: Conductor, chain: Sequence[Signed[Outcome]], places: Sequence[Place]) -> Step:
        roster_id, holder = chain[-1].record.roster, conductor.proceedings.round.id.hex()
        await self.materials.bring({roster_id: MAX_ROSTER_BYTES}, holder, places)
        store = self.services.store
        data = await store.off_loop(store.read_whole, roster_id, MAX_ROSTER_BYTES)
        contributions = []
        for one in Roster.parse(data or b"").contributions:
            found = conductor.proceedings.ledger.find(one)
            if found is None or not isinstance(found.record, Contribution):
                raise UnreachableError(f"the record of contribution {one.hex()} has not been heard yet; try again soon")
            contributions.append(Signed(found.record, found.envelope))
        return Step(conductor.proceedings.round, tuple(chain), tuple(contributions))

    async def _write_proofs(self, folder: Path, outcome: Signed[Outcome], step: Step) -> None:
        store = self.services.store
        own = await store.off_loop(store.read_whole, outcome.record.manifest, 1 << 24)

        def write() -> None:
            write_lineage(folder, Lineage((step,)))
            if own is not None:
                replace(folder / MANIFEST_FILE, lambda: own)

        await asyncio.to_thread(write)

    def _places(self, round_id: bytes | None) -> list[Place]:
        conductors = self.rounds.conductors
        chosen = [conductors[round_id]] if round_id in conductors else list(conductors.values())
        return [place for one in chosen for place in one.gathering.sources(one.proceedings)]


def _copy(own: Path, about: About, manifest: Manifest, folder: Path, only: frozenset[str] | None) -> None:
    """What lies here in a folder, verified once more on the way."""
    with FolderSource(own, about) as source:
        assemble(manifest, source, folder, only=only)


class _Count:
    """Hears a download and counts what came over the roads."""

    def __init__(self, hear: Hear, what: str) -> None:
        self.bytes = 0
        self._pass_on = of_download(hear, what)

    def __call__(self, event: object) -> None:
        self.bytes += getattr(event, "size", 0)
        self._pass_on(event)  # type: ignore[arg-type]


def _chain(known: Sequence[Signed[Outcome]], last: Signed[Outcome]) -> list[Signed[Outcome]]:
    """From the Result to this outcome."""
    chain, by_id = [last], {signed.id: signed for signed in known}
    while (previous := getattr(chain[0].record, "previous", None)) is not None:
        if previous not in by_id:
            raise UnreachableError(
                f"the outcome {previous.hex()} before this one has not been heard yet; try again soon"
            )
        chain.insert(0, by_id[previous])
    return chain
