"""What a round is made of, on this disk: the base and the contributions as folders, fetched, checked and kept.

Rules:

1. What is fetched is pinned for the round first, so that nothing that it needs is evicted.
2. A manifest is compared with the record that names it before anything that it lists is fetched.
3. A folder appears whole or not at all; one that is there is used as it is, since its blobs were verified on the way.
4. Sources are all nodes that take part in the round, the record's author first, and the mirrors that the record names.
"""

import asyncio
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from node.database import Database
from node.errors import UnreachableError
from node.home import Home
from node.peers import Peers, Place
from protocol.blobs.assemble import assemble
from protocol.blobs.folder import FolderSource
from protocol.blobs.kinds import About
from protocol.blobs.manifest import MAX_MANIFEST_BYTES, Manifest
from protocol.blobs.source import Library
from protocol.blobs.store import LOCAL, Store
from protocol.exchange.download import fetch, fetch_manifest
from protocol.exchange.interface import Peer
from protocol.exchange.progress import Progress, quiet
from protocol.offer import check_manifest
from protocol.records import Contribution, Outcome, Round, Signed

MAX_SOURCES = 8
"""Nodes that one download asks."""


@dataclass(frozen=True)
class Materials:
    """Folders and blobs of one node, for all rounds."""

    home: Home
    database: Database
    store: Store
    library: Library
    peers: Peers

    async def base(self, round_: Signed[Round], places: Sequence[Place], progress: Progress = quiet) -> Path:
        """The base as a folder: where it lies already, or fetched."""
        base = round_.record.base
        if base.manifest is None:
            raise UnreachableError(
                f"round {round_.id.hex()} names no manifest of its base; ask its convener to open it with one"
            )
        first = [place for place in places if place.key.point == round_.record.author]
        return await self._folder(
            self.home.bases / base.root.hex(), base.manifest, round_.record, round_.id, [*first, *places], progress
        )

    async def contribution(
        self, offer: Signed[Contribution], places: Sequence[Place], progress: Progress = quiet
    ) -> Path:
        """A contribution as the folder that its author made: a delta, an adapter or a checkpoint."""
        author = [place for place in places if place.key.point == offer.record.author]
        target = self.home.work / offer.record.round.hex() / offer.id.hex()
        record = offer.record
        return await self._folder(target, record.manifest, record, record.round, [*author, *places], progress)

    async def outcome(
        self, outcome: Signed[Outcome], target: Path, places: Sequence[Place], progress: Progress = quiet
    ) -> Path:
        """A merged model, in a folder of the user's choice."""
        record = outcome.record
        own = self._own(record.manifest)
        if own is not None:
            await asyncio.to_thread(_copy, own, target)
            return target
        author = [place for place in places if place.key.point == record.author]
        return await self._folder(target, record.manifest, record, record.round, [*author, *places], progress)

    async def serve(self, folder: Path, about: About | None = None) -> Manifest:
        """Offer a folder on this disk as blobs, from where it lies. Hashes all of it."""
        source = await asyncio.to_thread(FolderSource, folder, about)
        self.library.add(source)
        await self.store.off_loop(self.store.put, source.manifest.encode(), LOCAL)
        await asyncio.to_thread(self.database.keep_folder, source.manifest.id, source.manifest.about, folder)
        return source.manifest

    async def bring(
        self, blobs: dict[bytes, int], holder: str, places: Sequence[Place], progress: Progress = quiet
    ) -> None:
        """Blobs into the store."""
        missing = {blob_id: size for blob_id, size in blobs.items() if await self._is_missing(blob_id)}
        if missing:
            await fetch(
                missing,
                self.store,
                await self._sources(places),
                progress=progress,
                grudges=self.peers.grudges,
                holder=holder,
            )

    async def discard(self, round_id: bytes) -> None:
        """Folders that only a merge needed."""
        await asyncio.to_thread(shutil.rmtree, self.home.work / round_id.hex(), ignore_errors=True)

    async def _folder(
        self,
        target: Path,
        manifest_id: bytes,
        record: Contribution | Outcome | Round,
        round_id: bytes,
        places: Sequence[Place],
        progress: Progress,
    ) -> Path:
        holder = round_id.hex()
        manifest = await self._manifest(manifest_id, holder, places)
        check_manifest(record, manifest)
        for own in (self._own(manifest_id), target):
            if own is not None and await asyncio.to_thread(_is_whole, own):
                return own
        await self.bring(dict(manifest.blobs), holder, places, progress)
        await asyncio.to_thread(target.parent.mkdir, parents=True, exist_ok=True)
        await asyncio.to_thread(assemble, manifest, self.store, target)
        return target

    def _own(self, manifest_id: bytes) -> Path | None:
        """The folder that this node serves as this manifest."""
        folder, _ = self.database.folders().get(manifest_id, (None, None))
        return folder if folder is not None and folder.is_dir() else None

    async def _manifest(self, manifest_id: bytes, holder: str, places: Sequence[Place]) -> Manifest:
        here = await self.store.off_loop(self.store.read_whole, manifest_id, MAX_MANIFEST_BYTES)
        if here is not None:
            return Manifest.parse(here)
        return await fetch_manifest(
            manifest_id, self.store, await self._sources(places), grudges=self.peers.grudges, holder=holder
        )

    async def _is_missing(self, blob_id: bytes) -> bool:
        def look() -> bool:
            return blob_id not in self.store or bool(self.store.missing(blob_id))

        return await self.store.off_loop(look)

    async def _sources(self, places: Sequence[Place]) -> list[Peer]:
        unique = list({place.key.point: place for place in reversed(places)}.values())[::-1]
        return await self.peers.reach_all(unique[:MAX_SOURCES])


def _copy(own: Path, target: Path) -> None:
    """A model that lies here already, verified once more on the way."""
    with FolderSource(own) as source:
        assemble(source.manifest, source, target)


def _is_whole(target: Path) -> bool:
    """Folders are renamed into place when they are whole."""
    return target.is_dir() and any(target.iterdir())
