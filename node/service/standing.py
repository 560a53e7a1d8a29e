"""How far a contribution is in its round, from what was said and nothing else."""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from node.control.views import OfferState
from node.rounds.proceedings import Proceedings
from protocol.agreement import decision
from protocol.ledger import LeftOut
from protocol.records import Ballot, Outcome, Refusal, Roster

Rosters = Callable[[bytes], Roster | None]
"""Roster blobs that are at hand, by id."""

REASONS = {
    LeftOut.UNCOMMITTED: "its commitment is not known; a contribution counts only with one that came in time",
    LeftOut.LATE: "it came after its window closed",
    LeftOut.WITHDRAWN: "its author took it back",
    LeftOut.KEY_CAP: "its author has as many contributions in the round as one key may have",
    LeftOut.CAP: "the round has as many contributions as it may have",
    LeftOut.BYTES_CAP: "the round has as many bytes as it may have",
}


@dataclass(frozen=True)
class Standing:
    """Where a contribution is, and why if it is out."""

    state: OfferState
    reason: str | None = None


class Standings:
    """The standing of every contribution of a round; made once for one look at it."""

    def __init__(self, proceedings: Proceedings, rosters: Rosters) -> None:
        ledger = proceedings.ledger
        self._selection = ledger.selection()
        self._selected = frozenset(self._selection.roster.contributions)
        self._refusals = {said.record.contribution: said.record for said in ledger.records(Refusal)}
        outcomes = [signed.record for signed in ledger if isinstance(signed.record, Outcome)]
        newest = max(outcomes, key=lambda record: record.number, default=None)
        self._merged = _ids(rosters, newest.roster if newest else None)
        decided = decision(ledger, 0)
        self._decided = _ids(rosters, decided)
        self._is_decided = decided is not None and rosters(decided) is not None
        self._ballots = [
            _ids(rosters, said.record.roster) for said in ledger.records(Ballot) if not said.record.revision
        ]
        self._quorum = proceedings.round.record.quorum

    def of(self, contribution: bytes) -> Standing:
        """Of one contribution that is revealed."""
        left_out = self._selection.left_out.get(contribution)
        refusal = self._refusals.get(contribution)
        if left_out is LeftOut.WITHDRAWN:
            return Standing(OfferState.WITHDRAWN, REASONS[left_out])
        if contribution in self._merged:
            return Standing(OfferState.MERGED)
        if contribution in self._decided:
            return Standing(OfferState.LISTED)
        if refusal is not None:
            return Standing(OfferState.REFUSED, f"{refusal.fault.value}: {refusal.reason}")
        if left_out is not None:
            return Standing(OfferState.LEFT_OUT, REASONS.get(left_out, left_out.value))
        if self._is_decided:
            return Standing(
                OfferState.LEFT_OUT, "the stewards agreed on a roster without it; too few of them had it whole"
            )
        if sum(contribution in ballot for ballot in self._ballots) >= self._quorum:
            return Standing(OfferState.ACCEPTED)
        return Standing(OfferState.REVEALED)


def _ids(rosters: Rosters, roster_id: bytes | None) -> Collection[bytes]:
    found = rosters(roster_id) if roster_id is not None else None
    return frozenset(found.contributions) if found is not None else frozenset()
