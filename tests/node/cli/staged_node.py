"""``python -m tests.node.cli.staged_node SOCKET``: a node with one round in it, in the middle of its reveals.

What it answers is made up; the socket, the server and every message are real.
"""

import asyncio
import sys
import time
from dataclasses import replace
from pathlib import Path

from node.control.orders import BaseChoice, Claim, Draft, Role, Terms, Times
from node.control.views import (
    Entry,
    Event,
    OfferState,
    OfferView,
    RoundDetail,
    StewardState,
    StewardView,
    Who,
)
from protocol.identity.names import name_of
from tests.node.control.ends import serving
from tests.node.control.memory_node import MemoryNode, detail

TITLE = "Autumn merge of everything that can count"
ROUND = bytes.fromhex("ab" * 32)
MINE = bytes.fromhex("c1" * 32)


def who(number: int) -> Who:
    """Somebody."""
    return Who(point=bytes([2]) + bytes([number]) * 32, name=name_of(bytes([number]) * 32), peer_id=f"Qm{number:044}")


def entry(number: int, state: OfferState, reason: str | None = None) -> Entry:
    """A contribution."""
    return Entry(
        id=bytes([0xC0 + number]) * 32,
        author=who(number),
        mine=number == 1,
        kind=("delta", "adapter", "checkpoint")[number % 3],
        title=f"expert {number}",
        domain=("math", "code")[number % 2],
        licence="apache-2.0",
        size=number * 100_000_000,
        norm="1.5",
        claims=(Claim(suite="gsm8k", metric="exact-match", score="0.81", items=1319),),
        state=state,
        reason=reason,
    )


def staged(now: float) -> RoundDetail:
    """The round."""
    opened = int(now) - 3600
    times = Times(
        commit_opens=opened,
        commit_closes=opened + 3000,
        reveal_closes=opened + 4000,
        roster_closes=opened + 5000,
        merge_closes=opened + 9000,
    )
    terms = Terms(contributions_per_key=2, contributions=10, bytes_each=10**9, bytes_total=10**10, licences=("mit",))
    draft = Draft(
        title=TITLE,
        description="Whoever can count may come.",
        base=BaseChoice(folder=Path("/models/base")),
        kinds=("adapter", "delta"),
        stewards=tuple(who(n).point for n in range(1, 5)),
        times=times,
        terms=terms,
    )
    entries = (
        entry(1, OfferState.ACCEPTED),
        entry(2, OfferState.REVEALED),
        entry(3, OfferState.REFUSED, "model.norm.weight holds NaN \x1b[2J and so cannot be merged"),
        entry(4, OfferState.LEFT_OUT, "its key has 2 contributions already"),
        entry(5, OfferState.WITHDRAWN),
    )
    states = (StewardState.SILENT, StewardState.BALLOTED, StewardState.VOTED, StewardState.ATTESTED)
    made = detail(draft)
    summary = replace(
        made.summary, id=ROUND, roles=(Role.CONTRIBUTOR,), phase="reveal", phase_ends=float(opened + 4000), stewards=4,
        quorum=3, contributions=5,
    )  # fmt: skip
    stewards = [
        StewardView(who=who(n), state=state, since=None if state is StewardState.SILENT else now - n, root=None)
        for n, state in enumerate(states, 1)
    ]
    return replace(
        made, summary=summary, entries=entries, total_entries=7, commitments=7, stewards=tuple(stewards), outcomes=(),
        reveal_opens=float(opened + 3006),
    )  # fmt: skip


def node(now: float) -> MemoryNode:
    """A node that follows the round and has something in it."""
    made = MemoryNode()
    made.rounds[ROUND] = staged(now)
    made.own.append(
        OfferView(
            id=MINE, round=ROUND, round_title=TITLE, kind="delta", domain="math", title=None,
            state=OfferState.ACCEPTED, reason=None, since=now - 200, next="the stewards agree on the roster",
            next_at=now + 400,
        )
    )  # fmt: skip
    for number, text in enumerate(("reveals are open", "calm-heron-7: a contribution", "\x1b[31mred\x07")):
        made.events.put_nowait(Event(round=ROUND, at=now - 10 + number, what="phase", text=text, subject=None))
    return made


async def main(path: Path) -> None:
    """Serve until somebody says stop; one line on standard output when orders are taken."""
    made = node(time.time())  # noqa: TID251 - the round is of now
    async with serving(made, path):
        print("ready", flush=True)  # noqa: T201
        await made.stopped.wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
