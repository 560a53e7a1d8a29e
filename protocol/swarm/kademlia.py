"""hivemind's DHT protocol with handlers and callers of our own: the same messages, with limits.

Rules:

1. What a peer asks for or offers is paid for (``guard``) before any of it is looked at. It is kept only within the
   limits of ``storage`` and if the validator finds it valid. Whole dictionaries are not taken; none of ours offers one.
2. A dictionary that was read is freed of its invalid entries; hivemind threw the good ones away with them.
3. A question has at most ``MAX_KEYS`` keys; its answer never exceeds ``MAX_ANSWER_BYTES``, beyond which hivemind would
   not answer at all and the asker wait in vain.
4. Who names a place in the table, whichever, takes part; where it stands and where others do follows from their ids
   (``table``). At most ``BUCKET_NODES`` others are believed for each key.
5. A node that appears is handed what it should keep, in messages of bounded size, without holding up others, and
   only ``MAX_HANDOVERS`` nodes at a time. hivemind sent one message, and forgot the node when that was too large.
6. Nothing a peer sends raises anything here but what hivemind answers the peer with. A call that fails in whatever way
   is one without an answer.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from protocol import hivemind_light  # isort: skip  # noqa: F401  # before hivemind

from hivemind.dht.routing import DHTID
from hivemind.dht.validation import DHTRecord
from hivemind.p2p import P2P, P2PContext, PeerID, ServicerBase
from hivemind.proto import dht_pb2
from hivemind.utils.serializer import MSGPackSerializer
from hivemind.utils.timed_storage import MAX_DHT_TIME_DISCREPANCY_SECONDS, get_dht_time

from protocol.errors import BusyError, PeerError, TooLargeError, UnavailableError
from protocol.swarm import dictionary
from protocol.swarm.guard import BAN_SECONDS, Guard
from protocol.swarm.offers import MAX_OFFERED, TURN, Offer, batches, due_to
from protocol.swarm.storage import PointerStorage
from protocol.swarm.table import BUCKET_NODES, PLACE_BYTES, Table, named, place_of
from protocol.swarm.validator import PointerValidator, packed, unpacked

MAX_CALLS = 256
"""Questions and offers of ours under way at once."""

MAX_VALIDATIONS = 16
"""Peers at once whom we call back because they want to know whether we can."""

VALIDATION_UNITS = 64
"""What that costs (``guard``)."""

MAX_HANDOVERS, MAX_HANDED = 4, 64
"""At once, and with those that wait; the others hear of everything when it is told again."""

CALL_SECONDS = 3.0
"""How long one node may take to answer."""

MAX_KEYS = 64
"""In one question."""

MAX_ANSWER_BYTES = 3_500_000
"""p2pd takes 4 MiB with everything around it."""

OFFENCES = frozenset({"shape", "forged", "subkey", "location"})
"""What nobody sends by mistake. An entry that expired on the way is not among them."""

WHOLE_DICTIONARY = b""
"""hivemind's subkey of one."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Found:
    """What a peer answered for one key: valid values, packed, and nodes that may know more."""

    values: list[bytes]
    named: list[PeerID]


