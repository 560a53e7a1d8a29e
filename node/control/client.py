"""How programs speak to a node: a :class:`Client` is a :class:`Node` at the other end of a socket.

Nothing heavy is imported before a node has been found: a command that says "it is not running" says so at once.
"""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import TYPE_CHECKING, Self

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
from node.control.socket_file import answers, check_length
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
from node.errors import UnreachableError

if TYPE_CHECKING:
    from node.control.line import Line
    from protocol.identity import Key, PublicKey


class Client:
    """A node as :class:`node.control.interface.Node` describes it; to be closed."""

    def __init__(self, line: "Line") -> None:
        self._line = line

    @classmethod
    async def connect(cls, path: Path) -> Self:
        """The node of this machine that takes orders at a socket file (``Home.socket``)."""
        check_length(path)
        if not answers(path):
            raise UnreachableError("the node is not running; start it with: umm node")
        from node.control.line import Line

        return cls(await Line.to_socket(path))

    @classmethod
    async def connect_remote(cls, address: str, key: "Key", expected: "PublicKey", now: float) -> Self:
        """The node ``expected`` at ``host:port``; its settings must list ``key`` in ``control.keys``."""
        from node.control.line import Line

        return cls(await Line.to_address(address, key, expected, now))

    async def close(self) -> None:
        """Closing twice is allowed."""
        await self._line.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    # The node

    async def status(self) -> NodeStatus:
        """See :class:`node.control.interface.Node`, as for all that follow."""
        found: NodeStatus = await self._line.ask("status")
        return found

    async def peers(self) -> PeerList:
        """See there."""
        found: PeerList = await self._line.ask("peers")
        return found

    async def pause(self) -> None:
        """See there."""
        await self._line.ask("pause")

    async def resume(self) -> None:
        """See there."""
        await self._line.ask("resume")

    def log(self, order: LogOrder) -> AsyncGenerator[LogLine, None]:
        """See there."""
        return self._line.stream("log", order)

    async def stop(self) -> None:
        """See there."""
        await self._line.ask("stop")

    # Rounds

    async def list_rounds(self) -> RoundList:
        """See there."""
        found: RoundList = await self._line.ask("list_rounds")
        return found

    async def show_round(self, order: ShowRoundOrder) -> RoundDetail:
        """See there."""
        found: RoundDetail = await self._line.ask("show_round", order)
        return found

    def open_round(self, draft: Draft) -> AsyncGenerator[Progress | Opened, None]:
        """See there."""
        return self._line.stream("open_round", draft)

    async def follow(self, order: FollowOrder) -> RoundSummary:
        """See there."""
        found: RoundSummary = await self._line.ask("follow", order)
        return found

    async def unfollow(self, order: RoundOrder) -> None:
        """See there."""
        await self._line.ask("unfollow", order)

    def watch_round(self, order: RoundOrder) -> AsyncGenerator[Event | Progress, None]:
        """See there."""
        return self._line.stream("watch_round", order)

    async def can_join(self, order: CanJoinOrder) -> Obstacles:
        """See there."""
        found: Obstacles = await self._line.ask("can_join", order)
        return found

    async def revise(self, order: ReviseOrder) -> Revising:
        """See there."""
        found: Revising = await self._line.ask("revise", order)
        return found

    # Own contributions

    def contribute(self, order: ContributeOrder) -> AsyncGenerator[Progress | Offered, None]:
        """See there."""
        return self._line.stream("contribute", order)

    async def withdraw(self, order: WithdrawOrder) -> None:
        """See there."""
        await self._line.ask("withdraw", order)

    async def offers(self) -> OfferList:
        """See there."""
        found: OfferList = await self._line.ask("offers")
        return found

    # Models

    def pull(self, order: PullOrder) -> AsyncGenerator[Progress | Pulled, None]:
        """See there."""
        return self._line.stream("pull", order)

    def materialise(self, order: MaterialiseOrder) -> AsyncGenerator[Progress | Materialised, None]:
        """See there."""
        return self._line.stream("materialise", order)

    async def blob(self, order: BlobOrder) -> SmallBlob:
        """See there."""
        found: SmallBlob = await self._line.ask("blob", order)
        return found
