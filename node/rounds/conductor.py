"""One round on this node, moved forward by the clock and by what is heard.

A conductor has no memory of its own. In every step it looks at the proceedings, the database and the clock, and does
what is due and not yet done; a node that was killed goes on where it was because there is nothing else to remember.
Heavy work (checking a contribution, merging) runs beside the steps, one piece at a time, and leaves its answer in the
database.

What is due, in the order of a round:

- **contributor**: say the commitment while commitments are open, the contribution when reveals open;
- **steward**: fetch and check what stands, refuse what is wrong with the reason, agree on the roster, merge it, attest
  to the root, publish the Result when a quorum attested to the same;
- **everybody**: hear what others say, tell what we say, keep a log.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from node.database import Database
from node.errors import NodeError
from node.rounds.announcements import Announcements
from node.rounds.events import Event, events_of
from node.rounds.gathering import Gathering
from node.rounds.materials import Materials
from node.rounds.proceedings import Heard, Proceedings
from node.rounds.stewarding import Stewarding
from protocol.agreement import decision
from protocol.envelope import Envelope
from protocol.errors import ProtocolError, UnavailableError
from protocol.records import Commitment, Contribution, Outcome, Phase, Signed, open_record
from protocol.records.roster import MAX_ROSTER_BYTES

_log = logging.getLogger(__name__)

QUICK_SECONDS = 1.0
"""Between steps while stewards agree, or when a deadline is near."""

SLOW_SECONDS = 20.0
"""Between steps while nothing is due for long."""


@dataclass
class Conductor:
    """Looks after one round until it is stopped."""

    proceedings: Proceedings
    gathering: Gathering
    announcements: Announcements
    materials: Materials
    database: Database
    clock: Callable[[], float]
    stewarding: Stewarding | None
    """None on a node that is no steward of the round."""
    tell: Callable[[Event], None] = lambda _: None
    paused: Callable[[], bool] = lambda: False

    _brought: set[bytes] = field(default_factory=set)
    _awake: asyncio.Event = field(default_factory=asyncio.Event)
    _stepping: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def run(self) -> None:
        """Step after step. What goes wrong in one is logged, and the next one is tried."""
        while True:
            self._awake.clear()
            try:
                await self.step()
            except (NodeError, ProtocolError) as error:
                _log.warning("round %s: %s", self.proceedings.round.id.hex()[:12], error)
            await self._wait()

    def wake(self) -> None:
        """There is something to do: do not wait for the next step."""
        self._awake.set()

    async def step(self) -> Heard:
        """Hear, do what is due, tell. One at a time, whoever asks for it."""
        async with self._stepping:
            return await self._step()

    async def _step(self) -> Heard:
        now = self.clock()
        before = self.proceedings.round.record.schedule.phase(now)
        heard = await self.gathering.listen(self.proceedings, now)
        for event in events_of(heard, self.proceedings.round):
            self.tell(event)
        if not self.paused():
            await asyncio.to_thread(self._say_what_is_due)
            if self.stewarding is not None and before not in (Phase.ANNOUNCED, Phase.COMMIT):
                await self.stewarding.step(self.clock())
        await self.announcements.tell(self.proceedings, self.clock())
        await self._bring_rosters()
        return heard

    @property
    def outcome(self) -> Signed[Outcome] | None:
        """The newest final Result or Revision that is held, if there is one and no other beside it."""
        return newest_outcome(self.proceedings)

    async def _bring_rosters(self) -> None:
        """What was decided names a roster; with it this node knows whose contributions are in."""
        ledger = self.proceedings.ledger
        named = {signed.record.roster for signed in ledger if isinstance(signed.record, Outcome)}
        if (decided := decision(ledger, 0)) is not None:
            named.add(decided)
        wanted = dict.fromkeys(named - self._brought, MAX_ROSTER_BYTES)
        if not wanted:
            return
        places = self.gathering.sources(self.proceedings)
        try:
            await self.materials.bring(wanted, self.proceedings.round.id.hex(), places)
        except UnavailableError as error:
            _log.info("round %s: %s", self.proceedings.round.id.hex()[:12], error)
        else:
            self._brought |= named

    def _say_what_is_due(self) -> None:
        """A contributor's duties. Commitments and contributions are only ever said within their windows."""
        now, schedule = self.clock(), self.proceedings.round.record.schedule
        for offer in self.database.offers(self.proceedings.round.id):
            hidden = open_record(Envelope.parse(offer.envelope), Contribution)
            if offer.withdrawn or self.proceedings.knows(hidden.id):
                continue
            record = hidden.record
            if schedule.commit_opens <= now < schedule.commit_closes:
                said = Commitment(author=record.author, round=record.round, digest=record.commitment_digest)
                self.proceedings.say(said, now)
            elif schedule.reveal_opens <= now < schedule.reveal_closes:
                self.proceedings.say(record, now)

    async def _wait(self) -> None:
        seconds = self._seconds()
        try:
            async with asyncio.timeout(seconds):
                await self._awake.wait()
        except TimeoutError:
            return

    def _seconds(self) -> float:
        """Until the next step: short while something is going on, and never past the next deadline."""
        now, schedule = self.clock(), self.proceedings.round.record.schedule
        phase = schedule.phase(now)
        if phase in (Phase.ROSTER, Phase.MERGE) and self.outcome is None:
            return QUICK_SECONDS
        length = schedule.merge_closes - schedule.commit_opens
        usual = min(SLOW_SECONDS, max(QUICK_SECONDS, length / 60))
        times = (*schedule.plain().values(), schedule.reveal_opens)
        ahead = [t - now for t in times if t > now]
        return min(usual, max(QUICK_SECONDS / 2, min(ahead, default=usual)))


def newest_outcome(proceedings: Proceedings) -> Signed[Outcome] | None:
    """The outcome with the highest number; None where two of that number differ, for then a quorum lied."""
    found: dict[int, list[Signed[Outcome]]] = {}
    for signed in proceedings.ledger:
        if isinstance(signed.record, Outcome):
            found.setdefault(signed.record.number, []).append(Signed(signed.record, signed.envelope))
    if not found:
        return None
    newest = found[max(found)]
    return newest[0] if len({(one.record.roster, one.record.root) for one in newest}) == 1 else None
