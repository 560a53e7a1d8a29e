"""What all verbs have in common: ``-h``, ``--json``, a screen to answer on, a neighbour for one that is mistyped."""

from collections.abc import Callable
from functools import partial
from typing import Any

import click

from node.cli.screen import Screen
from umm.recipe.wording import nearest

WIDTH = 100
"""Columns of a help text on a terminal that has them."""

SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": WIDTH}

JSON = "--json"

Run = Callable[..., int | None]


class Family(click.Group):
    """A command with verbs of its own."""

    def __init__(self, name: str, *, help: str) -> None:  # noqa: A002 - click's word
        super().__init__(name, help=help, context_settings=SETTINGS)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The verb that the line goes on with; one that does not exist has a neighbour."""
        known = self.list_commands(ctx)
        if args[0] not in known and not args[0].startswith("-") and not ctx.resilient_parsing:
            near = nearest(args[0], known)
            meant = f"did you mean {near}?" if near else f"there are: {', '.join(known)}"
            ctx.fail(f"no such command {args[0]!r}; {meant}")
        return super().resolve_command(ctx, args)


def verb(
    name: str,
    *,
    help: str,  # noqa: A002 - click's word
    epilog: str | None = None,
    family: Family | None = None,
) -> Callable[[Run], click.Command]:
    """Make a function a verb. Its first argument is the screen; it returns an exit code, or None for 0."""

    def made(function: Run) -> click.Command:
        given = getattr(function, "__click_params__", [])[::-1]
        as_json = click.Option([JSON], is_flag=True, help="Print as JSON, errors too.")
        command = click.Command(
            name,
            callback=partial(_answer, function),
            params=[*given, as_json],
            help=help,
            epilog=epilog,
            context_settings=SETTINGS,
        )
        if family is not None:
            family.add_command(command)
        return command

    return made


def _answer(function: Run, *, json: bool, **chosen: Any) -> int:
    return function(Screen(json=json), **chosen) or 0
