"""Orders over a real socket: each of them, end to end, and what happens when somebody leaves or fails."""

import asyncio
import logging
import subprocess
import sys
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from node.control.client import Client
from node.control.interface import conclusion
from node.control.methods import METHODS, Method
from node.control.orders import ContributeOrder, LogOrder, MaterialiseOrder, PullOrder, RoundOrder
from node.control.progress import Offered, Opened, Progress
from node.control.server import MAX_CALLS, STREAMS_PER_CONNECTION
from node.control.socket_file import SocketFile
from node.control.views import Event
from node.errors import BusyError, MachineFault, NodeError, UnreachableError, UserError
from protocol.errors import UnavailableError
from tests.node.control.ends import both, serving
from tests.node.control.memory_node import HALF, MemoryNode, detail
from tests.node.control.samples import DRAFT, FIRST, LINES, UNKNOWN, orders
from tests.node.control.test_faults import OWN
from tests.protocol.exchange.loop import on_loop

ROUND = detail(DRAFT).summary.id

CONTRIBUTE = orders(ROUND)["contribute"]

SECONDS = 10.0
"""For what happens at once, or never."""


async def ended(event: asyncio.Event) -> None:
    async with asyncio.timeout(SECONDS):
        await event.wait()


async def told(node: Any, method: Method) -> list[object]:
    """Everything that an order is answered with; of a watch the beginning."""
    order = orders(ROUND).get(method.name)
    arguments = [] if order is None else [order]
    if not method.streamed:
        return [await getattr(node, method.name)(*arguments)]
    found: list[object] = []
    async with aclosing(getattr(node, method.name)(*arguments)) as items:
        async for item in items:
            found.append(item)
            if item == FIRST:
                break
    return found


IN_TURN = ["open_round", "follow", *(name for name in METHODS if name not in ("open_round", "follow", "unfollow"))]


@on_loop
async def test_every_order_is_answered_as_the_node_answers_it(folder: Path) -> None:
    far, near = MemoryNode(), MemoryNode()
    async with both(far, folder) as client:
        for name in [*IN_TURN, "unfollow", "list_rounds"]:
            for node in (far, near):
                node.events.put_nowait(FIRST)
            answers = await told(client, METHODS[name])
            assert answers == await told(near, METHODS[name])
            assert answers, name
    assert far.asked == near.asked
    assert set(far.asked) == set(METHODS)
    assert far.rounds == near.rounds == {}
    assert far.stopped.is_set()


def test_every_order_is_given_in_that_test() -> None:
    assert {*IN_TURN, "unfollow"} == set(METHODS)


@on_loop
async def test_a_long_order_tells_how_far_it_is_and_how_it_ended(folder: Path) -> None:
    heard: list[Progress] = []
    async with both(MemoryNode(), folder) as client:
        opened = await conclusion(client.open_round(DRAFT), heard.append)
        assert opened == Opened(round=ROUND)
        assert isinstance(CONTRIBUTE, ContributeOrder)
        offered = await conclusion(client.contribute(CONTRIBUTE), heard.append)
        assert isinstance(offered, Offered)
    assert heard == [HALF, HALF]


@on_loop
async def test_a_stream_without_an_end_was_broken_off() -> None:
    async def broken() -> Any:
        yield HALF

    with pytest.raises(MachineFault, match="broke off"):
        await conclusion(broken(), lambda _: None)


@on_loop
async def test_events_come_one_by_one_as_they_happen(folder: Path) -> None:
    node = MemoryNode()
    node.rounds[ROUND] = detail(DRAFT)
    async with both(node, folder) as client, aclosing(client.watch_round(RoundOrder(round=ROUND))) as events:
        assert await anext(events) == HALF
        for number in range(3):
            happened = Event(round=ROUND, at=float(number), what="phase", text=f"{number}", subject=UNKNOWN)
            node.events.put_nowait(happened)
            assert await anext(events) == happened


# Leaving


