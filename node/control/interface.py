"""What a node can be asked. The daemon implements this class, the client speaks to it with the same signatures.

Rules:

1. Errors are those of ``node.errors``, on both sides of the socket, with the same message.
2. What takes long is a stream: any number of :class:`Progress`, then one value that says how it ended. A stream that
   ends without it was broken off. Leaving a stream early (``aclose``) ends the work, as far as it can be ended; what
   was signed stays signed.
3. Orders of the same meaning may be given twice: following a round again, pausing a paused node, stopping.
4. A node that is paused still answers; it says and merges nothing until it is resumed.
"""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Protocol, TypeVar

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
    Event,
    LogLine,
    NodeStatus,
    Obstacles,
    OfferList,
    PeerList,
    RoundDetail,
    RoundList,
    RoundSummary,
    SmallBlob,
)
from node.errors import MachineFault

End = TypeVar("End")


class Node(Protocol):
    """One method for each order."""

    # The node

    async def status(self) -> NodeStatus:
        """What the node is and does now."""
        ...

    async def peers(self) -> PeerList:
        """Other nodes that it is connected to or could not reach."""
        ...

    async def pause(self) -> None:
        """Say nothing more and do no heavy work, until it is resumed; also after a restart."""
        ...

    async def resume(self) -> None:
        """Go on."""
        ...

    def log(self, order: LogOrder) -> AsyncGenerator[LogLine, None]:
        """What the daemon had to say; with ``follow`` it ends when whoever listens leaves."""
        ...

    async def stop(self) -> None:
        """End the daemon. The answer comes before it ends."""
        ...

    # Rounds

    async def list_rounds(self) -> RoundList:
        """The rounds that it follows."""
        ...

    async def show_round(self, order: ShowRoundOrder) -> RoundDetail:
        """All about a round. One that it does not follow is looked for in the swarm."""
        ...

    def open_round(self, draft: Draft) -> AsyncGenerator[Progress | Opened, None]:
        """Sign a round and announce it. Hashes the base if that is a folder."""
        ...

    async def follow(self, order: FollowOrder) -> RoundSummary:
        """Look after a round from now on."""
        ...

    async def unfollow(self, order: RoundOrder) -> None:
        """Look after it no longer; what was heard is kept. Refused while own contributions are under way."""
        ...

    def watch_round(self, order: RoundOrder) -> AsyncGenerator[Event | Progress, None]:
        """What happens in a round from now on: phases, records as they are heard, jobs. Ends when it is unfollowed."""
        ...

    async def can_join(self, order: CanJoinOrder) -> Obstacles:
        """Would this node and such a contribution be admitted, and if not, why."""
        ...

    async def revise(self, order: ReviseOrder) -> Revising:
        """As a steward, ask the others for a merge without what was withdrawn."""
        ...

    # Own contributions

    def contribute(self, order: ContributeOrder) -> AsyncGenerator[Progress | Offered, None]:
        """Offer an expert to a round. Commitment and reveal then happen by themselves."""
        ...

    async def withdraw(self, order: WithdrawOrder) -> None:
        """Take a contribution back."""
        ...

    async def offers(self) -> OfferList:
        """What is happening to each contribution of this node's."""
        ...

    # Models

    def pull(self, order: PullOrder) -> AsyncGenerator[Progress | Pulled, None]:
        """Fetch a merged model with its lineage into a folder. Goes on where an earlier pull was broken off."""
        ...

    def materialise(self, order: MaterialiseOrder) -> AsyncGenerator[Progress | Materialised, None]:
        """Fetch what a manifest lists, or some of its tensors, into a folder."""
        ...

    async def blob(self, order: BlobOrder) -> SmallBlob:
        """Fetch one small blob."""
        ...


async def conclusion(items: AsyncGenerator[Progress | End, None], heard: Callable[[Progress], None]) -> End:
    """How a long order ended; its progress goes to ``heard``."""
    async with aclosing(items):
        async for item in items:
            if not isinstance(item, Progress):
                return item
            heard(item)
    raise MachineFault("the node broke off in the middle of the work; ask again, and look at: umm log")
