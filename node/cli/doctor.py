"""``umm doctor``: what is wrong or missing, and how to fix it."""

import os
from typing import TYPE_CHECKING

from node.cli import here
from node.cli.asking import ask
from node.cli.screen import Screen
from node.cli.times import lasting
from node.cli.values import plural
from node.cli.verb import verb
from node.control.client import Client
from node.control.orders import Role, ShowRoundOrder
from node.errors import NodeError, UnreachableError
from node.exits import Exit

if TYPE_CHECKING:
    from node.doctor.examination import Running

STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red"}


@verb(
    "doctor",
    help="Look at everything that a node needs on this machine and from others, and print the fix for what is not "
    "well. Exit code 0 if nothing failed, else 1.",
)
def command(screen: Screen) -> int:
    """One check after the other."""
    from node.doctor.examination import examine
    from node.doctor.finding import Finding, State

    place = here.home()
    found: list[Finding] = []
    for finding in examine(place, os.environ, _running()):
        found.append(finding)
        screen.marked(finding.state, STYLES[finding.state], f"{finding.name:12} {finding.found}")
        if finding.fix:
            screen.say(f"{'':6}{'':12} fix: {finding.fix}")
    failed = [finding for finding in found if finding.state is State.FAIL]
    warned = [finding for finding in found if finding.state is State.WARN]
    screen.document({
        "ok": not failed,
        "checks": [{"name": f.name, "state": f.state, "found": f.found, "fix": f.fix or None} for f in found],
    })  # fmt: skip
    if failed:
        screen.say(f"\n{plural(len(failed), 'thing')} to fix before this node works.")
    else:
        screen.say(
            "\nNothing is wrong." if not warned else f"\nIt works; {plural(len(warned), 'thing')} could be better."
        )
    return Exit.ERROR if failed else Exit.OK


def _running() -> "Running | None":
    """What the node of this folder answers; None where it does not run."""
    from node.doctor.examination import Need, Running

    async def look(client: Client) -> Running:
        status = await client.status()
        text = f"has been running for {lasting(status.uptime_seconds)}, version {status.version}"
        stewarded = [one.id for one in status.rounds if Role.STEWARD in one.roles and one.root is None]
        details = [await client.show_round(ShowRoundOrder(round=one)) for one in stewarded]
        return Running(text, tuple(Need(one.summary.title, one.terms.bytes_total) for one in details))

    try:
        return ask(look)
    except UnreachableError:
        return None
    except NodeError as error:  # no node was made, or it is in trouble
        return None if not os.path.lexists(here.home().socket) else Running(f"runs, and answers: {error}")