@on_loop
async def test_leaving_a_stream_ends_what_the_node_does_for_it(folder: Path) -> None:
    node = MemoryNode()
    node.rounds[ROUND] = detail(DRAFT)
    async with both(node, folder) as client:
        events = client.watch_round(RoundOrder(round=ROUND))
        assert await anext(events) == HALF
        assert not node.left.is_set()
        await events.aclose()
        await ended(node.left)
        assert (await client.list_rounds()).rounds, "the line is still good"


@on_loop
async def test_leaving_in_the_middle_of_a_long_order_ends_the_work(folder: Path) -> None:
    node = MemoryNode()
    node.hangs = True
    assert isinstance(CONTRIBUTE, ContributeOrder)

    def enough(_: Progress) -> None:
        raise KeyError("enough")

    async with both(node, folder) as client:
        work = client.contribute(CONTRIBUTE)
        assert await anext(work) == HALF
        with pytest.raises(KeyError):
            await conclusion(client.contribute(CONTRIBUTE), enough)
        await ended(node.left)
        node.left.clear()
        await work.aclose()
        await ended(node.left)


@on_loop
async def test_an_order_that_nobody_waits_for_any_more_is_ended(folder: Path) -> None:
    node = MemoryNode()
    node.hangs = True
    async with both(node, folder) as client:
        asking = asyncio.create_task(client.status())
        while not node.asked:
            await asyncio.sleep(0)
        asking.cancel()
        await ended(node.left)
        with pytest.raises(asyncio.CancelledError):
            await asking


@on_loop
async def test_a_client_that_vanishes_leaves_its_streams(folder: Path) -> None:
    node = MemoryNode()
    async with serving(node, folder / "s"):
        client = await Client.connect(folder / "s")
        lines = client.log(LogOrder(lines=1, follow=True))
        assert await anext(lines) == LINES[-1]
        await client.close()
        await ended(node.left)
        with pytest.raises(UnreachableError, match="closed"):
            await anext(lines)
        with pytest.raises(UnreachableError, match="closed"):
            await client.status()
        with pytest.raises(UnreachableError, match="closed"):
            await anext(client.log(LogOrder()))


@on_loop
async def test_when_the_node_ends_whoever_listens_is_told(folder: Path) -> None:
    node = MemoryNode()
    with SocketFile.claim(folder / "s") as file:
        from node.control.server import ControlServer

        server = await ControlServer.start(node, file)
        async with await Client.connect(folder / "s") as client:
            lines = client.log(LogOrder(lines=1, follow=True))
            assert await anext(lines) == LINES[-1]
            await server.close(0)
            with pytest.raises(UnreachableError, match="umm node"):
                await anext(lines)
            await ended(node.left)
        await server.close(0)
    assert not (folder / "s").exists()


@on_loop
async def test_closing_the_line_under_an_order_is_an_error_and_no_cancellation(folder: Path) -> None:
    node = MemoryNode()
    node.hangs = True
    async with both(node, folder) as client:
        asking = asyncio.create_task(client.status())
        while not node.asked:
            await asyncio.sleep(0)
        await client.close()
        with pytest.raises(UnreachableError, match="closed"):
            await asking
        await ended(node.left)


