"""What the node shows of its rounds: frozen values made of what was said."""

from collections.abc import Sequence
from dataclasses import dataclass

from node.control.orders import Claim, Role, Terms, Times
from node.control.views import (
    MAX_ENTRIES,
    BaseView,
    Entry,
    OfferState,
    OfferView,
    OutcomeView,
    RoundDetail,
    RoundSummary,
    StewardState,
    StewardView,
    Who,
)
from node.database import Offer
from node.rounds.conductor import newest_outcome
from node.rounds.proceedings import Proceedings
from node.service.standing import Rosters, Standing, Standings
from protocol.envelope import Envelope
from protocol.identity import PublicKey
from protocol.records import (
    Attestation,
    Ballot,
    Commitment,
    Contribution,
    Outcome,
    Phase,
    Revision,
    Round,
    Schedule,
    Signed,
    Vote,
    open_record,
)

NEXT = {
    OfferState.HIDDEN: "the node says the commitment when commitments open",
    OfferState.COMMITTED: "the node reveals it when the round asks for it; keep the node running",
    OfferState.REVEALED: "stewards fetch and check it; keep the node running",
    OfferState.ACCEPTED: "stewards agree on the roster",
    OfferState.LISTED: "stewards merge it",
}


@dataclass(frozen=True)
class Look:
    """One look at a round, by this node, now."""

    proceedings: Proceedings
    offers: Sequence[Offer]
    rosters: Rosters
    base_here: bool
    now: float

    @property
    def _round(self) -> Round:
        return self.proceedings.round.record

    def summary(self) -> RoundSummary:
        """The round in a list."""
        round_, ledger = self._round, self.proceedings.ledger
        outcome = newest_outcome(self.proceedings)
        phase = round_.schedule.phase(self.now)
        standing = len(ledger.selection().roster.contributions)
        hidden = phase in (Phase.ANNOUNCED, Phase.COMMIT)
        return RoundSummary(
            id=self.proceedings.round.id,
            title=round_.title,
            convener=who(round_.author),
            roles=self._roles(),
            phase=phase.value,
            phase_ends=_ends(round_.schedule, self.now),
            contributions=len(ledger.records(Commitment)) if hidden else standing,
            stewards=len(round_.stewards),
            quorum=round_.quorum,
            root=outcome.record.root if outcome else None,
            revision=outcome.record.number if outcome else None,
        )

    def detail(self, skip: int, recipe: str) -> RoundDetail:
        """All about it."""
        round_, ledger = self._round, self.proceedings.ledger
        offers = ledger.records(Contribution)
        standings = Standings(self.proceedings, self.rosters)
        outcomes = [Signed(s.record, s.envelope) for s in ledger if isinstance(s.record, Outcome)]
        outcomes.sort(key=lambda signed: (signed.record.number, signed.id))
        admission = round_.admission
        return RoundDetail(
            summary=self.summary(),
            description=round_.description,
            base=BaseView(
                root=round_.base.root,
                manifest=round_.base.manifest,
                locations=round_.base.locations,
                result=round_.base.result,
                here=self.base_here,
            ),
            recipe=recipe,
            tolerance=round_.tolerance,
            seed=round_.seed,
            kinds=tuple(kind.value for kind in round_.kinds),
            times=Times(**round_.schedule.plain()),
            reveal_opens=round_.schedule.reveal_opens,
            terms=Terms(
                keys=admission.keys,
                contributions_per_key=admission.contributions_per_key,
                contributions=admission.contributions,
                bytes_each=admission.bytes_each,
                bytes_total=admission.bytes_total,
                max_norm=admission.max_norm,
                licences=admission.licences,
                domains=admission.domains,
            ),
            stewards=tuple(self._steward(point) for point in round_.stewards),
            commitments=len(ledger.records(Commitment)),
            entries=tuple(self._entry(one, standings.of(one.id)) for one in offers[skip : skip + MAX_ENTRIES]),
            total_entries=len(offers),
            outcomes=tuple(self._outcome(signed) for signed in outcomes),
        )

    def offer_views(self) -> list[OfferView]:
        """This node's own contributions in the round."""
        standings = Standings(self.proceedings, self.rosters)
        return [self._offer(offer, standings) for offer in self.offers]

    def _offer(self, offer: Offer, standings: Standings) -> OfferView:
        record = open_record(Envelope.parse(offer.envelope), Contribution).record
        standing = self._own_standing(offer, record, standings)
        ends = _ends(self._round.schedule, self.now)
        return OfferView(
            id=offer.id,
            round=offer.round,
            round_title=self._round.title,
            kind=record.kind.value,
            domain=record.domain,
            title=record.title,
            state=standing.state,
            reason=standing.reason,
            since=offer.made_at,
            next=NEXT.get(standing.state),
            next_at=ends if standing.state in NEXT else None,
        )

    def _own_standing(self, offer: Offer, record: Contribution, standings: Standings) -> Standing:
        if self.proceedings.knows(offer.id):
            return standings.of(offer.id)
        if offer.withdrawn:
            return Standing(OfferState.WITHDRAWN, "it was taken back before it was revealed")
        schedule = self._round.schedule
        committed = any(said.record.digest == record.commitment_digest for said in self._commitments())
        if self.now >= schedule.reveal_closes:
            missed = "it was not revealed in time" if committed else "its commitment was not said in time"
            return Standing(OfferState.LEFT_OUT, f"{missed}: the node was not running, or the round had closed")
        if not committed and self.now >= schedule.commit_closes:
            return Standing(OfferState.LEFT_OUT, "its commitment was not said in time")
        return Standing(OfferState.COMMITTED if committed else OfferState.HIDDEN)

    def _commitments(self) -> Sequence[Signed[Commitment]]:
        return self.proceedings.ledger.records(Commitment)

    def _roles(self) -> tuple[Role, ...]:
        me, round_ = self.proceedings.me, self._round
        roles = []
        if round_.author == me:
            roles.append(Role.CONVENER)
        if me in round_.stewards:
            roles.append(Role.STEWARD)
        if self.offers:
            roles.append(Role.CONTRIBUTOR)
        return tuple(roles) or (Role.READER,)

    def _steward(self, point: bytes) -> StewardView:
        ledger = self.proceedings.ledger
        attested = [said.record for said in ledger.records(Attestation) if said.record.author == point]
        root = max(attested, key=lambda said: said.revision).root if attested else None
        if attested:
            state = StewardState.ATTESTED
        elif any(said.record.author == point for said in ledger.records(Vote)):
            state = StewardState.VOTED
        elif any(said.record.author == point for said in ledger.records(Ballot)):
            state = StewardState.BALLOTED
        else:
            state = StewardState.SILENT
        return StewardView(who=who(point), state=state, since=None, root=root)

    def _entry(self, signed: Signed[Contribution], standing: Standing) -> Entry:
        record = signed.record
        return Entry(
            id=signed.id,
            author=who(record.author),
            mine=record.author == self.proceedings.me,
            kind=record.kind.value,
            title=record.title,
            domain=record.domain,
            licence=record.licence,
            size=record.size,
            norm=record.norm,
            claims=tuple(Claim(suite=c.suite, metric=c.metric, score=c.score, items=c.items) for c in record.claims),
            state=standing.state,
            reason=standing.reason,
        )

    def _outcome(self, signed: Signed[Outcome]) -> OutcomeView:
        record = signed.record
        roster = self.rosters(record.roster)
        return OutcomeView(
            id=signed.id,
            revision=record.number,
            author=who(record.author),
            roster=record.roster,
            root=record.root,
            manifest=record.manifest,
            contributions=len(roster.contributions) if roster else 0,
            endorsed_by=tuple(who(endorsement.author) for endorsement in record.endorsements),
            removed=record.removed if isinstance(record, Revision) else (),
            reason=record.reason if isinstance(record, Revision) else None,
        )


def who(point: bytes) -> Who:
    """A node by its key."""
    key = PublicKey.from_point(point)
    return Who(point=point, name=key.name, peer_id=key.peer_id)


def _ends(schedule: Schedule, now: float) -> float | None:
    """When the phase of now is over."""
    ahead = [time for time in schedule.plain().values() if time > now]
    return float(min(ahead)) if ahead else None
