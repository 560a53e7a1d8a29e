"""``umm contribute``: offer to a round what one's own machine learned."""

from pathlib import Path
from typing import Any

import click

from node.cli.asking import ask, listening, round_id
from node.cli.plain import plain
from node.cli.progress import bar
from node.cli.screen import Screen
from node.cli.values import spelled
from node.cli.verb import verb
from node.control.client import Client
from node.control.interface import conclusion
from node.control.orders import Claim, ContributeOrder
from node.control.progress import Offered


class ClaimType(click.ParamType[Claim]):
    """A score that was measured: ``gsm8k:exact-match:0.812:1319``."""

    name = "SUITE:METRIC:SCORE:ITEMS"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Claim:
        """The four parts; the suite may have colons of its own."""
        parts = str(value).rsplit(":", 3)
        if len(parts) != 4 or not all(parts) or not (parts[3].isascii() and parts[3].isdecimal()):
            self.fail(f"{value!r} is not {self.name}, such as gsm8k:exact-match:0.812:1319", param, ctx)
        suite, metric, score, items = parts
        return Claim(suite=suite, metric=metric, score=score, items=int(items))


@verb(
    "contribute",
    help="Offer a fine-tuned model or an adapter to a round. The node checks everything that a steward would check, "
    "takes the exact difference to the base, signs it, and says and serves it when it is time. What becomes of it: "
    "umm status.",
)
@click.argument("round", metavar="ROUND")
@click.option(
    "--expert",
    required=True,
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    metavar="DIR",
    help="The fine-tuned model, or the adapter.",
)
@click.option("--domain", required=True, metavar="WORD", help="What it is good at: math, code, …")
@click.option("--licence", required=True, metavar="SPDX", help="Under which it may be used, such as apache-2.0.")
@click.option("--kind", type=click.Choice(("adapter", "checkpoint", "delta")), help="Default: what the folder is.")
@click.option("--title", metavar="TEXT", help="What it is, in a few words.")
@click.option("--claim", "claims", type=ClaimType(), multiple=True, help="A score that you measured; may be repeated.")
@click.option("--dry-run", is_flag=True, help="Check and measure everything, sign and offer nothing.")
def command(screen: Screen, expert: Path, **chosen: Any) -> None:
    """Ask the node, show how far it is, say what is next."""
    named = chosen.pop("round")

    async def offer(client: Client) -> Offered:
        order = ContributeOrder(round=await round_id(client, named), expert=expert.absolute(), **chosen)
        with bar(screen, "looking") as seen:
            return await conclusion(client.contribute(order), listening(seen))

    done = ask(offer)
    screen.document(plain(done))
    what = f"{done.kind}, {spelled(done.size)}, root blake3:{done.root.hex()}"
    norm = f", norm {done.norm}" if done.norm else ""
    if done.contribution is None:
        screen.say(f"This would be admitted: {what}{norm}\nNothing was signed.")
        return
    screen.say(f"contribution {done.contribution.hex()}\n  {what}{norm}\n  {done.next}")
