"""Downloads from peers that are real, small and scripted, under a clock that is moved by hand: nothing here waits."""

import asyncio
from collections.abc import AsyncGenerator, Coroutine, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.blobs.chunks import ChunkList
from protocol.errors import EnvironmentFault, UnavailableError
from protocol.exchange.clock import HandClock
from protocol.exchange.download import fetch
from protocol.exchange.grudges import Grudges
from protocol.exchange.interface import STALL_SECONDS
from protocol.exchange.progress import Event, Finished, Hindered, Landed, Lost, Started
from protocol.exchange.scheduler import MAX_DUPLICATES, MAX_LISTS, MAX_REQUESTS
from tests.protocol.exchange.scripted import KEYS, MemoryStore, Peer, Script, Traffic, blob, shelf, wants

BLOBS = shelf(blob(9), blob(3, seed=1, tail=4), blob(1, seed=2, tail=2), blob(0))
"""13 chunks in four blobs, of which one is empty."""

ONE = shelf(blob(12, seed=3))


class Scene:
    """A clock, a store and what was told."""

    def __init__(self, blobs: Any = BLOBS) -> None:
        self.clock = HandClock()
        self.store = MemoryStore()
        self.blobs = blobs
        self.events: list[Event] = []
        self.grudges = Grudges()

    def peer(self, number: int, script: Script | None = None, blobs: Any = None, keyless: bool = False) -> Peer:
        held = self.blobs if blobs is None else blobs
        return Peer(f"peer-{number}", held, self.clock, script or Script(), None if keyless else KEYS[number])

    def fetch(self, *peers: Peer, mirrors: Sequence[Peer] = ()) -> Coroutine[Any, Any, None]:
        tell = self.events.append
        return fetch(
            wants(self.blobs), self.store, peers, mirrors, clock=self.clock, progress=tell, grudges=self.grudges
        )

    def run(self, *peers: Peer, mirrors: Sequence[Peer] = (), within: float = 3600.0) -> None:
        asyncio.run(self._run(self.fetch(*peers, mirrors=mirrors), within))

    async def _run(self, work: Coroutine[Any, Any, None], within: float) -> None:
        await self.clock.finish(work, within)

    def assert_complete(self) -> None:
        for blob_id, (_, data) in self.blobs.items():
            assert self.store.whole(blob_id) == data

    def told(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


def chunks_asked(*peers: Peer) -> list[tuple[bytes, int]]:
    return [chunk for peer in peers for chunk in peer.asked]


def test_one_good_peer_is_enough_and_is_asked_for_nothing_twice() -> None:
    scene = Scene()
    peer = scene.peer(0)
    scene.run(peer)
    scene.assert_complete()
    assert len(peer.asked) == len(set(peer.asked)) == 13
    assert sorted(peer.lists_asked) == sorted(scene.blobs)
    assert scene.store.flushed == 1


def test_progress_begins_with_what_is_here_and_ends_with_everything() -> None:
    scene = Scene()
    scene.run(scene.peer(0))
    total = sum(chunks.size for chunks, _ in BLOBS.values())
    assert scene.events[0] == Started(4, total, 0, 1)
    assert [event.here_bytes for event in scene.told(Landed)] == sorted(e.here_bytes for e in scene.told(Landed))
    assert scene.told(Landed)[-1].here_bytes == total
    assert isinstance(scene.events[-1], Finished)
    assert scene.events[-1].fetched_bytes == total


@pytest.mark.must("DWN-3")
def test_what_the_store_has_is_not_fetched() -> None:
    scene = Scene()
    scene.run(scene.peer(0))
    again = scene.peer(0)
    scene.run(again)
    assert not again.asked
    assert not again.lists_asked
    assert scene.events[-1] == Finished(0, 0.0)


def test_several_peers_share_the_work() -> None:
    scene = Scene(ONE)
    peers = [scene.peer(n, Script(seconds_per_chunk=1.0)) for n in range(3)]
    scene.run(*peers, within=5.9)
    scene.assert_complete()
    assert all(len(peer.asked) >= 3 for peer in peers)


def test_a_fast_peer_does_most_of_the_work() -> None:
    scene = Scene(ONE)
    slow, fast = scene.peer(0, Script(seconds_per_chunk=2.0)), scene.peer(1, Script(seconds_per_chunk=0.05))
    scene.run(slow, fast, within=2.5)
    scene.assert_complete()
    assert fast.sent >= 10


@pytest.mark.must("DWN-1", "DWN-4")
def test_a_bad_chunk_never_lands_and_drops_the_peer() -> None:
    scene = Scene()
    liar, good = scene.peer(0, Script(lies=lambda index: index == 0)), scene.peer(1, Script(seconds_per_chunk=0.5))
    scene.run(liar, good)
    scene.assert_complete()
    assert liar.sent <= 2, "at most what was on its way when the lie was found"
    [lost] = scene.told(Lost)
    assert lost.source == f"{KEYS[0].name} at peer-0"
    assert "dropped, sent what it should not have" in lost.reason


@pytest.mark.must("DWN-4")
def test_a_peer_that_lied_is_remembered_by_its_key_wherever_it_is_met_again() -> None:
    scene = Scene()
    scene.run(scene.peer(0, Script(lies=lambda index: True)), scene.peer(1))
    back = Peer("another address", scene.blobs, scene.clock, Script(), KEYS[0])
    scene.store = MemoryStore()
    scene.run(back, scene.peer(1))
    scene.assert_complete()
    assert not back.asked
    assert not back.lists_asked


def test_a_mirror_that_lied_is_remembered_by_its_address_and_can_be_forgiven() -> None:
    scene = Scene()
    scene.run(scene.peer(0), mirrors=[scene.peer(1, Script(lies=lambda index: True), keyless=True)])
    mirror = scene.peer(1, keyless=True)
    assert scene.grudges.against(mirror) is not None
    scene.grudges.forgive(mirror)
    assert scene.grudges.against(mirror) is None


@pytest.mark.must("DWN-2")
def test_a_wrong_chunk_list_drops_the_peer() -> None:
    scene = Scene()
    liar = scene.peer(0, Script(wrong_list=True))
    scene.run(liar, scene.peer(1, Script(seconds_per_chunk=0.2)))
    scene.assert_complete()
    assert liar.asked == []
    assert "in place of" in scene.told(Lost)[0].reason


@pytest.mark.must("DWN-5")
def test_a_stalled_chunk_is_asked_of_another_peer_after_ten_seconds() -> None:
    scene = Scene(ONE)
    staller = scene.peer(0, Script(stalls_after=0))
    scene.run(staller, scene.peer(1, Script(seconds_per_chunk=1.0)), within=12.5 + 10)
    scene.assert_complete()


def test_a_stall_costs_ten_seconds_at_most_when_nobody_else_is_idle() -> None:
    scene = Scene(ONE)
    staller = scene.peer(0, Script(stalls_after=3, seconds_per_chunk=0.9))
    good = scene.peer(1, Script(seconds_per_chunk=1.0))
    scene.run(staller, good, within=15)
    scene.assert_complete()


@pytest.mark.must("DWN-5")
def test_a_slow_peer_that_is_the_only_one_is_waited_for() -> None:
    scene = Scene(shelf(blob(4)))
    slow = scene.peer(0, Script(seconds_per_chunk=45.0))
    scene.run(slow)
    scene.assert_complete()
    assert len(slow.asked) <= 4 + 2 * 3, "its pace is found out within three stalls"


def test_a_peer_that_breaks_off_is_asked_again_until_it_is_given_up() -> None:
    scene = Scene(ONE)
    with pytest.raises(UnavailableError, match=r"after 4 failures, the last one: connection refused \(brought 5242880"):
        scene.run(scene.peer(0, Script(breaks_after=5)))
    assert len(scene.store.chunks) == 5, "what came is kept"


def test_a_peer_dying_in_the_middle_costs_only_what_was_on_its_way() -> None:
    scene = Scene(ONE)
    dying, good = scene.peer(0, Script(breaks_after=4)), scene.peer(1, Script(seconds_per_chunk=0.5))
    scene.run(dying, good)
    scene.assert_complete()
    landed = [(event.blob_id, event.index) for event in scene.told(Landed)]
    assert len(landed) == len(set(landed)) == 12


@pytest.mark.must("DWN-6")
def test_a_busy_peer_is_left_alone_as_long_as_it_asks() -> None:
    scene = Scene(ONE)
    busy = scene.peer(0, Script(busy=1, retry_after=30.0))
    with pytest.raises(TimeoutError):
        scene.run(busy, within=29.0)
    assert len(busy.lists_asked) == 1
    scene.run(busy)
    scene.assert_complete()


@pytest.mark.must("DWN-6")
@pytest.mark.parametrize("retry_after", [1e9, float("inf"), float("nan"), -5.0])
def test_a_peer_cannot_put_us_off_for_longer_than_a_minute(retry_after: float) -> None:
    scene = Scene(ONE)
    scene.run(scene.peer(0, Script(busy=1, retry_after=retry_after)), within=61.0)
    scene.assert_complete()


@pytest.mark.must("DWN-7")
def test_when_nobody_can_serve_the_error_lists_everyone_that_was_tried_and_why() -> None:
    scene = Scene()
    peers = [
        scene.peer(0, Script(lies=lambda index: True)),
        scene.peer(1, Script(stalls_after=0)),
        scene.peer(2, Script(busy=10**6)),
        scene.peer(3, blobs={}),
        scene.peer(4, Script(breaks_after=0)),
    ]
    with pytest.raises(UnavailableError) as error:
        scene.run(*peers)
    message = str(error.value)
    assert message.startswith("3 of 4 blobs could not be fetched, what came is kept. Tried: ")
    for number, said in enumerate(["dropped, sent", "stalls", "busy 12 times", "does not have", "connection refused"]):
        tried = next(part for part in message.split("; ") if f"peer-{number}:" in part)
        assert said in tried


@pytest.mark.must("DWN-7")
def test_with_nobody_to_ask_the_error_says_so_at_once() -> None:
    scene = Scene()
    with pytest.raises(UnavailableError, match=r"4 of 4 blobs .* there was nobody to ask"):
        scene.run(within=0.0)


def test_peers_that_each_hold_a_part_are_enough_together() -> None:
    scene = Scene(ONE)
    even, odd = scene.peer(0, Script(holds=lambda i: i % 2 == 0)), scene.peer(1, Script(holds=lambda i: i % 2 == 1))
    scene.run(even, odd)
    scene.assert_complete()


def test_peers_that_hold_different_blobs_are_enough_together() -> None:
    scene = Scene()
    halves = [dict(list(BLOBS.items())[start::2]) for start in range(2)]
    scene.run(scene.peer(0, blobs=halves[0]), scene.peer(1, blobs=halves[1]))
    scene.assert_complete()


@pytest.mark.must("DWN-8")
def test_at_the_end_a_slow_peers_chunk_is_asked_of_a_fast_one_too_and_the_first_wins() -> None:
    scene = Scene(ONE)
    slow, fast = scene.peer(0, Script(seconds_per_chunk=9.0)), scene.peer(1, Script(seconds_per_chunk=0.1))
    scene.run(slow, fast, within=4.0)
    scene.assert_complete()
    twice = len(chunks_asked(slow, fast)) - 12
    assert 0 < twice <= MAX_DUPLICATES
    assert slow.traffic.open == 0, "called off"


@pytest.mark.must("DWN-9")
def test_however_many_peers_there_are_requests_in_progress_are_bounded() -> None:
    scene = Scene(shelf(blob(40, seed=4)))
    traffic = Traffic()
    script = Script(seconds_per_chunk=1.0)
    scene.run(*[Peer(f"peer-{n}", scene.blobs, scene.clock, script, traffic=traffic) for n in range(30)])
    scene.assert_complete()
    assert 8 < traffic.most <= MAX_REQUESTS


@pytest.mark.must("DWN-10")
def test_a_mirror_is_asked_for_chunks_but_for_a_list_only_when_no_peer_is_left() -> None:
    scene = Scene(ONE)
    mirror = scene.peer(7, Script(seconds_per_chunk=0.2), keyless=True)
    scene.run(scene.peer(0, Script(seconds_per_chunk=0.2)), mirrors=[mirror])
    assert mirror.lists_asked == []
    assert mirror.asked != []
    alone = Scene(ONE)
    mirror = alone.peer(7, keyless=True)
    alone.run(alone.peer(0, Script(breaks_after=0)), mirrors=[mirror])
    alone.assert_complete()
    assert mirror.lists_asked == list(ONE)


def test_a_full_disk_ends_the_download_with_the_stores_own_words() -> None:
    scene = Scene(ONE)
    scene.store.room = 5 << 20
    with pytest.raises(EnvironmentFault, match="the disk is full"):
        scene.run(scene.peer(0), scene.peer(1))
    assert len(scene.store.chunks) == 5


def test_a_blob_larger_than_it_may_be_is_nobodys_lie() -> None:
    scene = Scene(ONE)
    peer = scene.peer(0)
    too_small = dict.fromkeys(ONE, 1000)
    with pytest.raises(UnavailableError):
        asyncio.run(scene._run(fetch(too_small, scene.store, [peer], clock=scene.clock, grudges=scene.grudges), 3600.0))
    assert peer.asked == []
    assert scene.store.lists == {}
    assert scene.grudges.against(peer) is None


def test_cancelling_leaves_no_stream_open() -> None:
    scene = Scene(ONE)
    peer = scene.peer(0, Script(seconds_per_chunk=1.0))

    async def cancel() -> None:
        work = asyncio.ensure_future(scene.fetch(peer))
        await scene.clock.advance(2.5)
        work.cancel()
        await asyncio.wait([work])
        assert work.cancelled()

    asyncio.run(cancel())
    assert peer.traffic.open == 0
    assert len(scene.store.chunks) == 2


def test_trouble_is_told_once_for_each_kind() -> None:
    scene = Scene(ONE)
    scene.run(scene.peer(0, Script(busy=5)))
    assert scene.told(Hindered) == [Hindered(f"{KEYS[0].name} at peer-0", "is busy")]


scripts = st.builds(
    Script,
    seconds_per_chunk=st.sampled_from([0.001, 0.3, 4.0, 12.0, 200.0]),
    busy=st.integers(0, 20),
    retry_after=st.sampled_from([0.0, 1.0, 100.0]),
    lies=st.sampled_from([lambda index: False, lambda index: index == 2, lambda index: True]),
    wrong_list=st.booleans(),
    stalls_after=st.none() | st.integers(0, 6),
    breaks_after=st.none() | st.integers(0, 6),
    ends_after=st.none() | st.integers(0, 2),
    holds=st.sampled_from([lambda index: True, lambda index: index % 2 == 0, lambda index: False]),
)
honest = st.builds(Script, seconds_per_chunk=st.sampled_from([0.001, 1.0, 25.0]), busy=st.integers(0, 4))


@pytest.mark.must("DWN-1", "DWN-7")
@settings(max_examples=20, deadline=None)
@given(st.lists(scripts, max_size=4), st.lists(scripts, max_size=1))
def test_whatever_peers_do_only_right_chunks_land_and_it_ends(crowd: list[Script], mirrors: list[Script]) -> None:
    scene = Scene()
    peers = [scene.peer(number, script) for number, script in enumerate(crowd)]
    try:
        scene.run(*peers, mirrors=[scene.peer(7, script, keyless=True) for script in mirrors], within=24 * 3600.0)
        scene.assert_complete()
    except UnavailableError:
        pass
    for (blob_id, index), data in scene.store.chunks.items():
        BLOBS[blob_id][0].check(index, data)


@settings(max_examples=20, deadline=None)
@given(st.lists(scripts, max_size=3), honest, st.integers(0, 3))
def test_one_honest_peer_that_has_everything_is_enough(crowd: list[Script], good: Script, place: int) -> None:
    scene = Scene()
    everyone = [*crowd]
    everyone.insert(min(place, len(crowd)), good)
    scene.run(*[scene.peer(number, script) for number, script in enumerate(everyone)], within=24 * 3600.0)
    scene.assert_complete()


@pytest.mark.must("DWN-5", "DWN-9")
@settings(max_examples=10, deadline=None)
@given(st.integers(17, 60), st.integers(0, 60))
def test_however_many_accept_and_send_nothing_one_honest_peer_goes_on(crowd: int, place: int) -> None:
    """The first chunk may take a turn of everyone; after that nobody waits."""
    scene = Scene(ONE)
    peers = [Peer(f"staller-{n}", scene.blobs, scene.clock, Script(stalls_after=0)) for n in range(crowd)]
    honest = scene.peer(0, Script(seconds_per_chunk=0.1))
    peers.insert(min(place, len(peers)), honest)
    times: list[float] = []

    def tell(event: Event) -> None:
        if isinstance(event, Landed) and event.source.endswith(honest.address):
            times.append(scene.clock.now())

    work = fetch(wants(scene.blobs), scene.store, peers, clock=scene.clock, progress=tell, grudges=scene.grudges)
    asyncio.run(scene._run(work, 3600.0))
    scene.assert_complete()
    turns = -(-len(peers) // (MAX_LISTS // 2)) + -(-len(peers) // (MAX_REQUESTS // 2))
    assert times[0] <= STALL_SECONDS * (turns + 2)
    assert scene.clock.now() - times[0] <= STALL_SECONDS


def test_what_no_road_should_raise_ends_its_source_and_not_the_download() -> None:
    class Broken(Peer):
        async def chunk_list(self, blob_id: bytes, limit: int = 0) -> ChunkList:
            raise LookupError("a bug")

        async def chunks(self, blob_id: bytes, indices: Sequence[int]) -> AsyncGenerator[tuple[int, bytes], None]:
            raise LookupError("a bug")
            yield

    scene = Scene()
    broken = Broken("broken", scene.blobs, scene.clock, Script(), KEYS[1])
    scene.run(broken, scene.peer(0, Script(seconds_per_chunk=1.0)))
    scene.assert_complete()
    alone = Scene()
    with pytest.raises(UnavailableError, match=r"broken: .*not"):
        alone.run(broken)

    class Failing(MemoryStore):
        def put_chunk(self, blob_id: bytes, index: int, data: bytes) -> None:
            raise LookupError("a bug of ours")

    alone.store = Failing()
    with pytest.raises(ExceptionGroup, match="unhandled"):
        alone.run(alone.peer(0))


@pytest.mark.must("DWN-3")
@settings(max_examples=12, deadline=None)
@given(st.lists(scripts, max_size=2), honest, st.floats(0.0, 60.0))
def test_after_a_restart_no_chunk_that_landed_is_asked_for_again(
    crowd: list[Script], good: Script, killed_at: float
) -> None:
    scene = Scene()

    async def kill() -> None:
        peers = [scene.peer(number, script) for number, script in enumerate([*crowd, good])]
        work = asyncio.ensure_future(scene.fetch(*peers))
        await scene.clock.advance(killed_at)
        work.cancel()
        await asyncio.wait([work])

    asyncio.run(kill())
    landed = set(scene.store.chunks)
    again = [scene.peer(number, script) for number, script in enumerate([*crowd, good])]
    scene.run(*again, within=24 * 3600.0)
    scene.assert_complete()
    assert landed.isdisjoint(chunks_asked(*again))
