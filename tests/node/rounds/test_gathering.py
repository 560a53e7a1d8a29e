"""How nodes hear of each other's records, also through others, and what a liar gets."""

import asyncio
from pathlib import Path

import pytest

from node.database import Kept
from node.rounds.announcements import LIFETIME_SECONDS, MAX_PAGES
from protocol.blobs.chunks import ChunkList
from protocol.exchange.interface import Peer
from protocol.field import field
from protocol.identity import Key
from protocol.pointer import Kind, Pointer
from protocol.records import Commitment, Signed, sign
from protocol.swarm.memory import MemorySwarm
from tests.node.rounds.members import (
    COMMITTING,
    REVEALING,
    Member,
    WallClock,
    a_commitment,
    a_contribution,
    a_round,
    join,
)

A, B, C = Key.generate(), Key.generate(), Key.generate()


def test_what_one_node_says_the_other_hears(tmp_path: Path) -> None:
    async def story() -> None:
        round_, swarm = a_round(A), MemorySwarm(WallClock())
        one, other = join(tmp_path, "one", A, round_, swarm), join(tmp_path, "other", B, round_, swarm)
        said = [one.proceedings.say(a_commitment(a_contribution(A, round_, n)), COMMITTING) for n in range(3)]
        await one.tell()
        heard = await other.listen()
        assert {record.id for record in heard.new} == {record.id for record in said}
        assert not (await other.listen()).new
        await swarm.close()

    asyncio.run(story())


def test_more_records_than_there_are_pointers_are_found_through_the_log(tmp_path: Path) -> None:
    async def story() -> None:
        round_, swarm = a_round(A), MemorySwarm(WallClock())
        one, other = join(tmp_path, "one", A, round_, swarm), join(tmp_path, "other", B, round_, swarm)
        for n in range(30):
            one.proceedings.say(a_commitment(a_contribution(A, round_, n)), COMMITTING)
        await one.tell()
        assert len((await other.listen()).new) == 30
        await swarm.close()

    asyncio.run(story())


def test_what_was_said_by_a_node_that_is_gone_is_heard_from_another(tmp_path: Path) -> None:
    async def story() -> None:
        round_, swarm = a_round(A), MemorySwarm(WallClock())
        gone = join(tmp_path, "gone", A, round_, swarm)
        between, late = join(tmp_path, "between", B, round_, swarm), join(tmp_path, "late", C, round_, swarm)
        said = gone.proceedings.say(a_commitment(a_contribution(A, round_)), COMMITTING)
        await gone.tell()
        await between.listen()
        await between.tell()
        await gone.swarm.close()
        late.gathering.places.clear()
        heard = await late.listen()
        assert [record.id for record in heard.new] == [said.id]
        await swarm.close()

    asyncio.run(story())


def test_an_answer_with_another_record_is_a_lie_and_the_liar_is_remembered(tmp_path: Path) -> None:
    async def story() -> None:
        round_, swarm = a_round(A), MemorySwarm(WallClock())
        liar, victim = join(tmp_path, "liar", A, round_, swarm), join(tmp_path, "victim", B, round_, swarm)
        promised = sign(a_commitment(a_contribution(A, round_, 1)), A)
        other = sign(a_commitment(a_contribution(A, round_, 2)), A)
        liar.database.add_records(round_.id, [_under(promised.id, other)])
        await liar.swarm.publish(round_.id, _pointer(A, round_.id, promised, "liar"))
        assert not (await victim.listen()).new
        assert victim.peers.grudges.against(await liar_seen(victim, "liar", A)) is not None
        await swarm.close()

    asyncio.run(story())


