"""``umm stop``: returns when the node is gone."""

import time

from node.cli import here
from node.cli.asking import ask
from node.cli.screen import Screen
from node.cli.verb import verb
from node.control.socket_file import answers
from node.errors import BusyError

PATIENCE_SECONDS = 15.0

LOOK_SECONDS = 0.05


@verb("stop", help="Stop the node, and wait until it is gone. Nothing is lost: it goes on where it was.")
def command(screen: Screen) -> None:
    """Ask, then look until nobody answers."""
    ask(lambda client: client.stop())
    socket, began = here.home().socket, time.monotonic()
    while answers(socket):
        if time.monotonic() - began > PATIENCE_SECONDS:
            raise BusyError(f"the node was told to stop {PATIENCE_SECONDS:.0f} s ago and is still there; see: umm log")
        time.sleep(LOOK_SECONDS)
    screen.document({"stopped": True})
    screen.say("Stopped.")
