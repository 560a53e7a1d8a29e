"""``umm round list``."""

import time

from node.cli.asking import ask
from node.cli.plain import plain
from node.cli.rounds.rows import ROUND_HEADERS, round_rows
from node.cli.screen import Screen
from node.cli.verb import verb


@verb("list", help="Show the rounds that this node follows.")
def command(screen: Screen) -> None:
    """Print one line for each."""
    found = ask(lambda client: client.list_rounds()).rounds
    screen.document(plain(found))
    if not found:
        screen.say("This node follows no round. To take part in one: umm round join ID")
        return
    screen.table(ROUND_HEADERS, round_rows(found, time.time()))  # noqa: TID251 - spans are shown from now