@pytest.mark.must("LOG-12")
def test_a_log_that_its_keeper_did_not_sign_is_a_lie(tmp_path: Path) -> None:
    async def story() -> None:
        round_, swarm = a_round(A), MemorySwarm(WallClock())
        liar, victim = join(tmp_path, "liar", A, round_, swarm), join(tmp_path, "victim", B, round_, swarm)
        data = field(b"not a note\n") + bytes(64)
        page = (ChunkList.of(data), data)
        liar.announcements.pages[page[0].id] = page
        pointer = Pointer.sign(
            A,
            round_id=round_.id,
            kind=Kind.LOG,
            record_id=page[0].id,
            size=len(data),
            expiration=int(COMMITTING) + 600,
            address="liar",
        )
        await liar.swarm.publish(round_.id, pointer)
        assert not (await victim.listen()).new
        assert victim.peers.grudges.against(await liar_seen(victim, "liar", A)) is not None
        await swarm.close()

    asyncio.run(story())


def test_a_node_that_does_not_answer_hinders_nobody(tmp_path: Path) -> None:
    async def story() -> None:
        round_, swarm = a_round(A), MemorySwarm(WallClock())
        silent, one = join(tmp_path, "silent", A, round_, swarm), join(tmp_path, "one", B, round_, swarm)
        late = join(tmp_path, "late", C, round_, swarm)
        silent.proceedings.say(a_commitment(a_contribution(A, round_)), COMMITTING)
        said = one.proceedings.say(a_commitment(a_contribution(B, round_)), COMMITTING)
        await silent.tell()
        await one.tell()
        swarm.links.down("silent")
        assert [record.id for record in (await late.listen()).new] == [said.id]
        await swarm.close()

    asyncio.run(story())


def test_a_pointer_is_replaced_by_one_that_expires_later_and_is_not_told_twice(tmp_path: Path) -> None:
    async def story() -> None:
        round_, swarm = a_round(A), MemorySwarm(WallClock())
        one = join(tmp_path, "one", A, round_, swarm)
        assert await one.tell() == 2  # the round and an empty log
        assert await one.tell() == 0
        before = (await one.swarm.find(round_.id, Kind.LOG))[0]
        one.proceedings.say(a_commitment(a_contribution(A, round_)), COMMITTING)
        assert await one.tell() == 2
        after = (await one.swarm.find(round_.id, Kind.LOG))[0]
        assert after.expiration > before.expiration
        assert after.expiration <= COMMITTING + LIFETIME_SECONDS + 2
        for n in range(10):
            one.proceedings.say(a_commitment(a_contribution(A, round_, n + 1)), COMMITTING)
            await one.tell()
        assert len(one.announcements.pages) == MAX_PAGES
        await swarm.close()

    asyncio.run(story())


def test_reveals_are_heard_in_their_phase(tmp_path: Path) -> None:
    async def story() -> None:
        round_, swarm = a_round(A), MemorySwarm(WallClock())
        one, other = join(tmp_path, "one", B, round_, swarm), join(tmp_path, "other", A, round_, swarm)
        offer = a_contribution(B, round_)
        one.proceedings.say(a_commitment(offer), COMMITTING)
        await one.tell()
        await other.listen()
        shown = one.proceedings.say(offer, REVEALING)
        await one.tell()
        heard = await other.listen(REVEALING)
        assert [record.id for record in heard.new] == [shown.id]
        assert other.proceedings.ledger.selection().roster.contributions == (shown.id,)
        await swarm.close()

    asyncio.run(story())


def _pointer(key: Key, round_id: bytes, of: Signed[Commitment], address: str) -> Pointer:
    return Pointer.sign(
        key,
        round_id=round_id,
        kind=Kind.COMMITMENT,
        record_id=of.id,
        size=len(of.envelope.encode()),
        expiration=int(COMMITTING) + 600,
        address=address,
    )


def _under(record_id: bytes, other: Signed[Commitment]) -> Kept:
    return Kept(record_id, other.envelope.encode(), COMMITTING)


async def liar_seen(victim: Member, address: str, key: Key) -> Peer:
    return await victim.swarm.road.connect(address, key.public)
