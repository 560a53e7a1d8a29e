"""The node as the control server knows it: each order, answered from the rounds, the database and the swarm."""

import asyncio
import logging
import shutil
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress

from node.control.orders import (
    BlobOrder,
    CanJoinOrder,
    ContributeOrder,
    Draft,
    FollowOrder,
    LogOrder,
    MaterialiseOrder,
    PullOrder,
    ReviseOrder,
    RoundOrder,
    ShowRoundOrder,
    WithdrawOrder,
)
from node.control.progress import Materialised, Offered, Opened, Progress, Pulled, Revising
from node.control.views import (
    Disk,
    Event,
    JobView,
    LogLine,
    NodeStatus,
    Obstacles,
    OfferList,
    PeerList,
    PeerView,
    Reason,
    RoundDetail,
    RoundList,
    RoundSummary,
    SmallBlob,
)
from node.database import State
from node.diary import Diary
from node.errors import NodeError, UnreachableError, UserError
from node.rounds.conductor import Conductor, newest_outcome
from node.rounds.followed import Rounds
from node.rounds.materials import Materials
from node.service.contributing import Making
from node.service.finding import find_round
from node.service.opening import open_round
from node.service.pulling import Pulling
from node.service.streaming import streaming
from node.service.views import Look, who
from node.services import Services
from protocol.errors import ProtocolError, RuleError
from protocol.records import Roster, Withdrawal
from protocol.records.roster import MAX_ROSTER_BYTES
from umm import __version__

_log = logging.getLogger(__name__)

PAUSED = "paused"
"""The fact in the database."""


