"""``umm log``: what the node has to say."""

from contextlib import aclosing

import click

from node.cli.asking import ask
from node.cli.plain import plain
from node.cli.screen import Screen, printable
from node.cli.times import stamp
from node.cli.verb import verb
from node.control.client import Client
from node.control.orders import LogOrder


@verb("log", help="Show the last lines of the node's log. With --json each is an object on a line of its own.")
@click.option("-f", "--follow", is_flag=True, help="Go on with those that are still to come, until Ctrl-C.")
@click.option("-n", "--lines", type=click.IntRange(0), default=50, help="How many. Default: 50.")
def command(screen: Screen, follow: bool, lines: int) -> None:
    """Print them as they come."""

    async def read(client: Client) -> None:
        async with aclosing(client.log(LogOrder(lines=lines, follow=follow))) as found:
            async for line in found:
                screen.event(plain(line))
                screen.say(f"{stamp(line.at)} {line.level:7} {line.source}: {printable(line.text)}")

    ask(read)
