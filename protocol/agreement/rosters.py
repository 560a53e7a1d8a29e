"""Which roster follows from the ballots and timeouts that a proposal names: everybody computes the same one.

A contribution is in when more than f of the ballots list it: then an honest steward holds it complete and valid. The
caps of the round are applied again, to those and to nothing else; who was late or withdrew is for the stewards to
weigh when they sign their ballots, since two of them may see it differently.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from protocol.ledger import Ledger
from protocol.records import Ballot, Lock, Roster, Timeout

NOTHING = Roster(())

AtHand = Callable[[bytes], Roster | None]


@dataclass(frozen=True)
class Justified:
    """``attempt``: of the lock that settles it; None and the ``listed`` contributions when ballots do."""

    roster: bytes
    attempt: int | None = None
    listed: Roster | None = None


def by_lock(timeouts: Sequence[Timeout]) -> Justified | None:
    """The roster of the newest lock that a timeout carries; None if none does."""
    locks = sorted((t.lock for t in timeouts if t.lock is not None), key=_age)
    return Justified(locks[-1].roster, locks[-1].attempt) if locks else None


def by_ballots(ballots: Sequence[Ballot], at_hand: AtHand, ledger: Ledger) -> Justified | None:
    """The contributions that more than f ballots list; None while something to compute it is unknown here."""
    weights = Counter((ballot.roster, ballot.count) for ballot in ballots)
    listings: Counter[bytes] = Counter()
    for (roster_id, count), weight in weights.items():
        roster = at_hand(roster_id)
        if roster is None or len(roster.contributions) != count:
            return None
        listings.update(dict.fromkeys(roster.contributions, weight))
    chosen = [contribution for contribution, times in listings.items() if times > ledger.round.record.faults]
    listed = ledger.fit(chosen)
    return Justified(listed.id, listed=listed) if listed is not None else None


def is_usable(ballot: Ballot, at_hand: AtHand) -> bool:
    """Whether its roster is here and as long as the ballot says."""
    roster = at_hand(ballot.roster)
    return roster is not None and len(roster.contributions) == ballot.count


def _age(lock: Lock) -> tuple[int, bytes]:
    return lock.attempt, lock.roster