class LocalNode:
    """Implements :class:`node.control.interface.Node`."""

    def __init__(
        self,
        services: Services,
        rounds: Rounds,
        diary: Diary,
        addresses: Callable[[], list[str]],
        stopping: asyncio.Event,
    ) -> None:
        self._services, self._rounds, self._diary = services, rounds, diary
        self._addresses, self._stopping = addresses, stopping
        self._materials = Materials(services.home, services.database, services.store, services.library, services.peers)
        self._making = Making(services, self._materials)
        self._pulling = Pulling(services, rounds, self._materials)
        self._began = services.clock()

    # -- the node --------------------------------------------------------------------------------------------------

    async def status(self) -> NodeStatus:
        """See :class:`node.control.interface.Node`."""
        services = self._services
        jobs = await asyncio.to_thread(services.database.jobs, *State)
        free = await asyncio.to_thread(lambda: shutil.disk_usage(services.home.folder).free)
        return NodeStatus(
            version=__version__,
            who=who(services.key.public.point),
            home=services.home.folder,
            addresses=tuple(self._addresses()),
            exchange=services.address or None,
            uptime_seconds=services.clock() - self._began,
            paused=services.paused,
            peers=len(services.peers.connected),
            rounds=(await self.list_rounds()).rounds,
            jobs=tuple(
                JobView(
                    id=job.id,
                    round=job.round,
                    what=job.what,
                    state=job.state.value,
                    attempts=job.attempts,
                    progress=None,
                    trouble=job.answer.get("error"),
                )
                for job in jobs
            ),
            disk=Disk(used=services.store.used_bytes, quota=services.config.storage.quota, free=free),
        )

    async def peers(self) -> PeerList:
        """See :class:`node.control.interface.Node`."""
        views = [
            PeerView(who=who(peer.identity.point), address=peer.address, connected=True, trouble=None)
            for peer in self._services.peers.connected
            if peer.identity is not None
        ]
        views += [
            PeerView(who=who(point), address="", connected=False, trouble=reason)
            for point, reason in self._services.peers.failures.items()
        ]
        return PeerList(peers=tuple(views))

    async def pause(self) -> None:
        """See :class:`node.control.interface.Node`."""
        await asyncio.to_thread(self._services.database.put_fact, PAUSED, "yes")
        self._services.paused = True

    async def resume(self) -> None:
        """See :class:`node.control.interface.Node`."""
        await asyncio.to_thread(self._services.database.put_fact, PAUSED, "no")
        self._services.paused = False
        self._rounds.wake()

    async def log(self, order: LogOrder) -> AsyncGenerator[LogLine, None]:
        """See :class:`node.control.interface.Node`."""
        async with self._diary.reading() as coming:
            for line in self._diary.last(order.lines):
                yield line
            while order.follow:
                yield await coming.get()

    async def stop(self) -> None:
        """See :class:`node.control.interface.Node`."""
        self._stopping.set()

    # -- rounds ----------------------------------------------------------------------------------------------------

    async def list_rounds(self) -> RoundList:
        """See :class:`node.control.interface.Node`."""
        conductors = list(self._rounds.conductors.values())[::-1]
        return RoundList(rounds=tuple([(await self._look(one)).summary() for one in conductors]))

    async def show_round(self, order: ShowRoundOrder) -> RoundDetail:
        """See :class:`node.control.interface.Node`."""
        conductor = await self._conductor(order.round)
        recipe = conductor.proceedings.round.record.recipe
        look = await self._look(conductor)
        return look.detail(order.skip, recipe.text or f"blob {recipe.digest.hex()}")

    def open_round(self, draft: Draft) -> AsyncGenerator[Progress | Opened, None]:
        """See :class:`node.control.interface.Node`."""

        async def work(hear: Callable[[Progress], None]) -> Opened:
            def say(what: str) -> None:
                hear(Progress(what=what, done=0, total=0, unit="B"))

            signed = await open_round(draft, self._services, self._rounds, self._materials, say)
            return Opened(round=signed.id)

        return streaming(work)

    async def follow(self, order: FollowOrder) -> RoundSummary:
        """See :class:`node.control.interface.Node`."""
        return (await self._look(await self._conductor(order.round))).summary()

    async def unfollow(self, order: RoundOrder) -> None:
        """See :class:`node.control.interface.Node`."""
        conductor = self._rounds.conductors.get(order.round)
        if conductor is None:
            return
        under_way = await asyncio.to_thread(self._services.database.offers, order.round)
        if newest_outcome(conductor.proceedings) is None and any(not offer.withdrawn for offer in under_way):
            raise UserError("this node has contributions under way in that round; withdraw them first: umm withdraw ID")
        await self._rounds.leave(order.round)

    async def watch_round(self, order: RoundOrder) -> AsyncGenerator[Event | Progress, None]:
        """See :class:`node.control.interface.Node`."""
        await self._conductor(order.round)
        async with self._rounds.watching() as events:
            while True:
                event = await events.get()
                if event.round == order.round:
                    yield Event(
                        round=event.round,
                        at=self._services.clock(),
                        what=event.what,
                        text=event.text,
                        subject=event.subject or None,
                    )

    async def can_join(self, order: CanJoinOrder) -> Obstacles:
        """See :class:`node.control.interface.Node`."""
        conductor = await self._conductor(order.round)
        round_ = conductor.proceedings.round.record
        admission, reasons = round_.admission, []

        def against(word: str, text: str) -> None:
            reasons.append(Reason(word=word, text=text))

        if admission.keys and self._services.key.public.point not in admission.keys:
            against("admission", "the round is open to listed keys only; ask its convener to list yours: umm key show")
        if order.kind and order.kind not in [kind.value for kind in round_.kinds]:
            against("kind", f"the round takes {', '.join(kind.value for kind in round_.kinds)}, not {order.kind}")
        if order.licence and admission.licences and order.licence not in admission.licences:
            against("licence", f"the round takes the licences {', '.join(admission.licences)}, not {order.licence}")
        if order.domain and admission.domains and order.domain not in admission.domains:
            against("domain", f"the round is about {', '.join(admission.domains)}, not {order.domain}")
        if order.size is not None and order.size > admission.bytes_each:
            against("size", f"a contribution has at most {admission.bytes_each} bytes here, not {order.size}")
        if order.expert is None:
            phase = round_.schedule.phase(self._services.clock()).value
            if phase not in ("announced", "commit"):
                against("late", f"the round is in the phase {phase} and takes no contributions any more")
        elif not reasons:
            wanted = ContributeOrder(
                round=order.round,
                expert=order.expert,
                kind=order.kind,
                domain=order.domain or (admission.domains or ("any",))[0],
                licence=order.licence or (admission.licences or ("other",))[0],
                dry_run=True,
            )
            reasons += await self._making.obstacles(wanted, conductor)
        return Obstacles(reasons=tuple(reasons))

    async def revise(self, order: ReviseOrder) -> Revising:
        """See :class:`node.control.interface.Node`."""
        conductor = await self._conductor(order.round)
        proceedings = conductor.proceedings
        outcome = newest_outcome(proceedings)
        if proceedings.me not in proceedings.round.record.stewards:
            raise UserError("only a steward of the round can ask for a revision; ask one of them: umm round show ID")
        if outcome is None:
            raise UserError("the round has no result yet, so there is nothing to revise")
        number = outcome.record.number + 1
        await asyncio.to_thread(self._services.database.put_fact, f"revise/{order.round.hex()}", str(number))
        conductor.wake()
        return Revising(revision=number)

    # -- own contributions -----------------------------------------------------------------------------------------

    def contribute(self, order: ContributeOrder) -> AsyncGenerator[Progress | Offered, None]:
        """See :class:`node.control.interface.Node`."""

        async def work(hear: Callable[[Progress], None]) -> Offered:
            return await self._making.contribute(order, await self._conductor(order.round), hear)

        return streaming(work)

    async def withdraw(self, order: WithdrawOrder) -> None:
        """See :class:`node.control.interface.Node`."""
        offers = await asyncio.to_thread(self._services.database.offers)
        mine = [offer for offer in offers if offer.id == order.contribution]
        if not mine:
            raise UserError(f"this node has made no contribution {order.contribution.hex()}; see: umm status")
        await asyncio.to_thread(self._services.database.withdraw, order.contribution)
        conductor = await self._conductor(mine[0].round)
        if conductor.proceedings.ledger.find(order.contribution) is not None:
            said = Withdrawal(
                author=conductor.proceedings.me,
                round=mine[0].round,
                contribution=order.contribution,
                reason=order.reason,
            )
            await asyncio.to_thread(conductor.proceedings.say, said, self._services.clock())
        conductor.wake()

    async def offers(self) -> OfferList:
        """See :class:`node.control.interface.Node`."""
        views = [view for one in self._rounds.conductors.values() for view in (await self._look(one)).offer_views()]
        return OfferList(offers=tuple(sorted(views, key=lambda view: -view.since)))

    # -- models ----------------------------------------------------------------------------------------------------

    def pull(self, order: PullOrder) -> AsyncGenerator[Progress | Pulled, None]:
        """See :class:`node.control.interface.Node`."""

        async def work(hear: Callable[[Progress], None]) -> Pulled:
            if not self._pulling.knows(order.what):
                with suppress(UnreachableError):  # it may be a root, or a result of a round that is followed
                    await self._conductor(order.what)
            return await self._pulling.pull(order, hear)

        return streaming(work)

    def materialise(self, order: MaterialiseOrder) -> AsyncGenerator[Progress | Materialised, None]:
        """See :class:`node.control.interface.Node`."""
        return streaming(lambda hear: self._pulling.materialise(order, hear))

    async def blob(self, order: BlobOrder) -> SmallBlob:
        """See :class:`node.control.interface.Node`."""
        return SmallBlob(data=await self._pulling.blob(order))

    # -- within ----------------------------------------------------------------------------------------------------

    async def _conductor(self, round_id: bytes) -> Conductor:
        """The round's; one that is not followed yet is looked for in the swarm and followed from now on."""
        found = self._rounds.conductors.get(round_id)
        if found is not None:
            return found
        round_ = await find_round(round_id, self._services)
        conductor = await self._rounds.follow(round_)
        try:
            await conductor.step()
        except (NodeError, ProtocolError, RuleError) as error:
            _log.info("round %s: %s", round_id.hex()[:12], error)
        return conductor

    async def _look(self, conductor: Conductor) -> Look:
        proceedings, services = conductor.proceedings, self._services
        named = {s.record.roster for s in proceedings.ledger if hasattr(s.record, "roster")}

        def read() -> dict[bytes, Roster]:
            found = {one: services.store.read_whole(one, MAX_ROSTER_BYTES) for one in named}
            return {one: Roster.parse(data) for one, data in found.items() if data is not None}

        rosters = await services.store.off_loop(read)
        folders = await asyncio.to_thread(services.database.folders)
        base = proceedings.round.record.base
        here, _ = folders.get(base.manifest or b"", (services.home.bases / base.root.hex(), None))
        return Look(
            proceedings=proceedings,
            offers=await asyncio.to_thread(services.database.offers, proceedings.round.id),
            rosters=rosters.get,
            base_here=await asyncio.to_thread(here.is_dir),
            now=services.clock(),
        )