class DHTProtocol(ServicerBase):  # type: ignore[misc]
    """The name is part of the wire: handlers are called ``DHTProtocol.rpc_find`` and so on."""

    def __init__(self, p2p: P2P, storage: PointerStorage, clock: Callable[[], float], *, client: bool) -> None:
        super().__init__()
        self.p2p, self.storage, self.client, self._clock = p2p, storage, client, clock
        self.node_id = place_of(p2p.peer_id)
        self.table, self.guard, self.record_validator = Table(self.node_id), Guard(), PointerValidator(clock)
        self._info = dht_pb2.NodeInfo() if client else dht_pb2.NodeInfo(node_id=self.node_id.to_bytes())
        self._calls, self._validations = asyncio.Semaphore(MAX_CALLS), asyncio.Semaphore(MAX_VALIDATIONS)
        self._handovers, self._handed = asyncio.Semaphore(MAX_HANDOVERS), set[PeerID]()
        self._tasks = set[asyncio.Task[Any]]()

    @classmethod
    async def start(
        cls, p2p: P2P, storage: PointerStorage, clock: Callable[[], float], *, client: bool
    ) -> "DHTProtocol":
        """Begin to answer, or as a client only to ask."""
        self = cls(p2p, storage, clock, client=client)
        if not client:
            await self.add_p2p_handlers(p2p)
        return self

    async def stop(self) -> None:
        """No more answers; what was under way is given up."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def peers(self) -> list[PeerID]:
        """All nodes in the routing table."""
        return self.table.peers

    async def rpc_ping(self, request: dht_pb2.PingRequest, context: P2PContext) -> dht_pb2.PingResponse:
        """A peer shows up, and may ask whether we reach it."""
        peer = context.remote_id
        self._charge(peer, VALIDATION_UNITS if request.validate else 1)
        available = False
        if request.validate and _takes_part(request):
            async with self._validations:
                available = await self._answers(peer)
        if available or not request.validate:
            self._meet(peer, request)
        return dht_pb2.PingResponse(peer=self._info, dht_time=get_dht_time(), available=available)

    async def rpc_store(self, request: dht_pb2.StoreRequest, context: P2PContext) -> dht_pb2.StoreResponse:
        """A peer offers entries."""
        peer, columns = context.remote_id, (request.keys, request.subkeys, request.values, request.expiration_time)
        if self.guard.banned(peer, self._clock()):
            raise BusyError("you offered what was not valid; come back later", retry_after=BAN_SECONDS)
        self._charge(peer, max(map(len, columns)))
        if len(request.keys) > MAX_OFFERED or len(set(map(len, columns))) != 1:
            raise TooLargeError(f"an offer has at most {MAX_OFFERED} keys, and as many subkeys, values and expirations")
        self._meet(peer, request)
        taken: list[bool] = []
        for row in zip(*columns, strict=True):
            taken.append(self._take(DHTRecord(*row), peer))
            if len(taken) % TURN == 0:
                await asyncio.sleep(0)
        return dht_pb2.StoreResponse(store_ok=taken, peer=self._info)

    async def rpc_find(self, request: dht_pb2.FindRequest, context: P2PContext) -> dht_pb2.FindResponse:
        """A peer asks for dictionaries and for the nodes near to them."""
        peer = context.remote_id
        self._charge(peer, len(request.keys))
        if len(request.keys) > MAX_KEYS or any(len(key) != PLACE_BYTES for key in request.keys):
            raise TooLargeError(f"a question has at most {MAX_KEYS} keys of {PLACE_BYTES} bytes")
        self._meet(peer, request)
        response, room = dht_pb2.FindResponse(peer=self._info), MAX_ANSWER_BYTES
        for key in map(DHTID.from_bytes, request.keys):
            result = response.results.add(type=dht_pb2.NOT_FOUND)
            held = self.storage.get(key)
            value = b"" if held is None else MSGPackSerializer.dumps(held.value)
            if 0 < len(value) <= room:
                room -= len(value)
                result.type, result.value, result.expiration_time = (
                    dht_pb2.FOUND_DICTIONARY,
                    value,
                    held.expiration_time,
                )
            for place, near in self.table.get_nearest_neighbors(key, BUCKET_NODES, exclude=place_of(peer)):
                result.nearest_node_ids.append(place.to_bytes())
                result.nearest_peer_ids.append(near.to_bytes())
        return response

    async def greet(self, peer: PeerID) -> None:
        """Be known to a node, or say why that cannot be."""
        sent = get_dht_time()
        answer = await self._call("rpc_ping", peer, dht_pb2.PingRequest(peer=self._info, validate=True))
        if answer is None or not _takes_part(answer):
            raise UnavailableError("it is there but does not take part in the swarm: it did not answer a DHT call")
        if not self.client and not answer.available:
            raise UnavailableError("it cannot reach this node; is the port open, a firewall?")
        slack = MAX_DHT_TIME_DISCREPANCY_SECONDS
        if not sent - slack <= answer.dht_time <= get_dht_time() + slack:
            ahead = get_dht_time() - answer.dht_time
            raise UnavailableError(f"local time must be within {slack:.0f} seconds of its own, not {ahead:.0f} ahead")
        self._meet(peer, answer)

    async def call_ping(self, peer: PeerID) -> bool:
        """Whether a node gives a sign of life."""
        async with self._calls:
            return await self._answers(peer)

    async def call_find(self, peer: PeerID, keys: Sequence[DHTID], values: bool = True) -> dict[DHTID, Found] | None:
        """What the peer has under these keys and whom it knows near to them, or None if it does not answer.

        Without ``values`` none of what it has is looked at.
        """
        request = dht_pb2.FindRequest(keys=[key.to_bytes() for key in keys], peer=self._info)
        async with self._calls:
            answer = await self._call("rpc_find", peer, request)
        if answer is None or len(answer.results) != len(keys):
            self.table.silent(peer)
            return None
        self._meet(peer, answer)
        found: dict[DHTID, Found] = {}
        for key, result in zip(keys, answer.results, strict=True):
            near = (named(raw) for raw in result.nearest_peer_ids[:BUCKET_NODES])
            wanted = values and result.type == dht_pb2.FOUND_DICTIONARY
            held = await self._values(key, result.value) if wanted else []
            found[key] = Found(held, [other for other in near if other is not None])
        return found

    async def offer(self, peer: PeerID, offers: Iterable[Offer]) -> list[bool] | None:
        """Which of these the peer says it keeps, or None if it stopped answering."""
        kept: list[bool] = []
        for batch in batches(offers):
            request = dht_pb2.StoreRequest(
                keys=[o.key.to_bytes() for o in batch],
                subkeys=[packed(o.subkey) for o in batch],
                values=[o.value for o in batch],
                expiration_time=[o.expiration for o in batch],
                in_cache=[False] * len(batch),
                peer=self._info,
            )
            async with self._calls:
                answer = await self._call("rpc_store", peer, request)
            if answer is None or len(answer.store_ok) != len(batch):
                self.table.silent(peer)
                return None
            self._meet(peer, answer)
            kept += answer.store_ok
        return kept

    async def _answers(self, peer: PeerID) -> bool:
        answer = await self._call("rpc_ping", peer, dht_pb2.PingRequest(peer=self._info))
        if answer is None or not _takes_part(answer):
            self.table.silent(peer)
            return False
        self._meet(peer, answer)
        return True

    async def _call(self, method: str, peer: PeerID, request: Any) -> Any:
        """The peer's answer, or None: rule 6."""
        try:
            return await getattr(self.get_stub(self.p2p, peer), method)(request, timeout=CALL_SECONDS)
        except Exception:  # noqa: BLE001  # hivemind's, p2pd's and the peer's own: all mean no answer
            _log.debug("no answer to %s from %s", method, peer, exc_info=True)
            return None

    def _charge(self, peer: PeerID, units: int) -> None:
        if not self.guard.spend(peer, max(units, 1), self._clock()):
            raise BusyError("too much at once; come back later", retry_after=1.0)

    def _meet(self, peer: PeerID, message: Any) -> None:
        """A peer was heard from."""
        if not _takes_part(message):
            return
        known = peer in self.table
        silent = self.table.heard(peer)
        if silent is not None:
            self._run(self.call_ping(silent))
        if not known and peer in self.table and peer not in self._handed and len(self._handed) < MAX_HANDED:
            self._handed.add(peer)
            self._run(self._hand_over(peer))

    def _take(self, record: DHTRecord, peer: PeerID) -> bool:
        now = self._clock()
        if record.subkey == WHOLE_DICTIONARY or self.guard.banned(peer, now):
            return False
        fault = self.record_validator.fault(record)
        if fault is not None:
            self.record_validator.refused[fault] += 1
            if fault in OFFENCES:
                self.guard.ban(peer, now)
            return False
        subkey = unpacked(record.subkey) or b""
        return self.storage.take(DHTID.from_bytes(record.key), subkey, record.value, record.expiration_time, peer)

    async def _values(self, key: DHTID, data: bytes) -> list[bytes]:
        """Rule 2."""
        try:
            entries = dictionary.read(data)
        except PeerError:
            self.record_validator.refused["dictionary"] += 1
            return []
        found: list[bytes] = []
        for number, (subkey, value, expiration) in enumerate(entries):
            if number % TURN == TURN - 1:
                await asyncio.sleep(0)
            if self.record_validator.validate(DHTRecord(key.to_bytes(), packed(subkey), value, expiration)):
                found.append(value)
        return found

    async def _hand_over(self, peer: PeerID) -> None:
        """Rule 5."""
        try:
            async with self._handovers:
                await self.offer(peer, await due_to(peer, self.storage, self.table))
        finally:
            self._handed.discard(peer)

    def _run(self, work: Any) -> None:
        """In the background, but not forgotten: :meth:`stop` waits for it."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _takes_part(message: Any) -> bool:
    """Whether the sender wants a place in the table: clients do not."""
    return len(message.peer.node_id) == PLACE_BYTES
