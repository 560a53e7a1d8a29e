"""``umm round withdraw``: take a contribution back."""

import click

from node.cli.asking import ask, contribution_id
from node.cli.screen import Screen
from node.cli.verb import verb
from node.control.client import Client
from node.control.orders import WithdrawOrder


@verb(
    "withdraw",
    help="Take a contribution of yours back. Before the merge it is then left out; afterwards the stewards can merge "
    "anew without it.",
)
@click.argument("contribution")
@click.option("--reason", metavar="TEXT", help="For everybody to read.")
def command(screen: Screen, contribution: str, reason: str | None) -> None:
    """Ask for it."""

    async def take_back(client: Client) -> bytes:
        found = await contribution_id(client, contribution)
        await client.withdraw(WithdrawOrder(contribution=found, reason=reason))
        return found

    found = ask(take_back)
    screen.document({"contribution": found.hex(), "withdrawn": True})
    screen.say(f"Withdrawn: {found.hex()}")
