"""``umm peers``: the other nodes."""

from node.cli.asking import ask
from node.cli.plain import plain
from node.cli.screen import Screen
from node.cli.verb import verb


@verb("peers", help="Show the nodes that this one is connected to, and those that it could not reach, with the reason.")
def command(screen: Screen) -> None:
    """Print them."""
    found = ask(lambda client: client.peers()).peers
    screen.document(plain(found))
    if not found:
        screen.say("No other node so far. What stands in the way: umm doctor")
        return
    rows = [
        [one.who.name, "connected" if one.connected else one.trouble or "not connected", one.address, one.who.peer_id]
        for one in found
    ]
    screen.table(["name", "state", "address", "peer id"], rows)
