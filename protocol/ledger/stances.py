"""What each key answered to each question that it may answer once, and the proofs against those who answered twice.

Of each question the two lowest ids with different answers prove the lie, and of each answer the lowest id counts, so
that nothing depends on the order in which records come. Ballots, proposals, votes and timeouts are kept beside them
whatever their authors sign later: a quorum that somebody relied on must not fall apart because one of it signed more
answers. Their number is bounded by the room of their author.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from protocol.ledger.equivocation import Equivocation, Slot, stance
from protocol.records import Ballot, Proposal, RoundRecord, Signed, Timeout, Vote

Said: TypeAlias = Signed[RoundRecord]

AGREEMENT = (Ballot, Proposal, Timeout, Vote)
"""Kinds by which stewards agree."""


@dataclass(frozen=True)
class Taken:
    """Whether a record counts, which one does not count any more, and what is proven that was not."""

    counts: bool
    dropped: Said | None = None
    proofs: tuple[Equivocation, ...] = ()


class Stances:
    """One answer in each slot, or two that prove a lie and do not count."""

    def __init__(self) -> None:
        self._answers: dict[Slot, tuple[Said, ...]] = {}
        self._kept: dict[bytes, Said] = {}

    def __iter__(self) -> Iterator[Said]:
        """Every record that is kept, whether it counts or not."""
        return iter(self._kept.values())

    def know(self, said: Said) -> bool:
        """Whether this very record was taken, counting or as part of a proof."""
        return said.id in self._kept

    def find(self, record_id: bytes) -> Said | None:
        """The record with this id, if it was taken and is kept."""
        return self._kept.get(record_id)

    def take(self, said: Said) -> Taken:
        """Enter a record; one without a stance always counts."""
        taken = stance(said.record)
        if taken is None:
            return Taken(counts=True)
        before = self._answers.get(taken.slot, ())
        same = [answer for answer in before if stance(answer.record) == taken]
        others = [answer for answer in before if answer not in same]
        two = tuple(sorted([min([said, *same], key=_id), *others], key=_id))[:2]
        self._keep(taken.slot, two, said)
        counted = before[0] if len(before) == 1 else None
        if len(two) > 1:
            return Taken(False, counted, (Equivocation.of(*two),) if two != before else ())
        counts = two[0] is said
        return Taken(counts, counted if counts else None)

    def forget(self, said: Said) -> None:
        """Take a record out that was entered and proved to be nobody's business."""
        if (taken := stance(said.record)) is not None:
            del self._kept[said.id]
            del self._answers[taken.slot]

    def proofs(self) -> tuple[Equivocation, ...]:
        """The proof of every slot with two answers, in the order of their first ids."""
        pairs = sorted((two for two in self._answers.values() if len(two) > 1), key=lambda pair: pair[0].id)
        return tuple(Equivocation.of(*pair) for pair in pairs)

    def _keep(self, slot: Slot, two: tuple[Said, ...], said: Said) -> None:
        if isinstance(said.record, AGREEMENT):
            self._kept[said.id] = said
        else:
            for old in self._answers.get(slot, ()):
                del self._kept[old.id]
            self._kept.update({answer.id: answer for answer in two})
        self._answers[slot] = two


def _id(said: Said) -> bytes:
    return said.id
