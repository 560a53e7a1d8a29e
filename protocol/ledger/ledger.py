"""The records of one round that were accepted, and the rules by which. No clock, no I/O: ``now`` is passed in.

Rule 1 (round). A record of another round, or a Round, is refused.

Rule 2 (replay). A record that is held already changes nothing, whenever and however often it comes.

Rule 3 (stewards). Refusal, Ballot, Proposal, Vote, Timeout, Attestation, Result and Revision are signed by a steward.

Rule 4 (admission). With an allow-list, only its keys commit, contribute and withdraw.

Rule 5 (early). A record before its window is refused and may be offered again. Contributions open so long after
commitments close that nobody whose clock is right within ``SKEW_SECONDS`` can copy one.

Rule 6 (late). A Commitment or Contribution after its window is held as history, marked late, and never selected: who
joins later must be able to read what others agreed on. What stewards say never expires: if some had to refuse what
others took in time, they would never agree again.

Rule 7 (terms). A Contribution has the kind, base or prompts, size, licence, domain and norm that the round asks for.

Rule 8 (commitment). A Contribution counts once its author's Commitment to exactly this record is held. Which of the two
comes first does not matter.

Rule 9 (withdrawal). Only its author takes a Contribution back; from then on it is not selected.

Rule 10 (caps). Contributions per key, in all and bytes in all are limits of the selection, not of what is held: see
`selection`.

Rule 11 (double-signing). Two stances of one key that exclude each other are a transferable proof, and neither counts by
itself: see `equivocation`. Inside what carries or names one it still does, or a liar could undo what others relied on.
Of records that say the same, the one with the lowest id is held.

Rule 12 (quorum). A Result or Revision carries valid attestations of a quorum, and the Lock in a Timeout valid votes;
these count as if they had come alone.

Rule 13 (room). What strangers can make this node hold is bounded: see `room`. Here, and nowhere else, first come is
first served. An author's Withdrawal of a Contribution that is held is always taken.

So the records held, the selection and who is a liar depend on which records came, each within its window, and not on
the order in which they came: two honest nodes that saw the same agree, and a node that restarts replays its store,
each record with the time at which it first came.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from protocol.errors import RuleError
from protocol.ledger.equivocation import Equivocation
from protocol.ledger.quorum import carried
from protocol.ledger.room import Pool, Room
from protocol.ledger.rules import Rule
from protocol.ledger.selection import LeftOut, Selection, select
from protocol.ledger.stances import AGREEMENT, Said, Stances
from protocol.ledger.terms import check_terms
from protocol.ledger.windows import is_late
from protocol.records import (
    Ballot,
    Commitment,
    Contribution,
    Proposal,
    Record,
    Refusal,
    Roster,
    Round,
    RoundRecord,
    Signed,
    Timeout,
    Vote,
    Withdrawal,
)

OFFERS = (Commitment, Contribution, Withdrawal)

K = TypeVar("K", bound=RoundRecord)


@dataclass(frozen=True)
class Accepted:
    """What a record changed: whether it counts now and did not before, is late, or convicts somebody."""

    new: bool
    late: bool = False
    equivocations: tuple[Equivocation, ...] = ()


class Ledger:
    """Accepted records of one round."""

    def __init__(self, round_: Signed[Round]) -> None:
        self.round = round_
        self._held: dict[type[Record], dict[bytes, Said]] = defaultdict(dict)
        self._late: set[bytes] = set()
        self._stances = Stances()
        self._commitments: dict[tuple[bytes, bytes], bytes] = {}
        self._withdrawals: dict[bytes, dict[bytes, Said]] = defaultdict(dict)
        self._offers: dict[tuple[bytes, bytes], Contribution] = {}
        self._room = Room(round_.record)
        self._first_seen: dict[bytes, float] = {}

    def __contains__(self, record_id: bytes) -> bool:
        return any(record_id in held for held in self._held.values())

    def __iter__(self) -> Iterator[Said]:
        """Every record held, in the order of the ids."""
        return iter(sorted((s for held in self._held.values() for s in held.values()), key=lambda s: s.id))

    def records(self, kind: type[K]) -> tuple[Signed[K], ...]:
        """The records of one kind that are held, in the order of their ids."""
        held: dict[bytes, Any] = self._held[kind]
        return tuple(held[record_id] for record_id in sorted(held))

    def find(self, record_id: bytes) -> Said | None:
        """A record that is held, or kept although its author contradicted himself."""
        for held in self._held.values():
            if record_id in held:
                return held[record_id]
        return self._stances.find(record_id)

    def taken(self, kind: type[K]) -> tuple[Signed[K], ...]:
        """All ballots, proposals, timeouts or votes, also of those who contradicted themselves; in the order of ids."""
        found: list[Any] = [said for said in self._stances if isinstance(said.record, kind)]
        return tuple(sorted(found, key=lambda said: said.id))

    def first_seen(self, record_id: bytes) -> float:
        """When a ballot, proposal, timeout or vote was first taken here, in seconds."""
        return self._first_seen[record_id]

    def is_late(self, record_id: bytes) -> bool:
        """Whether a record is held as history only."""
        return record_id in self._late

    @property
    def equivocations(self) -> tuple[Equivocation, ...]:
        """Every proof of double-signing, one for each question that a key answered twice."""
        return self._stances.proofs()

    def accept(self, signed: Signed[Record], now: float) -> Accepted:
        """Hold a record, or raise the :class:`RuleError` that says why not."""
        record = signed.record
        if not isinstance(record, RoundRecord) or record.round != self.round.id:
            raise RuleError(Rule.ROUND, f"this {record.noun} is not a record of round {self.round.id.hex()}")
        said = Signed(record, signed.envelope)
        if said.id in self or self._stances.know(said):
            return Accepted(new=False, late=self.is_late(said.id))
        self._check_author(record)
        late = is_late(record, self.round.record.schedule, now)
        inside = carried(record, self.round)
        pool = self._pool(record, late)
        self._room.check(record, pool)
        if isinstance(record, Contribution):
            check_terms(record, self.round.record)
            self._settle_withdrawals(said)
        if late:
            self._late.add(said.id)
        if isinstance(record, AGREEMENT):
            self._room.place(record, pool)
            self._first_seen |= {one.id: now for one in (said, *inside) if one.id not in self._first_seen}
        accepted, *others = [self._put(one) for one in (said, *inside)]
        proofs = accepted.equivocations + tuple(proof for other in others for proof in other.equivocations)
        return Accepted(accepted.new, late, proofs)

    def selection(self, without: Collection[bytes] = ()) -> Selection:
        """The contributions that fit into the round, except those that the caller found wanting itself."""
        standing, left_out = [], {}
        for signed in self.records(Contribution):
            commitment = self._commitments.get((signed.record.author, signed.record.commitment_digest))
            if commitment is None:
                left_out[signed.id] = LeftOut.UNCOMMITTED
            elif self.is_late(signed.id) or self.is_late(commitment):
                left_out[signed.id] = LeftOut.LATE
            elif self._withdrawals.get(signed.id):
                left_out[signed.id] = LeftOut.WITHDRAWN
            elif signed.id in without:
                left_out[signed.id] = LeftOut.UNWANTED
            else:
                standing.append((commitment, signed))
        return select(standing, left_out, self.round.record.admission)

    def fit(self, contributions: Collection[bytes]) -> Roster | None:
        """These contributions within the caps of the round, late or withdrawn as they may be.

        It depends on nothing that two nodes could see differently. None while one of them or what opens it is unknown.
        """
        standing = []
        for contribution in contributions:
            signed: Any = self._held[Contribution].get(contribution)
            if signed is None:
                return None
            commitment = self._commitments.get((signed.record.author, signed.record.commitment_digest))
            if commitment is None:
                return None
            standing.append((commitment, signed))
        return select(standing, {}, self.round.record.admission).roster

    def _check_author(self, record: RoundRecord) -> None:
        round_, author = self.round.record, record.author
        if not isinstance(record, OFFERS):
            if author not in round_.stewards:
                raise RuleError(Rule.STEWARDS, f"a {record.noun} by {author.hex()}, who is no steward of this round")
            return
        if round_.admission.keys and author not in round_.admission.keys:
            raise RuleError(Rule.ADMISSION, f"this round is not open to {author.hex()}; ask its convener for a place")
        offer = self._held[Contribution].get(record.contribution) if isinstance(record, Withdrawal) else None
        if offer is not None and offer.record.author != author:
            raise RuleError(Rule.AUTHOR, f"only {offer.record.author.hex()} can withdraw this contribution")

    def _pool(self, record: RoundRecord, late: bool) -> Pool | None:
        """Whose room a record takes; None for what its kind or another record bounds."""
        match record:
            case Commitment() | Contribution() if late:
                return Pool.LATE
            case Contribution():
                opened_by = self._commitments.get((record.author, record.commitment_digest))
                return Pool.UNOPENED if opened_by is None or self.is_late(opened_by) else Pool.COUNTING
            case Commitment():
                return Pool.COUNTING
            case Withdrawal():
                return None if record.contribution in self._held[Contribution] else Pool.UNKNOWN
            case Refusal():
                return Pool.REFUSALS
            case Ballot() | Proposal() | Timeout() | Vote():
                return Pool.REVISING if record.revision else Pool.AGREEMENT
        return None

    def _put(self, said: Said) -> Accepted:
        """Hold a record that no rule refuses, unless its author contradicts itself."""
        if said.id in self:
            return Accepted(new=False)
        taken = self._stances.take(said)
        if taken.dropped is not None:
            self._release(taken.dropped)
        if taken.counts:
            self._hold(said)
        return Accepted(taken.counts, self.is_late(said.id), taken.proofs)

    def _hold(self, said: Said) -> None:
        record = said.record
        self._held[type(record)][said.id] = said
        self._room.place(record, self._pool(record, self.is_late(said.id)))
        if isinstance(record, Commitment):
            self._commitments[record.author, record.digest] = said.id
            if offer := self._offers.get((record.author, record.digest)):
                self._room.place(offer, self._pool(offer, self.is_late(offer.id)))
        elif isinstance(record, Contribution):
            self._offers[record.author, record.commitment_digest] = record
        elif isinstance(record, Withdrawal):
            self._withdrawals[record.contribution][record.author] = said

    def _release(self, said: Said) -> None:
        """Only of kinds with a stance."""
        record = said.record
        del self._held[type(record)][said.id]
        if not isinstance(record, AGREEMENT):
            self._room.place(record, None)
        if isinstance(record, Withdrawal):
            del self._withdrawals[record.contribution][record.author]

    def _settle_withdrawals(self, offer: Said) -> None:
        """Rule 9 for those that came before what they withdraw: only now it shows whose it is."""
        for author, withdrawal in list(self._withdrawals.get(offer.id, {}).items()):
            if author == offer.record.author:
                self._room.place(withdrawal.record, None)
            else:
                self._stances.forget(withdrawal)
                self._release(withdrawal)
