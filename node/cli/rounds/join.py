"""``umm round join``: follow a round."""

import time

import click

from node.cli.asking import ask, round_id
from node.cli.plain import plain
from node.cli.screen import Screen
from node.cli.times import ahead
from node.cli.verb import verb
from node.control.client import Client
from node.control.orders import FollowOrder, Role
from node.control.views import RoundSummary

ROLES = (Role.READER, Role.CONTRIBUTOR, Role.STEWARD)


@verb(
    "join",
    help="Follow a round from now on: the node fetches what was said in it, and does what is due. A steward that the "
    "round names is one as soon as it joins.",
)
@click.argument("round", metavar="ROUND")
@click.option(
    "--as", "role", type=click.Choice([role.value for role in ROLES]), default="reader", help="Default: reader."
)
def command(screen: Screen, round: str, role: str) -> None:  # noqa: A002 - its name on the command line
    """Ask for it."""

    async def follow(client: Client) -> RoundSummary:
        return await client.follow(FollowOrder(round=await round_id(client, round), role=Role(role)))

    found = ask(follow)
    screen.document(plain(found))
    ends = ahead(found.phase_ends, time.time())  # noqa: TID251 - spans are shown from now
    screen.say(f"{found.title}: {found.phase}{f', ends {ends}' if ends else ''}; you are {', '.join(found.roles)}")
    name = found.id.hex()[:12]
    screen.advise(f"To see it happen: umm round watch {name}\nTo offer something: umm contribute {name} --expert DIR …")
