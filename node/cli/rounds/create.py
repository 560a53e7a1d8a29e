"""``umm round create``: from a round file, or a few options, to a round that everybody can take part in."""

import time
from pathlib import Path
from typing import Any

import click

from node.cli import here
from node.cli.asking import ask, listening
from node.cli.progress import bar
from node.cli.rounds import signing
from node.cli.screen import Screen
from node.cli.verb import verb
from node.control.client import Client
from node.control.interface import conclusion
from node.control.orders import Draft
from node.control.progress import Opened

TOP = ("title", "description", "base", "recipe")
MANY = {"steward": "stewards", "kind": "kinds"}
PHASES = ("opens", "commit", "reveal", "roster", "merge")
ADMISSION = {"allow": "keys", "licence": "licences", "domain": "domains"}


@verb(
    "create",
    help="Open a round that this node convenes: from FILE (TOML or YAML; --sample prints one), from options, or from "
    "both; then options win. It is signed, announced, and cannot be changed afterwards: look at it with --dry-run.",
)
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--title", metavar="TEXT", help="What it is for.")
@click.option("--description", metavar="TEXT", help="More about it.")
@click.option("--base", metavar="DIR", help="The model that all deltas are measured from.")
@click.option("--recipe", metavar="FILE", help="How it is merged. Default: TIES with density 0.5.")
@click.option("--steward", multiple=True, metavar="KEY|me", help="Who decides; may be repeated. Default: me.")
@click.option("--kind", multiple=True, metavar="KIND", help="adapter, checkpoint, delta. Default: all of them.")
@click.option("--opens", metavar="TIME", help="When commitments open: a duration from now or a time. Default: now.")
@click.option("--commit", metavar="TIME", help="How long commitments are open, or until when. Default: 24h.")
@click.option("--reveal", metavar="TIME", help="The same for reveals. Default: 6h.")
@click.option("--roster", metavar="TIME", help="For the stewards' agreement. Default: 1h.")
@click.option("--merge", metavar="TIME", help="For merging. Default: 24h.")
@click.option(
    "--allow", multiple=True, metavar="KEY|me", help="Who may contribute; may be repeated. Default: everybody."
)
@click.option("--domain", multiple=True, metavar="WORD", help="Domains that are accepted. Default: any.")
@click.option("--licence", multiple=True, metavar="SPDX", help="Licences that are accepted. Default: any.")
@click.option("--dry-run", is_flag=True, help="Show the round that would be signed, and sign nothing.")
@click.option("--sample", is_flag=True, help="Print a round file to begin with.")
def command(screen: Screen, file: Path | None, dry_run: bool, sample: bool, **options: Any) -> None:
    """Read, check, show or open."""
    if sample:
        _sample(screen)
        return
    draft = _draft(file, options)
    if dry_run:
        signing.show(screen, draft)
        return
    signing.check(screen, draft)
    opened = _open(screen, draft)
    name = opened.round.hex()
    screen.document({"round": name})
    screen.say(f"round {name}\n  {draft.title}")
    screen.advise(
        f"\nTell it to those who should take part: umm round join {name}\nTo see it happen: umm round watch {name[:12]}"
    )


def _sample(screen: Screen) -> None:
    from node.drafts.sample import SAMPLE

    screen.document({"sample": SAMPLE})
    screen.say(SAMPLE.rstrip("\n"))


def _draft(file: Path | None, options: dict[str, Any]) -> Draft:
    from node.drafts import document
    from node.drafts.draft import draft_of

    values = {} if file is None else document.read(file)
    where = "the command line" if file is None else file.name
    beside = Path.cwd() if file is None else file.absolute().parent
    me = here.key(here.home()).public.point
    now = time.time()  # noqa: TID251 - durations in a round file begin now
    return draft_of(merged(values, options), where, beside, me, now)


def merged(values: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    """What the file says, and over it what the options say. Paths among these are of the current folder."""
    found = dict(values)
    for name in TOP:
        if options[name] is not None:
            is_path = name in ("base", "recipe")
            found[name] = str(Path(options[name]).expanduser().absolute()) if is_path else options[name]
    found |= {name: list(options[option]) for option, name in MANY.items() if options[option]}
    phases = {name: options[name] for name in PHASES if options[name] is not None}
    terms = {name: list(options[option]) for option, name in ADMISSION.items() if options[option]}
    for table, given in (("schedule", phases), ("admission", terms)):
        inner = found.get(table, {})
        if given and isinstance(inner, dict):  # if it is none, reading it says so
            found[table] = inner | given
    return found


def _open(screen: Screen, draft: Draft) -> Opened:
    async def order(client: Client) -> Opened:
        with bar(screen, "opening the round") as seen:
            return await conclusion(client.open_round(draft), listening(seen))

    return ask(order)
