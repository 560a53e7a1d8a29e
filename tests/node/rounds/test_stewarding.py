"""What a steward says about contributions that are not what they claim."""

import asyncio
from dataclasses import replace
from pathlib import Path

from node.config import Limits
from node.home import Home
from node.rounds.materials import Materials
from node.rounds.merging import Merging
from node.rounds.stewarding import Stewarding
from protocol.blobs.folder import manifest_of_folder
from protocol.blobs.source import Library
from protocol.blobs.store import Store
from protocol.identity import Key
from protocol.records import Base, Fault, Refusal
from protocol.swarm.memory import MemorySwarm
from tests.node.rounds.members import COMMITTING, REVEALING, WallClock, a_commitment, a_contribution, a_round, join
from tests.umm.checkpoints import plain

STEWARD, LIAR = Key.generate(), Key.generate()


def test_a_contribution_with_the_manifest_of_something_else_is_refused_and_not_asked_for_again(tmp_path: Path) -> None:
    async def story() -> None:
        base = plain(tmp_path / "base")
        listed = manifest_of_folder(base)
        round_ = a_round(STEWARD, base=Base(root=listed.root, manifest=listed.id))
        swarm = MemorySwarm(WallClock())
        steward, liar = (join(tmp_path, name, key, round_, swarm) for name, key in (("s", STEWARD), ("l", LIAR)))
        liar.announcements.pages[listed.id] = (listed.chunks, listed.encode())
        offer = replace(a_contribution(LIAR, round_), base=listed.root, manifest=listed.id)
        liar.proceedings.say(a_commitment(offer), COMMITTING)
        await liar.tell()
        await steward.listen()
        said = liar.proceedings.say(offer, REVEALING)
        await liar.tell()
        await steward.listen(REVEALING)
        home = Home(tmp_path / "home", tmp_path / "config.toml")
        with Store(home.store, 10**9) as store:
            materials = Materials(home, steward.database, store, Library(store), steward.peers)
            await materials.serve(base)
            duties = Stewarding(
                proceedings=steward.proceedings,
                gathering=steward.gathering,
                materials=materials,
                merging=Merging(home, Limits(), materials),
                database=steward.database,
                heavy=asyncio.Semaphore(1),
                clock=lambda: REVEALING,
            )
            (offered,) = duties._unjudged()
            await duties._check(offered)
            assert not duties._unjudged()
        (refusal,) = steward.proceedings.ledger.records(Refusal)
        assert (refusal.record.contribution, refusal.record.fault) == (said.id, Fault.MANIFEST)
        assert refusal.record.reason.startswith("the root ")
        await swarm.close()

    asyncio.run(story())
