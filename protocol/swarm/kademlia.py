"""hivemind's DHT protocol, hardened: the same messages, answered with limits.

Rules:

1. What a peer offers is kept only within the limits of ``guard`` and ``storage`` and if the validator finds it valid.
2. A dictionary that was read is freed of its invalid entries; hivemind threw the good ones away with them.
3. A question has at most ``MAX_KEYS`` keys; its answer never exceeds ``MAX_ANSWER_BYTES``, beyond which hivemind would
   not answer at all and the asker wait in vain.
4. A peer is one node: a new id replaces its old one. The routing table has at most ``MAX_ROUTED`` nodes.
5. A node that appears is handed what it should keep, in messages of ``MAX_OFFER_BYTES`` and without holding up others.
   hivemind sent one message, and forgot the node when that was too large.
6. Nothing a peer sends raises anything here but what hivemind answers the peer with.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from protocol import hivemind_light  # isort: skip  # noqa: F401  # before hivemind

from hivemind.dht import protocol as upstream
from hivemind.dht.routing import DHTID
from hivemind.dht.storage import DictionaryDHTValue
from hivemind.dht.validation import DHTRecord
from hivemind.p2p import P2P, P2PContext, PeerID
from hivemind.proto import dht_pb2

from protocol.errors import BusyError, TooLargeError
from protocol.swarm.guard import BAN_SECONDS, Guard
from protocol.swarm.storage import MAX_DICTIONARY_ENTRIES, PointerStorage
from protocol.swarm.validator import PointerValidator, unpacked

BUCKET_NODES = 20
"""Kademlia's k: nodes in a bucket, and in an answer."""

DEPTH_MODULO = 5
"""hivemind's default: how far buckets split."""

REPLICAS = 5
"""Nodes that are asked to keep an entry. Of 12 nodes six may leave at once and all entries are still there."""

MAX_CALLS = 256
"""Questions and offers of ours under way at once."""

CALL_SECONDS = 3.0
"""How long one node may take to answer."""

MAX_KEYS = 64
"""In one question."""

MAX_OFFERED = 4096
"""Entries in one offer."""

MAX_ANSWER_BYTES = 3_500_000
"""p2pd takes 4 MiB with everything around it."""

MAX_OFFER_BYTES = 1_000_000
"""Values in one message that we send."""

MAX_ROUTED = 4096
"""Nodes in the routing table."""

HANDOVER_KEYS = 64
"""Dictionaries looked at before others get their turn."""

OFFENCES = frozenset({"shape", "forged", "subkey", "location"})
"""What nobody sends by mistake. An entry that expired on the way is not among them."""


@dataclass(frozen=True, slots=True)
class Offer:
    """One entry for one dictionary, as hivemind sends it."""

    key: DHTID
    subkey: bytes
    value: bytes
    expiration: float

    @property
    def size(self) -> int:
        """About how many bytes of a message it takes."""
        return len(self.value) + len(self.subkey) + 48


