"""``umm pause``."""

from node.cli.asking import ask
from node.cli.screen import Screen
from node.cli.verb import verb


@verb(
    "pause",
    help="Let the node say, check and merge nothing for a while, also after a restart; it still answers. A round does "
    "not wait: what is due meanwhile is missed.",
)
def command(screen: Screen) -> None:
    """Ask for it."""
    ask(lambda client: client.pause())
    screen.document({"paused": True})
    screen.say("Paused. To go on: umm resume")
