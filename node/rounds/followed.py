"""The rounds that this node follows, each with its conductor."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from node.errors import UserError
from node.rounds.announcements import Announcements
from node.rounds.conductor import Conductor
from node.rounds.events import Event
from node.rounds.gathering import Gathering
from node.rounds.materials import Materials
from node.rounds.merging import Merging
from node.rounds.proceedings import Proceedings
from node.rounds.stewarding import Stewarding
from node.services import Services
from protocol.blobs.chunks import ChunkList
from protocol.records import Round, Signed

_log = logging.getLogger(__name__)

MAX_ROUNDS = 64
"""That one node follows."""

MAX_EVENTS = 1024
"""That wait for a watcher."""


class Rounds:
    """The rounds that this node follows, each with its conductor."""

    def __init__(self, services: Services, group: asyncio.TaskGroup) -> None:
        self._services, self._group = services, group
        self.conductors: dict[bytes, Conductor] = {}
        self._tasks: dict[bytes, asyncio.Task[None]] = {}
        self._watchers: set[asyncio.Queue[Event]] = set()

    def page(self, blob_id: bytes) -> tuple[ChunkList, bytes] | None:
        """A log that this node tells others about."""
        for conductor in self.conductors.values():
            if (page := conductor.announcements.pages.get(blob_id)) is not None:
                return page
        return None

    async def resume(self) -> None:
        """Go on with the rounds that were followed when this node last ran."""
        for round_id in await asyncio.to_thread(self._services.database.followed):
            self._conduct(
                await asyncio.to_thread(Proceedings.open, round_id, self._services.database, self._services.key)
            )

    async def follow(self, round_: Signed[Round]) -> Conductor:
        """Take part in a round."""
        if round_.id in self.conductors:
            return self.conductors[round_.id]
        if len(self.conductors) >= MAX_ROUNDS:
            raise UserError(f"this node follows {MAX_ROUNDS} rounds already; leave one first: umm round leave ID")
        services = self._services
        proceedings = await asyncio.to_thread(
            Proceedings.begin, round_, services.database, services.key, services.clock()
        )
        return self._conduct(proceedings)

    async def leave(self, round_id: bytes) -> None:
        """Look after a round no longer. What this node said in it stays said."""
        await asyncio.to_thread(self._services.database.unfollow, round_id)
        conductor, task = self.conductors.pop(round_id, None), self._tasks.pop(round_id, None)
        if conductor is not None and conductor.stewarding is not None:
            await conductor.stewarding.close()
        if task is not None:
            task.cancel()

    async def close(self) -> None:
        """Look after none of them any longer, until the node starts again."""
        for task in self._tasks.values():
            task.cancel()
        for conductor in self.conductors.values():
            if conductor.stewarding is not None:
                await conductor.stewarding.close()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[asyncio.Queue[Event]]:
        """What happens from now on in any round; a watcher that does not keep up misses events."""
        queue: asyncio.Queue[Event] = asyncio.Queue(maxsize=MAX_EVENTS)
        self._watchers.add(queue)
        try:
            yield queue
        finally:
            self._watchers.discard(queue)

    def tell(self, event: Event) -> None:
        """Something happened."""
        _log.info("round %s: %s", event.round.hex()[:12], event.text)
        for queue in self._watchers:
            if not queue.full():
                queue.put_nowait(event)

    def wake(self) -> None:
        """Let every round take its next step now."""
        for conductor in self.conductors.values():
            conductor.wake()

    def _conduct(self, proceedings: Proceedings) -> Conductor:
        services = self._services
        gathering = Gathering(services.directory, services.peers)
        materials = Materials(services.home, services.database, services.store, services.library, services.peers)
        conductor = Conductor(
            proceedings=proceedings,
            gathering=gathering,
            materials=materials,
            announcements=Announcements(services.directory, services.key, lambda: services.address),
            database=services.database,
            clock=services.clock,
            stewarding=self._stewarding(proceedings, gathering, materials),
            tell=self.tell,
            paused=lambda: services.paused,
        )
        round_id = proceedings.round.id
        self.conductors[round_id] = conductor
        self._tasks[round_id] = self._group.create_task(conductor.run(), name=f"round {round_id.hex()[:12]}")
        return conductor

    def _stewarding(self, proceedings: Proceedings, gathering: Gathering, materials: Materials) -> Stewarding | None:
        services = self._services
        if services.key.public.point not in proceedings.round.record.stewards:
            return None
        return Stewarding(
            proceedings=proceedings,
            gathering=gathering,
            materials=materials,
            merging=Merging(services.home, services.config.limits, materials),
            database=services.database,
            heavy=services.heavy,
            clock=services.clock,
            tell=self.tell,
        )
