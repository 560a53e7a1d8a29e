"""A node in a process of its own, and what is left of it when that ends."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from tests.protocol.swarm.processes import Ends, Program

pytestmark = pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="only Linux tells when another's child ends")


def test_a_node_starts_without_the_heavy_half_of_hivemind() -> None:
    async def scenario() -> None:
        first = await Program.start()
        assert first.began["heavy"] == []
        second = await Program.start(*first.began["addresses"])
        await first.do("publish 3")
        assert (await second.do("find"))["count"] == 3
        for program in (first, second):
            assert (await program.close())["closed"]
            assert not Path(program.began["folder"]).exists()

    asyncio.run(scenario())


@pytest.mark.must("SWM-28")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda how: how.name)
def test_nothing_is_left_of_a_node_whose_process_is_ended(how: signal.Signals) -> None:
    async def scenario() -> None:
        program = await Program.start()
        with Ends(program.began["p2pd"]) as p2pd, Ends(program.began["janitor"]) as janitor:
            assert not p2pd.within(0)
            program.process.send_signal(how)
            await program.process.communicate()
            assert p2pd.within(5)
            assert janitor.within(5)
        assert not Path(program.began["folder"]).exists()

    asyncio.run(scenario())


@pytest.mark.must("SWM-28")
def test_a_p2pd_that_does_not_notice_is_killed() -> None:
    """It is stopped, so that it cannot end by itself."""

    async def scenario() -> None:
        program = await Program.start()
        with Ends(program.began["p2pd"]) as p2pd:
            os.kill(program.began["p2pd"], signal.SIGSTOP)
            program.kill()
            await program.process.communicate()
            assert p2pd.within(5)

    asyncio.run(scenario())
