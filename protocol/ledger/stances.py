"""What each key answered to each question that it may answer once, and the proofs against those who answered twice.

Of each question the two lowest ids with different answers are kept, and of each answer the lowest id, so that nothing
depends on the order in which records come.
"""

from dataclasses import dataclass
from typing import TypeAlias

from protocol.ledger.equivocation import Equivocation, stance
from protocol.records import RoundRecord, Signed

Said: TypeAlias = Signed[RoundRecord]
Slot: TypeAlias = tuple[bytes, str, int | bytes, str]


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

    def know(self, said: Said) -> bool:
        """Whether this very record was taken, counting or as part of a proof."""
        taken = stance(said.record)
        return taken is not None and any(answer.id == said.id for answer in self._answers.get(taken.slot, ()))

    def take(self, said: Said) -> Taken:
        """Enter a record; one without a stance always counts."""
        taken = stance(said.record)
        if taken is None:
            return Taken(counts=True)
        before = self._answers.get(taken.slot, ())
        same = [answer for answer in before if stance(answer.record) == taken]
        others = [answer for answer in before if answer not in same]
        answers = tuple(sorted([min([said, *same], key=_id), *others], key=_id)[:2])
        self._answers[taken.slot] = answers
        counted = before[0] if len(before) == 1 else None
        if len(answers) > 1:
            return Taken(False, counted, (Equivocation.of(*answers),) if answers != before else ())
        counts = answers[0] is said
        return Taken(counts, counted if counts else None)

    def forget(self, said: Said) -> None:
        """Take a record out that was entered and proved to be nobody's business."""
        if (taken := stance(said.record)) is not None:
            del self._answers[taken.slot]

    def proofs(self) -> tuple[Equivocation, ...]:
        """The proof of every slot with two answers, in the order of their first ids."""
        pairs = sorted((pair for pair in self._answers.values() if len(pair) > 1), key=lambda pair: pair[0].id)
        return tuple(Equivocation.of(*pair) for pair in pairs)


def _id(said: Said) -> bytes:
    return said.id
