"""``umm pull``: fetch the merged model of a round."""

from pathlib import Path

import click

from node.cli.asking import ask, digits, listening, round_id
from node.cli.plain import plain
from node.cli.progress import bar
from node.cli.screen import Screen
from node.cli.times import lasting
from node.cli.values import spelled
from node.cli.verb import verb
from node.control.client import Client
from node.control.interface import conclusion
from node.control.orders import PullOrder
from node.control.progress import Pulled

KEPT = "what came is kept, the same command goes on from there"


@verb(
    "pull",
    help="Fetch a merged model from other nodes into the folder OUT, with the records that prove what it is. A pull "
    "that was interrupted goes on where it was when the same command is run again.",
)
@click.argument("what", metavar="ROUND|ROOT", help="A round, a Result, or the root of the model.")
@click.argument("out", type=click.Path(path_type=Path), help="Folder to make.")
@click.option("--revision", type=click.IntRange(0), help="Of the round. Default: the newest.")
def command(screen: Screen, what: str, out: Path, revision: int | None) -> None:
    """Ask the node, show how far it is."""

    async def fetch(client: Client) -> Pulled:
        wanted = digits(what) or await round_id(client, what)
        order = PullOrder(what=wanted, out=out.absolute(), revision=revision)
        with bar(screen, "looking for it") as seen:
            return await conclusion(client.pull(order), listening(seen))

    try:
        done = ask(fetch)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(KEPT) from None
    screen.document(plain(done))
    screen.say(
        f"{out}: root blake3:{done.root.hex()}\n"
        f"  {spelled(done.fetched_bytes)} fetched in {lasting(done.seconds)}, the rest was here"
    )
    screen.advise(f"To check it without trusting anybody: umm verify {out}")
