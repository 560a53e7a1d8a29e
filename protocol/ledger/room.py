"""How much memory a node gives to the records of others. Here, and nowhere else, first come is first served.

What counts has a pool of its own, and each kind of what may never count has another, smaller one: late records,
contributions that no commitment opens, withdrawals of contributions that nobody has seen. So nobody who missed the
commitments takes the room of somebody who did not. In each pool a key has room in proportion to the contributions that
it may make. In an open round anyone makes keys, and only there all keys together have a bound: within an allow-list the
room of the keys is one already, and a common bound would let a few of them silence the others.
"""

from collections import Counter
from enum import StrEnum

from protocol.errors import RuleError
from protocol.ledger.rules import Rule
from protocol.records import Round, RoundRecord

COUNTING_PER_CONTRIBUTION = 64 << 10
"""Bytes for a key, for each contribution that it may make: the largest, its commitment and its withdrawal."""

IDLE_PER_CONTRIBUTION = 16 << 10
"""Likewise in a pool of what may never count; an ordinary contribution takes 5 KiB."""

MIN_IDLE_PER_KEY = 64 << 10
"""A key has at least this much there: the largest record must fit."""

COUNTING_PER_PLACE = 16 << 10
"""Bytes for all keys of an open round, for each contribution that it takes; an ordinary one needs 6 KiB in all."""

IDLE_PER_PLACE = 4 << 10
"""Likewise in a pool of what may never count."""

REFUSALS_PER_PLACE = 4 << 10
"""Bytes for the refusals of one steward, likewise."""

AGREEMENT_PER_STEWARD = 16 << 20
"""Bytes for the ballots, proposals, votes and timeouts of one steward about the result: its 128 attempts at their
largest take 6 MiB. Whoever wants to fill it must contradict himself."""

REVISING_PER_STEWARD = 64 << 20
"""Likewise about all revisions together: the only attempt of each at its largest takes 47 MiB in all."""

MIN_PLACES = 4096
"""A smaller round gets the common room of this one."""

MIN_REFUSED = 256
"""A smaller round gets the room for refusals of this one."""

RECORD_BYTES = 1 << 10
"""Memory that a record takes beside its payload, which is there three times: parsed, spelled and in the envelope."""


class Pool(StrEnum):
    """Rooms of which none takes from another."""

    COUNTING = "counting"
    LATE = "late"
    UNOPENED = "unopened"
    UNKNOWN = "unknown"
    """Withdrawals of a contribution that is not held."""
    REFUSALS = "refusals"
    AGREEMENT = "agreement"
    """What a steward signed to agree on the roster of the result, whether it counts or proves that he lies."""
    REVISING = "revising"
    """Likewise on those of revisions: what nobody asked for yet must not take the room of the result."""


class Room:
    """Which record takes how much of which pool."""

    def __init__(self, round_: Round) -> None:
        self._round = round_
        self._pools: dict[bytes, Pool] = {}
        self._used: Counter[tuple[Pool, bytes]] = Counter()
        self._used_by_all: Counter[Pool] = Counter()

    def check(self, record: RoundRecord, pool: Pool | None) -> None:
        """Refuse a record for which the pool has no room; without a pool it is bounded elsewhere."""
        if pool is None:
            return
        of_key, of_all = self._bounds(pool)
        full = self._used[pool, record.author] + memory(record) > of_key
        if full or (of_all is not None and self._used_by_all[pool] + memory(record) > of_all):
            raise RuleError(Rule.ROOM, f"no room for another {record.noun} by {record.author.hex()} in this round")

    def place(self, record: RoundRecord, pool: Pool | None) -> None:
        """Count a record in this pool, and no longer in the one where it was."""
        before = self._pools.pop(record.id, None)
        if before is not None:
            self._count(record, before, -memory(record))
        if pool is not None:
            self._pools[record.id] = pool
            self._count(record, pool, memory(record))

    def _count(self, record: RoundRecord, pool: Pool, size: int) -> None:
        self._used[pool, record.author] += size
        self._used_by_all[pool] += size

    def _bounds(self, pool: Pool) -> tuple[int, int | None]:
        """Bytes for one key, and for all of them where these could be any number."""
        admission = self._round.admission
        if pool is Pool.REFUSALS:
            return REFUSALS_PER_PLACE * max(MIN_REFUSED, admission.contributions), None
        if pool is Pool.AGREEMENT:
            return AGREEMENT_PER_STEWARD, None
        if pool is Pool.REVISING:
            return REVISING_PER_STEWARD, None
        places = None if admission.keys else max(MIN_PLACES, admission.contributions)
        if pool is Pool.COUNTING:
            of_key, per_place = COUNTING_PER_CONTRIBUTION * admission.contributions_per_key, COUNTING_PER_PLACE
        else:
            of_key = max(MIN_IDLE_PER_KEY, IDLE_PER_CONTRIBUTION * admission.contributions_per_key)
            per_place = IDLE_PER_PLACE
        return of_key, None if places is None else per_place * places


def memory(record: RoundRecord) -> int:
    """Bytes that holding a record takes, about."""
    return RECORD_BYTES + 3 * len(record.payload())