class DHTProtocol(upstream.DHTProtocol):  # type: ignore[misc]
    """The name is part of the wire: handlers are called ``DHTProtocol.rpc_find`` and so on."""

    storage: PointerStorage
    record_validator: PointerValidator

    @classmethod
    async def start(
        cls, p2p: P2P, node_id: DHTID, storage: PointerStorage, clock: Callable[[], float], *, client: bool
    ) -> "DHTProtocol":
        """Begin to answer, or as a client only to ask."""
        self = cls(_initialized_with_create=True)
        self.p2p, self.node_id, self.client_mode, self.authorizer = p2p, node_id, client, None
        self.bucket_size, self.num_replicas, self.wait_timeout = BUCKET_NODES, REPLICAS, CALL_SECONDS
        self.storage, self.cache = storage, PointerStorage(clock)
        self.routing_table = upstream.RoutingTable(node_id, BUCKET_NODES, DEPTH_MODULO)
        self.rpc_semaphore = asyncio.Semaphore(MAX_CALLS)
        self.record_validator = PointerValidator(clock)
        self.guard, self._clock, self._tasks = Guard(), clock, set[asyncio.Task[Any]]()
        self.node_info = dht_pb2.NodeInfo() if client else dht_pb2.NodeInfo(node_id=node_id.to_bytes())
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
        return list(self.routing_table.peer_id_to_uid)

    async def rpc_store(self, request: dht_pb2.StoreRequest, context: P2PContext) -> dht_pb2.StoreResponse:
        """A peer offers entries."""
        peer, now = context.remote_id, self._clock()
        if self.guard.banned(peer, now):
            raise BusyError("you offered what was not valid; come back later", retry_after=BAN_SECONDS)
        offered = self._offered(request)
        if not self.guard.spend(peer, sum(map(len, offered)), now):
            raise BusyError("too many entries; come back later", retry_after=1.0)
        self._meet(request, context)
        taken = [[self._take(record, peer) for record in group] for group in offered]
        return dht_pb2.StoreResponse(store_ok=map(all, taken), peer=self.node_info)

    async def rpc_find(self, request: dht_pb2.FindRequest, context: P2PContext) -> dht_pb2.FindResponse:
        """A peer asks for dictionaries and for the nodes near to them."""
        if len(request.keys) > MAX_KEYS:
            raise TooLargeError(f"a question has at most {MAX_KEYS} keys, not {len(request.keys)}")
        if not self.guard.spend(context.remote_id, len(request.keys), self._clock()):
            raise BusyError("too many questions; come back later", retry_after=1.0)
        response = await super().rpc_find(request, context)
        size = 0
        for result in response.results:
            size += len(result.value)
            if size > MAX_ANSWER_BYTES:
                result.type, result.value = dht_pb2.NOT_FOUND, b""
        return response

    async def call_store(
        self,
        peer: PeerID,
        keys: Sequence[DHTID],
        values: Sequence[bytes],
        expiration_time: Sequence[float],
        subkeys: Sequence[bytes] | None = None,
        in_cache: bool = False,
    ) -> list[bool] | None:
        """One message; :meth:`offer` is for more."""
        answer = await super().call_store(peer, keys, values, expiration_time, subkeys, in_cache)
        return None if answer is None else list(answer)

    async def offer(self, peer: PeerID, offers: Iterable[Offer]) -> list[bool] | None:
        """Which of these the peer says it keeps, or None if it stopped answering."""
        kept: list[bool] = []
        for batch in _batches(offers):
            answer = await self.call_store(
                peer,
                [o.key for o in batch],
                [o.value for o in batch],
                [o.expiration for o in batch],
                [o.subkey for o in batch],
            )
            if answer is None or len(answer) != len(batch):
                return None
            kept += answer
        return kept

    async def update_routing_table(self, node_id: DHTID | None, peer_id: PeerID, responded: bool = True) -> None:
        """A peer was heard from, or was not."""
        table = self.routing_table
        known = table.get(peer_id=peer_id)
        if not responded:
            if known is not None and known in table:
                del table[known]
            return
        if node_id is None or node_id == self.node_id or peer_id == self.p2p.peer_id:
            return
        if known is not None and known != node_id and known in table:
            del table[known]
        if node_id not in table:
            if len(table.uid_to_peer_id) >= MAX_ROUTED:
                return
            self._run(self._hand_over(node_id, peer_id))
        silent = table.add_or_update_node(node_id, peer_id)
        if silent is not None:
            self._run(self.call_ping(silent[1]))

    def _offered(self, request: dht_pb2.StoreRequest) -> list[list[DHTRecord]]:
        """What is offered, one list for each place in the answer."""
        columns = (request.keys, request.subkeys, request.values, request.expiration_time)
        if len(request.keys) > MAX_OFFERED or len(set(map(len, columns))) != 1:
            raise TooLargeError(f"an offer has at most {MAX_OFFERED} keys, and as many subkeys, values and expirations")
        return [self._records(*row) for row in zip(*columns, strict=True)]

    def _records(self, key: bytes, tag: bytes, value: bytes, expiration: float) -> list[DHTRecord]:
        """One entry, or those of a whole dictionary."""
        if tag != self.IS_DICTIONARY:
            return [DHTRecord(key, tag, value, expiration)]
        entries = self.serializer.loads(value)
        if not isinstance(entries, DictionaryDHTValue) or len(entries.data) > MAX_DICTIONARY_ENTRIES:
            raise TooLargeError(f"a dictionary has at most {MAX_DICTIONARY_ENTRIES} entries")
        return [
            DHTRecord(key, self.serializer.dumps(subkey), item.value, item.expiration_time)
            for subkey, item in entries.data.items()
        ]

    def _take(self, record: DHTRecord, peer: PeerID) -> bool:
        now = self._clock()
        if self.guard.banned(peer, now):
            return False
        fault = self.record_validator.fault(record)
        if fault is not None:
            self.record_validator.refused[fault] += 1
            if fault in OFFENCES:
                self.guard.ban(peer, now)
            return False
        subkey = unpacked(record.subkey) or b""
        return self.storage.take(DHTID.from_bytes(record.key), subkey, record.value, record.expiration_time, peer)

    def _validate_dictionary(self, key_bytes: bytes, dictionary: DictionaryDHTValue) -> bool:
        """Rule 2."""
        if len(dictionary.data) > MAX_DICTIONARY_ENTRIES:
            self.record_validator.refused["size"] += 1
            return False
        for subkey, (value, expiration) in list(dictionary.data.items()):
            record = DHTRecord(key_bytes, self.serializer.dumps(subkey), value, expiration)
            if not self.record_validator.validate(record):
                del dictionary.data[subkey]
        return True

    def _meet(self, request: Any, context: P2PContext) -> None:
        if request.peer and request.peer.node_id:
            self._run(self.rpc_ping(dht_pb2.PingRequest(peer=request.peer), context))

    async def _hand_over(self, node_id: DHTID, peer_id: PeerID) -> None:
        """Give a node that appeared the dictionaries for which it is now among the nearest and we are the nearest."""
        entries: list[Offer] = []
        for number, (key, item) in enumerate(list(self.storage.items())):
            if number % HANDOVER_KEYS == HANDOVER_KEYS - 1:
                await asyncio.sleep(0)
            if isinstance(item.value, DictionaryDHTValue) and self._is_for(key, node_id):
                entries += [Offer(key, subkey, value, expires) for subkey, (value, expires) in item.value.data.items()]
        if entries:
            await self.offer(peer_id, entries)

    def _is_for(self, key: DHTID, node_id: DHTID) -> bool:
        near = self.routing_table.get_nearest_neighbors(key, self.num_replicas + 1, exclude=self.node_id)
        others = [other.xor_distance(key) for other, _ in near if other != node_id][: self.num_replicas]
        if not others:
            return True
        last = others[-1] if len(others) == self.num_replicas else 2**160
        return bool(node_id.xor_distance(key) < last and self.node_id.xor_distance(key) < others[0])

    def _run(self, work: Any) -> None:
        """In the background, but not forgotten: :meth:`stop` waits for it."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _batches(offers: Iterable[Offer]) -> Iterable[list[Offer]]:
    batch: list[Offer] = []
    size = 0
    for offer in offers:
        if batch and (size + offer.size > MAX_OFFER_BYTES or len(batch) == MAX_OFFERED):
            yield batch
            batch, size = [], 0
        batch.append(offer)
        size += offer.size
    if batch:
        yield batch


def entries_of(value: Any) -> Collection[bytes]:
    """The values in what was found under a key: pointers packed as the validator wants them."""
    return [item.value for item in value.data.values()] if isinstance(value, DictionaryDHTValue) else []
