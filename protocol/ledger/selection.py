"""Which contributions fit into the round, by a rule that gives every node with the same records the same answer.

In the order of their ids, commitments that were opened get a turn for each key: everybody's first before anybody's
second. A turn is used unless it would pass a cap; then it is left out, and the next one may still fit. First come,
first served would be another order on every node. In an open round anyone may make many keys: an allow-list is the
only defence against that, and no order is.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from protocol.records import Admission, Contribution, Roster, Signed


class LeftOut(StrEnum):
    """Why a contribution that broke no rule is not in the selection."""

    UNCOMMITTED = "uncommitted"
    LATE = "late"
    WITHDRAWN = "withdrawn"
    UNWANTED = "unwanted"
    KEY_CAP = "contributions_per_key"
    CAP = "contributions"
    BYTES_CAP = "bytes_total"


@dataclass(frozen=True)
class Selection:
    """Contributions by id: those that fit, and why the others do not."""

    roster: Roster
    left_out: Mapping[bytes, LeftOut]


def select(
    standing: Iterable[tuple[bytes, Signed[Contribution]]], left_out: Mapping[bytes, LeftOut], admission: Admission
) -> Selection:
    """Apply the caps to contributions that stand, each given with the id of its commitment."""
    turns: Counter[bytes] = Counter()
    queue = []
    for commitment, signed in sorted(standing, key=lambda pair: pair[0]):
        queue.append((turns[signed.record.author], commitment, signed))
        turns[signed.record.author] += 1
    taken: list[bytes] = []
    free, without = admission.bytes_total, dict(left_out)
    for turn, _, signed in sorted(queue, key=lambda place: place[:2]):
        if turn >= admission.contributions_per_key:
            without[signed.id] = LeftOut.KEY_CAP
        elif len(taken) >= admission.contributions:
            without[signed.id] = LeftOut.CAP
        elif signed.record.size > free:
            without[signed.id] = LeftOut.BYTES_CAP
        else:
            taken.append(signed.id)
            free -= signed.record.size
    return Selection(Roster(tuple(sorted(taken))), without)
