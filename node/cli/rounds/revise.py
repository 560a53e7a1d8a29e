"""``umm round revise``: the model once more, without what was withdrawn."""

import click

from node.cli.asking import ask, round_id
from node.cli.plain import plain
from node.cli.screen import Screen
from node.cli.verb import verb
from node.control.client import Client
from node.control.orders import ReviseOrder
from node.control.progress import Revising


@verb(
    "revise",
    help="As a steward, ask the others for a revision: the round merged anew, exactly, without what was withdrawn.",
)
@click.argument("round", metavar="ROUND")
@click.option("--reason", required=True, metavar="TEXT", help="For everybody to read.")
def command(screen: Screen, round: str, reason: str) -> None:  # noqa: A002 - its name on the command line
    """Ask for it."""

    async def ask_for(client: Client) -> tuple[bytes, Revising]:
        found = await round_id(client, round)
        return found, await client.revise(ReviseOrder(round=found, reason=reason))

    found, revising = ask(ask_for)
    screen.document({"round": found.hex()} | plain(revising))
    screen.say(f"Asked the stewards for revision {revising.revision}.")
    screen.advise(f"To see it happen: umm round watch {found.hex()[:12]}")
