"""``umm resume``."""

from node.cli.asking import ask
from node.cli.screen import Screen
from node.cli.verb import verb


@verb("resume", help="Let the node go on after a pause.")
def command(screen: Screen) -> None:
    """Ask for it."""
    ask(lambda client: client.resume())
    screen.document({"paused": False})
    screen.say("Going on.")