@on_loop
async def test_a_client_that_vanishes_while_much_is_sent_is_nobodys_fault(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    node = MemoryNode()
    much = MaterialiseOrder(manifest=UNKNOWN, folder=Path("/f"), tensors=("t",) * 20_000)
    async with serving(node, folder / "s"), await Client.connect(folder / "s") as other:
        client = await Client.connect(folder / "s")
        items = client.materialise(much)
        assert isinstance(await anext(items), Progress)
        await client.close()
        await ended(node.left)
        await items.aclose()
        await other.status()
    assert not caplog.records


# Failing


@pytest.mark.parametrize("kind", OWN)
@on_loop
async def test_an_error_is_the_same_on_the_other_side(folder: Path, kind: type[NodeError]) -> None:
    node = MemoryNode()
    node.trouble = kind("what was found, wo es lag 🦦, and what to do")
    async with both(node, folder) as client:
        with pytest.raises(NodeError) as caught:
            await client.status()
        assert type(caught.value) is kind
        assert str(caught.value) == str(node.trouble)
        work = client.open_round(DRAFT)
        assert await anext(work) == HALF
        with pytest.raises(NodeError) as caught:
            await anext(work)
        assert type(caught.value) is kind
        assert str(caught.value) == str(node.trouble)


@on_loop
async def test_an_error_of_another_room_arrives_as_one_of_ours(folder: Path) -> None:
    node = MemoryNode()
    node.trouble = UnavailableError("nobody has it")
    async with both(node, folder) as client:
        with pytest.raises(UnreachableError, match=r"^nobody has it$"):
            await client.peers()


@on_loop
async def test_what_nobody_foresaw_is_in_the_log_and_not_on_the_wire(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    node = MemoryNode()
    node.trouble = ValueError("the secret of the house")
    async with both(node, folder) as client:
        with caplog.at_level(logging.ERROR), pytest.raises(NodeError, match="umm log") as caught:
            await client.status()
    assert "secret" not in str(caught.value)
    (record,) = caplog.records
    assert record.exc_info is not None
    assert record.exc_info[1] is node.trouble
    reference = record.getMessage().rpartition(" ")[2].strip(")")
    assert reference in str(caught.value)


@on_loop
async def test_what_is_not_there_is_an_error_and_no_end(folder: Path) -> None:
    async with both(MemoryNode(), folder) as client:
        work = client.pull(PullOrder(what=UNKNOWN, out=Path("/out")))
        assert await anext(work) == HALF
        with pytest.raises(UnreachableError, match=UNKNOWN.hex()):
            await anext(work)
        with pytest.raises(UserError, match=ROUND.hex()):
            await anext(client.watch_round(RoundOrder(round=ROUND)))


@on_loop
async def test_more_orders_than_a_node_takes_at_once_are_refused_as_busy(folder: Path) -> None:
    node = MemoryNode()
    follow = LogOrder(lines=1, follow=True)
    async with serving(node, folder / "s"):
        clients = [await Client.connect(folder / "s") for _ in range(MAX_CALLS // STREAMS_PER_CONNECTION + 1)]
        *crowd, last = clients
        streams = [client.log(follow) for client in crowd for _ in range(STREAMS_PER_CONNECTION)]
        assert await asyncio.gather(*(anext(one) for one in streams)) == [LINES[-1]] * MAX_CALLS
        with pytest.raises(BusyError, match="try again"):
            await last.status()
        for stream in streams:
            await stream.aclose()
        for client in clients:
            await client.close()


# Not running


@on_loop
async def test_without_a_node_the_client_says_how_to_start_it(folder: Path) -> None:
    with pytest.raises(UnreachableError, match="not running; start it with: umm node"):
        await Client.connect(folder / "s")


@pytest.mark.parametrize("name", ["a b", "c#d", "50%25", "e?f", "ö", "x&y=z", "q'\""])
@on_loop
async def test_a_folder_may_have_any_name(folder: Path, name: str) -> None:
    path = folder / name / "s"
    async with serving(MemoryNode(), path), await Client.connect(path) as client:
        assert path.is_socket()
        await client.status()


@on_loop
async def test_a_second_node_in_the_same_folder_does_not_start(folder: Path) -> None:
    node = MemoryNode()
    async with both(node, folder) as client:
        with pytest.raises(UserError, match="running"):
            async with serving(MemoryNode(), folder / "control.sock"):
                raise AssertionError("two nodes in one folder")
        await client.status()
    assert node.asked == ["status"]


HEAVY = {"grpc", "google", "cryptography", "blake3", "torch", "numpy", "hivemind", "click", "rich"}


def test_importing_the_client_imports_no_library() -> None:
    code = f"import sys; import node.control.client; print(*sorted({HEAVY} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
