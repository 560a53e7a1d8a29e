"""A node without a network and without a disk: it keeps rounds in memory and tells what it was asked."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

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
    Role,
    RoundOrder,
    ShowRoundOrder,
    WithdrawOrder,
)
from node.control.progress import Materialised, Offered, Opened, Progress, Pulled, Revising
from node.control.views import (
    BaseView,
    Entry,
    Event,
    JobView,
    LogLine,
    NodeStatus,
    Obstacles,
    OfferList,
    OfferState,
    OfferView,
    OutcomeView,
    PeerList,
    PeerView,
    Reason,
    RoundDetail,
    RoundList,
    RoundSummary,
    SmallBlob,
    StewardState,
    StewardView,
)
from node.errors import UnreachableError, UserError
from tests.node.control.samples import DISK, LINES, ME, OTHER

HALF = Progress(what="hashing", done=5, total=10, unit="B")


class MemoryNode:
    """See :class:`node.control.interface.Node`."""

    def __init__(self) -> None:
        self.rounds: dict[bytes, RoundDetail] = {}
        self.own: list[OfferView] = []
        self.paused = False
        self.stopped = asyncio.Event()
        self.asked: list[str] = []
        self.trouble: BaseException | None = None
        """What every order that is not a stream ends with, and what a stream breaks off with after its first item."""
        self.events: asyncio.Queue[Event] = asyncio.Queue()
        """What is still to be seen by whoever watches."""
        self.left = asyncio.Event()
        """Somebody did not wait for the end."""
        self.hangs = False
        """Orders are begun and never end."""

    # The node

    async def status(self) -> NodeStatus:
        await self._begin("status")
        job = JobView(id="j", round=None, what="merge", state="running", attempts=1, progress=HALF, trouble=None)
        return NodeStatus(
            version="1",
            who=ME,
            home=Path("/home/umm"),
            addresses=("/ip4/127.0.0.1/tcp/1",),
            exchange=None,
            uptime_seconds=2.5,
            paused=self.paused,
            peers=1,
            rounds=tuple(one.summary for one in self.rounds.values()),
            jobs=(job,),
            disk=DISK,
        )

    async def peers(self) -> PeerList:
        await self._begin("peers")
        return PeerList(peers=(PeerView(who=OTHER, address="127.0.0.1:1", connected=False, trouble="it is away"),))

    async def pause(self) -> None:
        await self._begin("pause")
        self.paused = True

    async def resume(self) -> None:
        await self._begin("resume")
        self.paused = False

    async def log(self, order: LogOrder) -> AsyncGenerator[LogLine, None]:
        await self._begin("log")
        for line in LINES[len(LINES) - order.lines :]:
            yield line
        if order.follow:
            await self._wait()

    async def stop(self) -> None:
        await self._begin("stop")
        self.stopped.set()

    # Rounds

    async def list_rounds(self) -> RoundList:
        await self._begin("list_rounds")
        return RoundList(rounds=tuple(one.summary for one in self.rounds.values()))

    async def show_round(self, order: ShowRoundOrder) -> RoundDetail:
        await self._begin("show_round")
        return self._round(order.round)

    async def open_round(self, draft: Draft) -> AsyncGenerator[Progress | Opened, None]:
        await self._begin("open_round")
        yield HALF
        self._break_off()
        found = detail(draft)
        self.rounds[found.summary.id] = found
        yield Opened(round=found.summary.id)

    async def follow(self, order: FollowOrder) -> RoundSummary:
        await self._begin("follow")
        found = self._round(order.round)
        summary = replace(found.summary, roles=(*found.summary.roles, order.role))
        self.rounds[order.round] = replace(found, summary=summary)
        return summary

    async def unfollow(self, order: RoundOrder) -> None:
        await self._begin("unfollow")
        del self.rounds[self._round(order.round).summary.id]

    async def watch_round(self, order: RoundOrder) -> AsyncGenerator[Event | Progress, None]:
        await self._begin("watch_round")
        self._round(order.round)
        yield HALF
        try:
            while not self.stopped.is_set():
                yield await self.events.get()
        except BaseException:
            self.left.set()
            raise

    async def can_join(self, order: CanJoinOrder) -> Obstacles:
        await self._begin("can_join")
        licences = self._round(order.round).terms.licences
        known = order.licence in licences
        return Obstacles(reasons=() if known else (Reason(word="licence", text=f"allowed are {licences}"),))

    async def revise(self, order: ReviseOrder) -> Revising:
        await self._begin("revise")
        self._round(order.round)
        return Revising(revision=1)

    # Own contributions

    async def contribute(self, order: ContributeOrder) -> AsyncGenerator[Progress | Offered, None]:
        await self._begin("contribute")
        yield HALF
        self._break_off()
        if self.hangs:
            await self._wait()
        found = self._round(order.round)
        contribution = sha256(str(order.expert).encode()).digest()
        self.own.append(
            OfferView(
                id=contribution,
                round=order.round,
                round_title=found.summary.title,
                kind=order.kind or "delta",
                domain=order.domain,
                title=order.title,
                state=OfferState.HIDDEN,
                reason=None,
                since=1.0,
                next="commitments open",
                next_at=100.0,
            )
        )
        kept = None if order.dry_run else contribution
        yield Offered(contribution=kept, kind="delta", root=b"r" * 32, size=7, norm="0.25", next="commitments open")

    async def withdraw(self, order: WithdrawOrder) -> None:
        await self._begin("withdraw")
        self.own = [one for one in self.own if one.id != order.contribution]

    async def offers(self) -> OfferList:
        await self._begin("offers")
        return OfferList(offers=tuple(self.own))

    # Models

    async def pull(self, order: PullOrder) -> AsyncGenerator[Progress | Pulled, None]:
        await self._begin("pull")
        yield HALF
        self._break_off()
        if order.what not in self.rounds:
            raise UnreachableError(f"nobody has {order.what.hex()}; is its round followed?")
        yield Pulled(
            folder=order.out,
            root=b"r" * 32,
            manifest=b"m" * 32,
            round=order.what,
            revision=order.revision,
            fetched_bytes=2**40,
            seconds=0.5,
        )

    async def materialise(self, order: MaterialiseOrder) -> AsyncGenerator[Progress | Materialised, None]:
        await self._begin("materialise")
        try:
            for done in range(len(order.tensors)):
                yield Progress(what="fetching", done=done, total=len(order.tensors), unit="tensors")
        except BaseException:
            self.left.set()
            raise
        yield Materialised(folder=order.folder, root=b"r" * 32, fetched_bytes=0, seconds=0.0)

    async def blob(self, order: BlobOrder) -> SmallBlob:
        await self._begin("blob")
        return SmallBlob(data=order.blob)

    # Within

    async def _begin(self, name: str) -> None:
        self.asked.append(name)
        streams = ("open_round", "contribute", "pull")
        if name not in streams:
            self._break_off()
            if self.hangs:
                await self._wait()

    async def _wait(self) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.left.set()
            raise

    def _break_off(self) -> None:
        if self.trouble is not None:
            raise self.trouble

    def _round(self, round_id: bytes) -> RoundDetail:
        if round_id not in self.rounds:
            raise UserError(f"the round {round_id.hex()} is not known here; follow it first")
        return self.rounds[round_id]


def detail(draft: Draft) -> RoundDetail:
    """A round as it would be shown."""
    round_id = sha256(draft.title.encode()).digest()
    summary = RoundSummary(
        id=round_id,
        title=draft.title,
        convener=ME,
        roles=(Role.CONVENER,),
        phase="commit",
        phase_ends=200.0,
        contributions=1,
        stewards=len(draft.stewards),
        quorum=2,
        root=None,
        revision=None,
    )
    entry = Entry(
        id=b"c" * 32,
        author=OTHER,
        mine=False,
        kind="delta",
        title=None,
        domain="math",
        licence="mit",
        size=9,
        norm="1.5",
        claims=(),
        state=OfferState.REFUSED,
        reason="a value is not finite",
    )
    outcome = OutcomeView(
        id=b"o" * 32,
        revision=0,
        author=ME,
        roster=b"l" * 32,
        root=b"r" * 32,
        manifest=b"m" * 32,
        contributions=1,
        endorsed_by=(ME, OTHER),
        removed=(b"c" * 32,),
        reason=None,
    )
    steward = StewardView(who=ME, state=StewardState.ATTESTED, since=450.0, root=b"r" * 32)
    return RoundDetail(
        summary=summary,
        description=draft.description,
        base=BaseView(root=b"b" * 32, manifest=None, locations=("hf://a/b@main",), result=None, here=True),
        recipe=draft.recipe or "merge_method: ties",
        tolerance=draft.tolerance,
        seed=draft.seed or bytes(32),
        kinds=draft.kinds,
        times=draft.times,
        reveal_opens=206.0,
        terms=draft.terms,
        stewards=(steward,),
        commitments=2,
        entries=(entry,),
        total_entries=1,
        outcomes=(outcome,),
    )
