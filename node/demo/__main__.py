"""``python -m node.demo [FOLDER]``: five nodes, three experts, one round, one model, and two frauds that are found out.

Everything runs on this machine, as processes of their own that speak over loopback; nothing is downloaded. It takes two
to three minutes on two cores. Models and nodes' homes are left in FOLDER (``demo``), the processes are ended.
"""

import asyncio
import json
import shutil
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from node.control.interface import conclusion
from node.control.orders import BaseChoice, Draft, Terms, Times
from node.demo.models import KINDS, make_models, score
from node.demo.nodes import DemoNode, stop_all
from node.demo.view import watch
from node.errors import MachineFault
from node.lineage import LINEAGE_FILE

COMMIT_SECONDS = 15
REVEAL_SECONDS = 14
ROSTER_SECONDS = 60
MERGE_SECONDS = 600

RECIPE = """\
# A third of each delta: their mean.
merge_method: task_arithmetic
base_model: base
models:
  - model: contributions
    parameters: {weight: 0.34}
dtype: float32
"""

WEIGHTS = "model.safetensors"


class Story:
    """What is told, and what it is told about."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self.say = Console(highlight=False)
        self.nodes: list[DemoNode] = []

    def title(self, text: str) -> None:
        """The next part."""
        self.say.print(f"\n[bold]{text}[/bold]")

    def node(self, role: str, bootstrap: str | None) -> DemoNode:
        """A new node, started."""
        made = DemoNode(role, self.folder / "nodes" / role)
        self.nodes.append(made)
        made.start(bootstrap)
        return made

    def shown(self, node: DemoNode, *command: str, expected: int = 0) -> None:
        """A command as somebody would type it, and what it says."""
        self.say.print(f"   [green]$ umm {' '.join(command)}[/green]", soft_wrap=True)
        done = node.run(*command)
        for line in (done.stdout or done.stderr).rstrip().splitlines():
            self.say.print(f"   {line}", markup=False, soft_wrap=True)
        if done.returncode != expected:
            raise MachineFault(f"umm {command[0]} ended with {done.returncode}, not {expected}: {done.stderr.strip()}")

    async def tell(self) -> None:
        """All of it."""
        models = self.folder / "models"
        self.title("1. A base model, and three people who each teach it one kind of riddle (half a minute)")
        await asyncio.to_thread(make_models, models)
        steward, contributors, address = await self._start()
        round_id = await self._round(steward, contributors, models)
        verifier = self.node("verifier", address)
        await verifier.client()
        self.title("4. Somebody on a sixth node has the round's id, and trusts nobody")
        out = str(self.folder / "merged")
        self.shown(verifier, "pull", round_id, out)
        self.shown(verifier, "verify", out, "--round", round_id, "--recompute")
        self._scores(models)
        self._frauds(verifier, round_id)
        self._end(round_id)

    async def _start(self) -> tuple[DemoNode, dict[str, DemoNode], str]:
        self.title("2. Five nodes: one to meet at, three contributors, one steward")
        first = self.node("bootstrap", None)
        address = (await (await first.client()).status()).addresses[0]
        steward = self.node("steward", address)
        contributors = {kind: self.node(kind, address) for kind in KINDS}
        for node in (first, steward, *contributors.values()):
            async with await node.client() as client:
                self.say.print(f"   {node.role:10} {(await client.status()).who.name}")
        return steward, contributors, address

    async def _round(self, steward: DemoNode, contributors: dict[str, DemoNode], models: Path) -> str:
        self.title("3. The steward opens a round; each contributor offers an expert with one command")
        async with await steward.client() as client:
            opened = await conclusion(client.open_round(_draft(models / "base")), lambda _: None)
            round_id = opened.round.hex()
            self.say.print(f"   round {round_id}")
            offers = [self._offer(node, round_id, kind, models / kind) for kind, node in contributors.items()]
            roles = {}
            for kind, node in contributors.items():
                async with await node.client() as other:
                    roles[(await other.status()).who.point] = kind
            watching = asyncio.create_task(watch(client, opened.round, roles, self.say))
            await asyncio.gather(*offers)
            detail = await watching
        outcome = detail.outcomes[0]
        self.say.print(f"   merged {outcome.contributions} contributions; the root is blake3:{outcome.root.hex()}")
        return round_id

    async def _offer(self, node: DemoNode, round_id: str, kind: str, expert: Path) -> None:
        command = ("contribute", round_id, "--expert", str(expert), "--domain", kind, "--licence", "apache-2.0")
        done = await asyncio.to_thread(node.run, *command)
        if done.returncode:
            raise MachineFault(f"umm contribute: {done.stderr.strip() or done.stdout.strip()}")

    def _scores(self, models: Path) -> None:
        self.title("5. What it learned: right answers to 200 riddles of each kind")
        table = Table(box=None, padding=(0, 3, 0, 3))
        for column in ("", *KINDS, "worst"):
            table.add_column(column, justify="left" if not column else "right")
        for name in ("base", *KINDS, "merged"):
            folder = self.folder / "merged" if name == "merged" else models / name
            right = [score(folder, riddle) for riddle in KINDS.values()]
            style = "bold" if name == "merged" else ""
            table.add_row(name, *(f"{share:.0%}" for share in right), f"{min(right):.0%}", style=style)
        self.say.print(table)

    def _frauds(self, verifier: DemoNode, round_id: str) -> None:
        self.title("6. Somebody changes one bit of one tensor and passes the model on")
        tampered = self._copy("tampered")
        weights = tampered / WEIGHTS
        data = bytearray(weights.read_bytes())
        data[-1000] ^= 1
        weights.write_bytes(data)
        self.shown(verifier, "verify", str(tampered), "--round", round_id, expected=3)
        self.title("7. Somebody else puts another licence under a contribution")
        forged = self._copy("forged")
        lineage = forged / LINEAGE_FILE
        lines = lineage.read_text().splitlines(keepends=True)
        lines[-1] = _forged(lines[-1])
        lineage.write_text("".join(lines))
        self.shown(verifier, "verify", str(forged), "--round", round_id, expected=3)

    def _copy(self, name: str) -> Path:
        target = self.folder / name
        shutil.copytree(self.folder / "merged", target)
        return target

    def _end(self, round_id: str) -> None:
        self.title("Now try")
        self.say.print(
            f"   umm verify {self.folder}/merged --round {round_id[:12]}…   # again, offline\n"
            f"   umm inspect {self.folder}/models/base {self.folder}/models/addition {self.folder}/models/larger\n"
            "   umm init && umm node                         # a node of your own\n"
            "   umm round create --sample                    # what a round file looks like",
            soft_wrap=True,
        )


def _draft(base: Path) -> Draft:
    now = int(time.time())  # noqa: TID251 - schedules are by the wall clock
    commit, reveal = now + COMMIT_SECONDS, now + COMMIT_SECONDS + REVEAL_SECONDS
    return Draft(
        title="Riddles",
        base=BaseChoice(folder=base),
        recipe=RECIPE,
        kinds=("delta",),
        times=Times(
            commit_opens=now,
            commit_closes=commit,
            reveal_closes=reveal,
            roster_closes=reveal + ROSTER_SECONDS,
            merge_closes=reveal + ROSTER_SECONDS + MERGE_SECONDS,
        ),
        terms=Terms(contributions_per_key=1, contributions=8, bytes_each=10**9, bytes_total=10**10),
    )


def _forged(line: str) -> str:
    """The record on this line with another licence, under the old signature."""
    import base64

    envelope = json.loads(line)
    payload = base64.b64decode(envelope["payload"]).replace(b"apache-2.0", b"mit")
    envelope["payload"] = base64.b64encode(payload).decode()
    return json.dumps(envelope, sort_keys=True, separators=(",", ":")) + "\n"


def main() -> int:
    """Tell the story; whatever happens, no node is left running."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "demo")
    for part in ("models", "nodes", "merged", "tampered", "forged"):
        shutil.rmtree(folder / part, ignore_errors=True)
    story = Story(folder)
    began = time.monotonic()
    try:
        asyncio.run(story.tell())
    except MachineFault as error:
        story.say.print(f"\n{error}", markup=False)
        return 1
    finally:
        stop_all(story.nodes)
    story.say.print(f"\n   {time.monotonic() - began:.0f} s in all; every node has ended.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
