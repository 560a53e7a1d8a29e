"""What a steward does in a round: check contributions, agree on the roster, merge it, attest, publish.

Rules:

1. Everything that is decided follows from the ledger and the database; the tasks that run beside it only fill these in.
2. A contribution is checked once. What is wrong with it is said in a Refusal, so that its author sees the reason; what
   cannot be fetched is tried again until the ballots are due, and then left out.
3. One piece of heavy work at a time, in a child process.
4. A root is attested only after this node merged the agreed roster itself.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from node.database import Database, Job, State, Verdict
from node.errors import NodeError
from node.rounds.events import Event
from node.rounds.gathering import Gathering
from node.rounds.materials import Materials
from node.rounds.merging import Merging
from node.rounds.proceedings import Proceedings
from node.worker.messages import printable
from protocol.agreement import Fetch, Keep, Say, Situation, decision, duties
from protocol.errors import ForgedError, MalformedError, ProtocolError, RuleError, UnavailableError
from protocol.ledger import LeftOut
from protocol.records import (
    Attestation,
    Ballot,
    Contribution,
    Fault,
    Outcome,
    Proposal,
    Refusal,
    Result,
    Revision,
    Roster,
    Signed,
    Timeout,
    Vote,
    endorsements,
)
from protocol.records.contribution import MAX_REASON
from protocol.records.roster import MAX_ROSTER_BYTES
from protocol.records.round import SKEW_SECONDS

_log = logging.getLogger(__name__)

MAX_ATTEMPTS = 3
"""Of a merge; then somebody has to look at it."""

RETRY_SECONDS = 3.0
"""Before what could not be fetched is asked for again."""


@dataclass
class Stewarding:
    """A steward's duties in one round."""

    proceedings: Proceedings
    gathering: Gathering
    materials: Materials
    merging: Merging
    database: Database
    heavy: asyncio.Semaphore
    clock: Callable[[], float]
    tell: Callable[[Event], None] = lambda _: None

    _tasks: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _tried: dict[str, float] = field(default_factory=dict)

    async def step(self, now: float) -> None:
        """Do what is due."""
        self._tasks = {name: task for name, task in self._tasks.items() if not task.done()}
        self._examine(now)
        for revision in self._revisions():
            await self._agree(revision, now)
            self._merge(revision, now)
            await asyncio.to_thread(self._attest, revision, now)

    async def close(self) -> None:
        """End what runs beside."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    # -- checking --------------------------------------------------------------------------------------------------

    def _examine(self, now: float) -> None:
        for offer in self._unjudged():
            self._start(f"check/{offer.id.hex()}", now, self._check(offer))

    def _unjudged(self) -> list[Signed[Contribution]]:
        verdicts = self.database.verdicts(self.proceedings.round.id)
        standing = self.proceedings.ledger.selection()
        waiting = set(standing.roster.contributions) - verdicts.keys()
        return [offer for offer in self.proceedings.ledger.records(Contribution) if offer.id in waiting]

    async def _check(self, offer: Signed[Contribution]) -> None:
        places = self.gathering.sources(self.proceedings)
        try:
            base = await self.materials.base(self.proceedings.round, places)
            folder = await self.materials.contribution(offer, places)
        except UnavailableError:
            return  # asked again later
        except (ForgedError, RuleError, MalformedError) as error:
            verdict = Verdict(offer.id, Fault.MANIFEST.value, str(error))
        else:
            async with self.heavy:
                verdict = await self.merging.check(offer, base, folder, self.proceedings.round.record)
        await asyncio.to_thread(self._judge, verdict)

    def _judge(self, verdict: Verdict) -> None:
        """A refusal is said before the verdict is kept: after a crash in between, it is found and said again."""
        if verdict.fault is not None:
            self._refuse(verdict, verdict.fault)
        self.database.judge(self.proceedings.round.id, verdict)
        name = verdict.contribution.hex()[:12]
        if verdict.fault is None:
            self._event("checked", f"contribution {name} is complete and valid", verdict.contribution)
            return
        self._event("refused", f"contribution {name} is refused: {verdict.reason}", verdict.contribution)

    def _refuse(self, verdict: Verdict, fault: str) -> None:
        refusal = Refusal(
            author=self.proceedings.me,
            round=self.proceedings.round.id,
            contribution=verdict.contribution,
            fault=Fault(fault),
            reason=printable(verdict.reason or fault)[:MAX_REASON].strip(),
        )
        self.proceedings.say(refusal, self.clock())

    # -- agreeing --------------------------------------------------------------------------------------------------

    def _revisions(self) -> list[int]:
        """The result, as long as there is none; then the revision that somebody asked for."""
        ledger = self.proceedings.ledger
        done = {signed.record.number for signed in ledger if isinstance(signed.record, Outcome)}
        following = max(done, default=-1) + 1
        if following == 0:
            return [0]
        asked = any(ballot.record.revision == following for ballot in ledger.records(Ballot))
        wanted = self.database.fact(f"revise/{self.proceedings.round.id.hex()}") == str(following)
        return [following] if asked or wanted else []

    async def _agree(self, revision: int, now: float) -> None:
        schedule = self.proceedings.round.record.schedule
        if now < schedule.reveal_closes + SKEW_SECONDS:
            return
        if decision(self.proceedings.ledger, revision) is not None:
            return
        candidate = await asyncio.to_thread(self._candidate, revision, now)
        rosters = await self._rosters(revision)
        situation = Situation(
            ledger=self.proceedings.ledger,
            revision=revision,
            me=self.proceedings.me,
            candidate=candidate,
            rosters=rosters.get,
            began=self._began(revision, now),
            ends=schedule.roster_closes if revision == 0 else None,
        )
        for duty in duties(situation, now):
            match duty:
                case Keep(roster):
                    await self._shelve(roster)
                case Say(record):
                    signed = await asyncio.to_thread(self.proceedings.say, record, now)
                    self._event(signed.record.noun, f"we say: {signed.record.noun} (revision {revision})", signed.id)
                case Fetch(roster_id, of):
                    self._start(f"roster/{roster_id.hex()}", now, self._bring_roster(roster_id, of))

    def _candidate(self, revision: int, now: float) -> Roster | None:
        """The contributions that this node holds complete and valid; None as long as it may still find out more."""
        if revision > 0:
            return self._remaining(revision)
        schedule = self.proceedings.round.record.schedule
        verdicts = self.database.verdicts(self.proceedings.round.id)
        waiting = {offer.id for offer in self._unjudged()}
        patience = schedule.reveal_closes + (schedule.roster_closes - schedule.reveal_closes) / 3
        if waiting and now < patience:
            return None
        wrong = {verdict.contribution for verdict in verdicts.values() if verdict.fault is not None}
        return self.proceedings.ledger.selection(without=wrong | waiting).roster

    def _remaining(self, revision: int) -> Roster | None:
        """The roster before, without what was withdrawn since."""
        before = [s.record for s in self.proceedings.ledger if isinstance(s.record, Outcome)]
        previous = [record for record in before if record.number == revision - 1]
        data = self.materials.store.read_whole(previous[0].roster, MAX_ROSTER_BYTES) if previous else None
        if data is None:
            return None
        withdrawn = {c for c, why in self.proceedings.ledger.selection().left_out.items() if why is LeftOut.WITHDRAWN}
        return Roster(tuple(c for c in Roster.parse(data).contributions if c not in withdrawn))

    def _began(self, revision: int, now: float) -> float:
        if revision == 0:
            return self.proceedings.round.record.schedule.reveal_closes + SKEW_SECONDS
        ballots = {b.id for b in self.proceedings.ledger.records(Ballot) if b.record.revision == revision}
        seen = [kept.first_seen for kept in self.database.records(self.proceedings.round.id) if kept.id in ballots]
        return min(seen, default=now)

    async def _shelve(self, roster: Roster) -> None:
        """Other stewards will ask for it."""
        if roster.id not in self.materials.store:
            await self.materials.store.off_loop(
                self.materials.store.put, roster.encode(), self.proceedings.round.id.hex()
            )

    async def _rosters(self, revision: int) -> dict[bytes, Roster]:
        """Those at hand that anybody named, liars too. What is no roster is not at hand."""
        store, named = self.materials.store, set(self._named(revision))

        def read() -> dict[bytes, Roster]:
            found = {}
            for roster in named:
                with suppress(MalformedError):
                    if (data := store.read_whole(roster, MAX_ROSTER_BYTES)) is not None:
                        found[roster] = Roster.parse(data)
            return found

        return await store.off_loop(read)

    def _named(self, revision: int) -> Iterator[bytes]:
        ledger = self.proceedings.ledger
        said: list[Ballot | Proposal | Vote] = [one.record for one in ledger.taken(Ballot)]
        said += [one.record for one in ledger.taken(Proposal)]
        said += [one.record for one in ledger.taken(Vote)]
        yield from (record.roster for record in said if record.revision == revision)
        for timeout in ledger.taken(Timeout):
            if timeout.record.revision == revision and timeout.record.lock is not None:
                yield timeout.record.lock.roster

    async def _bring_roster(self, roster: bytes, of: bytes) -> None:
        places = self.gathering.sources(self.proceedings)
        first = [place for place in places if place.key.point == of]
        holder = self.proceedings.round.id.hex()
        await self.materials.bring({roster: MAX_ROSTER_BYTES}, holder, [*first, *places])

    # -- merging ---------------------------------------------------------------------------------------------------

    def _job_id(self, revision: int) -> str:
        return f"merge/{self.proceedings.round.id.hex()}/{revision}"

    def _merge(self, revision: int, now: float) -> None:
        roster = decision(self.proceedings.ledger, revision)
        job = self.database.job(self._job_id(revision))
        if roster is None or (job is not None and job.state is State.DONE):
            return
        if job is not None and job.attempts >= MAX_ATTEMPTS:
            return
        self._start(self._job_id(revision), now, self._merge_roster(revision, roster))

    async def _merge_roster(self, revision: int, roster_id: bytes) -> None:
        rosters = await self._rosters(revision)
        if roster_id not in rosters:
            await self._bring_roster(roster_id, self.proceedings.me)
            return
        job_id, round_id = self._job_id(revision), self.proceedings.round.id
        before = self.database.job(job_id)
        attempts = (before.attempts if before else 0) + 1
        try:
            async with self.heavy:
                self._event("merging", f"merging {len(rosters[roster_id].contributions)} contributions")
                merged = await self.merging.merge(
                    self.proceedings, rosters[roster_id], self.gathering.sources(self.proceedings), revision
                )
        except UnavailableError as error:
            self._event("waiting", f"the merge waits: {error}")
            return
        except (NodeError, ProtocolError) as error:
            self._event("failed", f"the merge failed: {error}")
            state = State.FAILED if attempts >= MAX_ATTEMPTS else State.WAITING
            failed = Job(job_id, round_id, "merge", state, attempts, {"error": str(error)})
            await asyncio.to_thread(self.database.put_job, failed, self.clock())
            return
        answer = {"root": merged.root.hex(), "manifest": merged.id.hex(), "roster": roster_id.hex()}
        done = Job(job_id, round_id, "merge", State.DONE, attempts, answer)
        await asyncio.to_thread(self.database.put_job, done, self.clock())
        self._event("merged", f"merged; the root is {merged.root.hex()}")

    # -- attesting -------------------------------------------------------------------------------------------------

    def _attest(self, revision: int, now: float) -> None:
        job = self.database.job(self._job_id(revision))
        if job is None or job.state is not State.DONE:
            return
        round_ = self.proceedings.round
        root, roster = bytes.fromhex(job.answer["root"]), bytes.fromhex(job.answer["roster"])
        own = Attestation(
            author=self.proceedings.me,
            round=round_.id,
            revision=revision,
            roster=roster,
            root=root,
            recipe=round_.record.recipe.digest,
        )
        self.proceedings.say(own, now)
        same = [
            said
            for said in self.proceedings.ledger.records(Attestation)
            if (said.record.revision, said.record.roster, said.record.root, said.record.recipe)
            == (revision, roster, root, own.recipe)
        ]
        if len(same) >= round_.record.quorum:
            self._publish(revision, roster, root, bytes.fromhex(job.answer["manifest"]), same, now)

    def _publish(
        self,
        revision: int,
        roster: bytes,
        root: bytes,
        manifest: bytes,
        same: list[Signed[Attestation]],
        now: float,
    ) -> None:
        known = [s.record for s in self.proceedings.ledger if isinstance(s.record, Outcome)]
        if any(record.number == revision and record.author == self.proceedings.me for record in known):
            return
        common: dict[str, Any] = {
            "author": self.proceedings.me,
            "round": self.proceedings.round.id,
            "roster": roster,
            "root": root,
            "manifest": manifest,
            "recipe": self.proceedings.round.record.recipe,
            "endorsements": endorsements(same),
        }
        outcome: Outcome = Result(**common)
        if revision:
            previous = min((r for r in known if r.number == revision - 1), key=lambda r: r.id)
            outcome = Revision(**common, revision=revision, previous=previous.id, **self._removed(previous, roster))
        self.proceedings.say(outcome, now)
        self._event("result", f"published: the root is {root.hex()}")

    def _removed(self, previous: Outcome, roster: bytes) -> dict[str, Any]:
        store = self.materials.store
        before, after = (
            Roster.parse(store.read_whole(one, MAX_ROSTER_BYTES) or b"").contributions
            for one in (previous.roster, roster)
        )
        removed = tuple(sorted(set(before) - set(after)))
        return {"removed": removed, "reason": "withdrawn by the contributor" if removed else "merged anew"}

    # -- beside ----------------------------------------------------------------------------------------------------

    def _start(self, name: str, now: float, work: Coroutine[Any, Any, None]) -> None:
        """Run something beside the steps, once at a time, and not again right after it ended without an answer."""
        if name in self._tasks or now < self._tried.get(name, 0.0) + RETRY_SECONDS:
            work.close()
            return
        self._tried[name] = now
        self._tasks[name] = asyncio.create_task(self._guarded(work), name=name)

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except (NodeError, ProtocolError) as error:
            _log.warning("round %s: %s", self.proceedings.round.id.hex()[:12], error)

    def _event(self, what: str, text: str, subject: bytes = b"") -> None:
        self.tell(Event(self.proceedings.round.id, what, text, subject))
