"""``umm round show``: all about one round."""

import time

import click

from node.cli.asking import ask, round_id
from node.cli.plain import plain
from node.cli.rounds import rows
from node.cli.screen import Screen
from node.cli.values import plural
from node.cli.verb import verb
from node.control.client import Client
from node.control.orders import ShowRoundOrder
from node.control.views import BaseView, RoundDetail


@verb(
    "show", help="Show all about a round: what it is for, its schedule, who decides, what was offered, what came of it."
)
@click.argument("round", metavar="ROUND")
@click.option("--skip", type=click.IntRange(0), default=0, help="Leave out so many contributions at the beginning.")
@click.option("--recipe", is_flag=True, help="Only the recipe, as it was signed.")
def command(screen: Screen, round: str, skip: int, recipe: bool) -> None:  # noqa: A002 - its name on the command line
    """Print it."""

    async def look(client: Client) -> RoundDetail:
        return await client.show_round(ShowRoundOrder(round=await round_id(client, round), skip=skip))

    detail = ask(look)
    screen.document(plain(detail))
    if recipe:
        screen.say(detail.recipe.rstrip("\n"))
    elif not screen.json:
        _show(screen, detail, skip, time.time())  # noqa: TID251 - spans are shown from now


def _show(screen: Screen, detail: RoundDetail, skip: int, now: float) -> None:
    summary = detail.summary
    screen.say(f"{summary.title}\n{rows.headline(detail, now)}\n")
    screen.facts(facts(detail))
    screen.say("\nSchedule")
    screen.table(rows.PHASE_HEADERS, rows.phase_rows(detail, now))
    screen.say(f"\nStewards ({summary.quorum} of {summary.stewards} decide)")
    screen.table(rows.STEWARD_HEADERS, rows.steward_rows(detail.stewards, now))
    screen.say(f"\nContributions ({detail.total_entries}; {plural(detail.commitments, 'commitment')})")
    if detail.entries:
        screen.table(rows.ENTRY_HEADERS, rows.entry_rows(detail.entries))
    left = detail.total_entries - skip - len(detail.entries)
    if left > 0:
        screen.say(f"{left} more: umm round show {summary.id.hex()[:12]} --skip {skip + len(detail.entries)}")
    for outcome in detail.outcomes:
        name = f"Revision {outcome.revision}" if outcome.revision else "Result"
        screen.say(
            f"\n{name} {outcome.id.hex()}\n  root blake3:{outcome.root.hex()}\n"
            f"  {plural(outcome.contributions, 'contribution')}, attested by "
            f"{', '.join(who.name for who in outcome.endorsed_by)}"
        )


def facts(detail: RoundDetail) -> list[tuple[str, str]]:
    """What a round is, line by line."""
    summary = detail.summary
    return [
        ("id", summary.id.hex()),
        ("convener", summary.convener.name),
        *([("about", detail.description)] if detail.description else []),
        ("base", _base(detail.base)),
        *rows.terms_facts(detail.kinds, detail.terms),
        ("you are", ", ".join(summary.roles) or "reader"),
    ]


def _base(base: BaseView) -> str:
    where = "here" if base.here else ", ".join(base.locations) or "with other nodes"
    return f"blake3:{base.root.hex()} ({where})"
