"""What a node keeps for the swarm: dictionaries of pointers until they expire, and never more than it can afford.

Rules:

1. Only entries of dictionaries are kept; a value for a whole key would replace everybody's entries.
2. An entry is replaced by a later expiration only, and an earlier one leaves no trace. hivemind's own storage noted
   the earlier one in its heap and then dropped the good entry with it: replaying an old signed record erased a new one.
3. A dictionary has at most ``MAX_DICTIONARY_ENTRIES`` entries: hivemind sends it as one message of at most 4 MiB.
4. One peer brings at most ``MAX_ENTRIES_OF_A_PEER`` of them, a quarter, so that one flood leaves room for others.
5. All dictionaries together have at most ``MAX_ENTRIES`` entries, a quarter of them from one peer. When they are full,
   who brought least gets room from who brought most, which loses what it brought last. Keys cost nothing, so four could
   fill a node and lock out everybody; to keep out one who brings a hundred entries it now takes more than a thousand.
"""

from collections import defaultdict
from collections.abc import Callable

from protocol import hivemind_light  # isort: skip  # noqa: F401  # before hivemind

from hivemind.dht.routing import DHTID
from hivemind.dht.storage import DHTLocalStorage, DictionaryDHTValue
from hivemind.p2p import PeerID
from hivemind.utils.timed_storage import TimedStorage

from protocol.swarm.locations import MAX_DICTIONARY_ENTRIES

MAX_ENTRIES_OF_A_PEER = MAX_DICTIONARY_ENTRIES // 4
"""In one dictionary, brought by one peer."""

MAX_ENTRIES = 131_072
"""In all dictionaries; about 120 MB of memory."""

MAX_TOTAL_OF_A_PEER = MAX_ENTRIES // 4
"""In all dictionaries, brought by one peer."""

COUNT_SECONDS = 10.0
"""A full node counts again what it has at most this often."""

_GHOSTS = 64
"""Heap entries of replaced values that are not worth a sweep."""

_store_upstream = TimedStorage.store


def _store(self: TimedStorage, key: object, value: object, expiration_time: float) -> bool:
    held = self.data.get(key)
    if held is not None and held.expiration_time >= expiration_time:
        return False
    return bool(_store_upstream(self, key, value, expiration_time))


TimedStorage.store = _store  # rule 2, for every storage of hivemind in this process


class PointerStorage(DHTLocalStorage):  # type: ignore[misc]
    """hivemind's storage with limits."""

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__()
        self._clock = clock
        self._counted_at = float("-inf")
        self._brought: dict[DHTID, dict[bytes, PeerID | None]] = {}
        self._by: defaultdict[PeerID | None, dict[tuple[DHTID, bytes], None]] = defaultdict(dict)
        """What each brought, in that order."""

    def store(self, key: DHTID, value: bytes, expiration_time: float, subkey: bytes | None = None) -> bool:
        """Rule 1. What hivemind's node calls for entries of its own."""
        return subkey is not None and self.take(key, subkey, value, expiration_time, None)

    def take(self, key: DHTID, subkey: bytes, value: bytes, expiration_time: float, peer: PeerID | None) -> bool:
        """Keep an entry that was found valid, or say that there is no room or a better one. ``peer`` None is us."""
        found = self.get(key)
        held = found.value if found is not None else None
        if held is not None and subkey in held:
            stored = bool(self.store_subkey(key, subkey, value, expiration_time))
            _compact(held)
            _compact(self)
            return stored
        if not self._has_room(key, held, peer) or not self.store_subkey(key, subkey, value, expiration_time):
            return False
        _compact(self)
        self._brought.setdefault(key, {})[subkey] = peer
        self._by[peer][key, subkey] = None
        return True

    @property
    def entries(self) -> int:
        """In all dictionaries; some of them may have expired since they were counted."""
        return sum(map(len, self._by.values()))

    def _has_room(self, key: DHTID, held: DictionaryDHTValue | None, peer: PeerID | None) -> bool:
        if peer is None:
            return held is None or len(held) < MAX_DICTIONARY_ENTRIES
        if held is not None and len(held) >= MAX_ENTRIES_OF_A_PEER:
            brought = self._brought[key]
            same = sum(1 for subkey in held.data if brought.get(subkey) == peer)
            if len(held) >= MAX_DICTIONARY_ENTRIES or same >= MAX_ENTRIES_OF_A_PEER:
                return False
        if self.entries >= MAX_ENTRIES or len(self._by.get(peer, ())) >= MAX_TOTAL_OF_A_PEER:
            self._count()
        if len(self._by.get(peer, ())) >= MAX_TOTAL_OF_A_PEER:
            return False
        return self.entries < MAX_ENTRIES or self._make_room(peer)

    def _make_room(self, peer: PeerID) -> bool:
        """Rule 5."""
        most = max((other for other in self._by if other is not None), key=lambda p: len(self._by[p]), default=peer)
        if len(self._by.get(most, ())) <= len(self._by.get(peer, ())) + 1:
            return False
        (key, subkey), _ = self._by[most].popitem()
        found = self.get(key)
        if found is not None and self._brought[key].get(subkey) == most:
            del self._brought[key][subkey], found.value[subkey]
            _compact(found.value)
            if not found.value.data:
                del self[key]
        return True

    def _count(self) -> None:
        """Forget who brought what has expired."""
        now = self._clock()
        if now - self._counted_at < COUNT_SECONDS:
            return
        self._counted_at = now
        living = {key: value.value for key, value in self.items()}
        self._brought = {
            key: {subkey: peer for subkey, peer in brought.items() if subkey in living[key]}
            for key, brought in self._brought.items()
            if key in living
        }
        self._by = defaultdict(dict)
        for key, brought in self._brought.items():
            for subkey, peer in brought.items():
                self._by[peer][key, subkey] = None


def _compact(held: TimedStorage) -> None:
    """Renewing an entry leaves its old expiration in the heap until it passes; floods of renewals would fill memory.

    The expiration of a whole dictionary is renewed by whatever entry in it expires last.
    """
    if len(held.expiration_heap) > 2 * len(held.data) + _GHOSTS:
        held.expiration_heap = sorted(held.key_to_heap.values())
