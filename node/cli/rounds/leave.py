"""``umm round leave``: follow a round no longer."""

import click

from node.cli.asking import ask, round_id
from node.cli.screen import Screen
from node.cli.verb import verb
from node.control.client import Client
from node.control.orders import RoundOrder


@verb(
    "leave",
    help="Look after a round no longer. What was heard is kept. Refused while you have a contribution on its way.",
)
@click.argument("round", metavar="ROUND")
def command(screen: Screen, round: str) -> None:  # noqa: A002 - its name on the command line
    """Ask for it."""

    async def leave(client: Client) -> bytes:
        found = await round_id(client, round)
        await client.unfollow(RoundOrder(round=found))
        return found

    found = ask(leave)
    screen.document({"round": found.hex(), "followed": False})
    screen.say(f"No longer followed: {found.hex()}")
