"""Merging some tensors of a round again, from materials that are checked first.

Maths is done by an ``Engine``, elsewhere: this room must not import torch. What the engine is asked for is what every
steward did: the round's recipe over the roster, with the round's seed. An exact recipe gives the same bits to
everybody.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from node.lineage import Step
from node.verify.materials import MaterialRecord, Materials, check_delivery, needed
from node.verify.scanning import Strange, find_strange
from protocol.blobs.kinds import Adapter
from protocol.blobs.manifest import Manifest
from protocol.errors import BusyError, PeerError, UnavailableError, UsageError
from protocol.records import Contribution, Kind, Outcome, Round, Signed
from protocol.strict import shown


class Member(Protocol):
    """A contribution, as a recipe's text is filled in with it: see ``node.recipes``."""

    @property
    def id(self) -> bytes:
        """Its record's id."""
        ...

    @property
    def kind(self) -> str:
        """The word of its kind."""
        ...

    @property
    def domain(self) -> str:
        """What it is about."""
        ...


@dataclass(frozen=True)
class Part:
    """A contribution of the roster: a ``Member``."""

    id: bytes
    kind: str
    domain: str


@dataclass(frozen=True)
class Merged:
    """What merging gave: the leaves of the tensors that were asked for and that there are, and of all files."""

    leaves: Mapping[str, bytes]
    files: Mapping[str, bytes] | None
    """None where nothing was merged, since no model has any of those tensors."""


class Engine(Protocol):
    """The maths, in a child process. Raises :class:`CannotMergeError` for what cannot be merged."""

    def expand(
        self, template: str, roster: Sequence[Member], seed: bytes, base: str, folder: Callable[[Member], str]
    ) -> str:
        """The recipe of a round for a roster, with folders in place of contributions."""
        ...

    async def decode(self, base: Path, delta: Path, only: frozenset[str] | None) -> Path:
        """The expert that a delta makes of the base, in a new folder; of it only the tensors in ``only``."""
        ...

    async def merge(self, recipe: str, only: frozenset[str] | None) -> Merged:
        """Merge by a recipe: all, or only these tensors. The files come out the same."""
        ...


@dataclass(frozen=True)
class Inputs:
    """The base and the contributions of a round, as folders with what is needed; everything has been checked."""

    base: Path
    folders: Mapping[bytes, Path]
    base_manifest: Manifest
    manifests: Mapping[bytes, Manifest]
    bytes_read: int

    @property
    def names(self) -> frozenset[str]:
        """Tensors that a merge of these can have: what no model has cannot come out."""
        models = (self.base_manifest, *(m for m in self.manifests.values() if not isinstance(m.about, Adapter)))
        return frozenset(entry.name for manifest in models for entry in manifest.tensors)


@dataclass(frozen=True)
class Decision:
    """What a round decided to merge, and what it says came out: of a step of a lineage, or of a fault proof."""

    round: Signed[Round]
    outcome: Signed[Outcome]
    contributions: tuple[Signed[Contribution], ...]

    @classmethod
    def of(cls, step: Step) -> "Decision":
        """The last one of a step."""
        return cls(step.round, step.outcome, step.contributions)


@dataclass(frozen=True)
class Again:
    """A merge that was done again, and from what."""

    merged: Merged
    inputs: Inputs


class WrongMaterialError(Exception):
    """What was brought is not what the records name: the fault of whoever brought it, not of the round."""


class NotFiniteError(Exception):
    """A contribution holds a value that is no finite number: no steward may take it, and nothing is merged of it."""

    def __init__(self, offer: Signed[Contribution], manifest: Manifest, strange: Strange) -> None:
        super().__init__(
            f"{shown(strange.tensor)} of contribution {offer.id.hex()} holds a value that is no finite number"
        )
        self.offer, self.manifest, self.strange = offer, manifest, strange


class CannotMergeError(Exception):
    """The engine refuses the recipe or the models: there is nothing to compare with."""


@dataclass(frozen=True)
class Remerging:
    """Materials and an engine."""

    materials: Materials
    engine: Engine
    said: Callable[[str], None] = field(default=lambda _: None)
    """Hears what is being done, for people who wait."""

    async def run(self, decision: Decision, outputs: frozenset[str] | None) -> Again:
        """Merge these tensors of a round again, all for None."""
        inputs = await self._inputs(decision, outputs)
        if outputs is not None:
            outputs &= inputs.names
            if not outputs:
                return Again(Merged({}, None), inputs)
        text = await self.materials.text(decision.outcome.record.recipe)
        only = None if outputs is None else needed(inputs.base_manifest, outputs)
        experts = {}
        for offer in decision.contributions:
            experts[offer.id] = inputs.folders[offer.id]
            if offer.record.kind is Kind.DELTA:
                self.said(f"decoding {offer.id.hex()[:12]}")
                experts[offer.id] = await self.engine.decode(inputs.base, experts[offer.id], only)
        parts = [Part(offer.id, offer.record.kind.value, offer.record.domain) for offer in decision.contributions]
        recipe = self.engine.expand(
            text, parts, decision.round.record.seed, str(inputs.base), lambda member: str(experts[member.id])
        )
        self.said("merging again")
        return Again(await self.engine.merge(recipe, outputs), inputs)

    async def _inputs(self, decision: Decision, outputs: frozenset[str] | None) -> Inputs:
        base, base_manifest, read = await self._bring(decision.round, outputs)
        folders, manifests = {}, {}
        for offer in decision.contributions:
            folder, manifest, size = await self._bring(offer, outputs)
            strange = await asyncio.to_thread(find_strange, folder, manifest, _asked(manifest, outputs))
            if strange is not None:
                raise NotFiniteError(offer, manifest, strange)
            folders[offer.id], manifests[offer.id] = folder, manifest
            read += size
        return Inputs(base, folders, base_manifest, manifests, read)

    async def _bring(self, record: MaterialRecord, outputs: frozenset[str] | None) -> tuple[Path, Manifest, int]:
        self.said(f"fetching {'the base' if isinstance(record.record, Round) else record.id.hex()[:12]}")
        try:
            manifest = await self.materials.manifest(record)
            tensors = _asked(manifest, outputs)
            folder = await self.materials.folder(record, manifest, tensors)
            return folder, manifest, await asyncio.to_thread(check_delivery, folder, manifest, tensors)
        except (UnavailableError, BusyError):
            raise
        except (PeerError, UsageError) as error:
            raise WrongMaterialError(str(error)) from error


def _asked(manifest: Manifest, outputs: frozenset[str] | None) -> frozenset[str]:
    """The tensors of a model that are fetched."""
    return frozenset(entry.name for entry in manifest.tensors) if outputs is None else needed(manifest, outputs)
