"""``umm round can-join``: would we be admitted."""

from pathlib import Path
from typing import Any

import click

from node.cli.asking import ask, round_id
from node.cli.plain import plain
from node.cli.screen import Screen
from node.cli.verb import verb
from node.control.client import Client
from node.control.orders import CanJoinOrder
from node.control.views import Obstacles
from node.exits import Exit


@verb(
    "can-join",
    help="Say whether this node, and such a contribution, would be admitted to a round, and if not, why. What is not "
    "given is not asked about. Exit code 0 for yes, 1 for no.",
)
@click.argument("round", metavar="ROUND")
@click.option(
    "--expert",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    metavar="DIR",
    help="Look at this model or adapter as a steward would.",
)
@click.option("--kind", type=click.Choice(("adapter", "checkpoint", "delta")), help="Of the contribution.")
@click.option("--domain", metavar="WORD", help="What it is good at.")
@click.option("--licence", metavar="SPDX", help="Under which it may be used.")
def command(screen: Screen, expert: Path | None, **chosen: Any) -> int:
    """Ask, and list what stands in the way."""
    named = chosen.pop("round")

    async def look(client: Client) -> Obstacles:
        folder = None if expert is None else expert.absolute()
        return await client.can_join(CanJoinOrder(round=await round_id(client, named), expert=folder, **chosen))

    found = ask(look)
    screen.document({"admitted": not found.reasons} | plain(found))
    if not found.reasons:
        screen.say("Yes.")
        return Exit.OK
    screen.say("No:")
    for reason in found.reasons:
        screen.say(f"  {reason.text}")
    return Exit.ERROR
