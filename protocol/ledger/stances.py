"""What each key answered to each question that it may answer once, and the proofs against those who answered twice.

Of each question the two lowest ids with different answers are kept, and of each answer the lowest id, so that nothing
depends on the order in which records come. Beside them stay the answers that a proposal names: who signs a third one
must not make others forget what the proposal rests on.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from protocol.ledger.equivocation import Equivocation, Slot, stance
from protocol.records import RoundRecord, Signed

Said: TypeAlias = Signed[RoundRecord]


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
        self._cited: set[bytes] = set()

    def know(self, said: Said) -> bool:
        """Whether this very record was taken, counting or as part of a proof."""
        return said.id in self._kept

    def find(self, record_id: bytes) -> Said | None:
        """The record with this id, if it was taken and is kept."""
        return self._kept.get(record_id)

    def cite(self, record_ids: Iterable[bytes]) -> None:
        """Keep these whatever their authors sign beside them; one that was let go already may come again."""
        self._cited.update(record_ids)

    def take(self, said: Said) -> Taken:
        """Enter a record; one without a stance always counts."""
        taken = stance(said.record)
        if taken is None:
            return Taken(counts=True)
        before = self._answers.get(taken.slot, ())
        same = [answer for answer in before if stance(answer.record) == taken]
        others = [answer for answer in before if answer not in same]
        answers = tuple(sorted([min([said, *same], key=_id), *others], key=_id))
        two, more = answers[:2], answers[2:]
        self._keep(taken.slot, (*two, *(answer for answer in more if answer.id in self._cited)))
        counted = before[0] if len(before) == 1 else None
        if len(two) > 1:
            return Taken(False, counted, (Equivocation.of(*two),) if two != before[:2] else ())
        counts = two[0] is said
        return Taken(counts, counted if counts else None)

    def forget(self, said: Said) -> None:
        """Take a record out that was entered and proved to be nobody's business."""
        if (taken := stance(said.record)) is not None:
            self._keep(taken.slot, ())
            del self._answers[taken.slot]

    def proofs(self) -> tuple[Equivocation, ...]:
        """The proof of every slot with two answers, in the order of their first ids."""
        pairs = sorted((two[:2] for two in self._answers.values() if len(two) > 1), key=lambda pair: pair[0].id)
        return tuple(Equivocation.of(*pair) for pair in pairs)

    def _keep(self, slot: Slot, answers: tuple[Said, ...]) -> None:
        for old in self._answers.get(slot, ()):
            del self._kept[old.id]
        self._kept.update({answer.id: answer for answer in answers})
        self._answers[slot] = answers


def _id(said: Said) -> bytes:
    return said.id
