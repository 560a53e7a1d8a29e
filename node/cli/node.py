"""``umm node``: run the node, here, until it is told to stop."""

import click

from node.cli import here
from node.cli.screen import Screen
from node.cli.verb import verb


@verb(
    "node",
    help="Run the node in the foreground until Ctrl-C or `umm stop`. It looks after its rounds, serves what it has, "
    "and takes orders from the other commands. Options win over the settings.",
)
@click.option("--listen", multiple=True, metavar="ADDRESS", help="Listen here, such as /ip4/0.0.0.0/tcp/7400.")
@click.option("--bootstrap", multiple=True, metavar="ADDRESS", help="Join others through this address.")
def command(screen: Screen, listen: tuple[str, ...], bootstrap: tuple[str, ...]) -> None:
    """Hand over to the daemon."""
    place = here.home()
    name = here.key(place).public.name
    config = here.settings(place, {"network.listen": listen or None, "network.bootstrap": bootstrap or None})
    from node.daemon import run

    screen.advise(f"{name} is starting; Ctrl-C ends it. What it does, in another terminal: umm status, umm log -f")
    run(place, config)
