"""All verbs: what they are called, what they are for, and the module that is imported when one of them is run.

Help and completion read this table and import nothing. The module of ``can-join`` is ``can_join``; it has a
``command``.
"""

from collections.abc import Iterator, Mapping
from importlib import import_module

import click
from click.shell_completion import CompletionItem

from node.cli.verb import Family

Sections = Mapping[str, Mapping[str, str]]

VERBS: Sections = {
    "Models": {
        "merge": "Merge models as a recipe says.",
        "inspect": "Look at experts before merging them.",
        "methods": "List merge methods, or explain one.",
        "sign": "Sign a model folder with this node's key.",
        "verify": "Check a model: integrity, authority, and by making it again.",
    },
    "Rounds": {
        "round": "Open rounds, look at them, take part, revise.",
        "contribute": "Offer a model, a delta or an adapter to a round.",
        "pull": "Fetch the merged model of a round.",
    },
    "This node": {
        "init": "Create a node: its folder, its key, its settings.",
        "doctor": "Find what is wrong or missing, and how to fix it.",
        "node": "Run the node.",
        "status": "What the node is doing, and what became of your contributions.",
        "peers": "The nodes that it knows.",
        "pause": "Stop uploading, checking and merging for a while.",
        "resume": "Go on after a pause.",
        "log": "What the node has to say.",
        "stop": "Stop the node.",
        "key": "Show, back up or restore the node's key.",
        "config": "Show the settings and where each comes from.",
        "completion": "Print what makes a shell complete these commands.",
    },
}


class Verbs(Family):
    """A command whose verbs are imported when they are needed."""

    def __init__(self, name: str, package: str, sections: Sections, *, help: str) -> None:  # noqa: A002 - click's word
        super().__init__(name, help=help)
        self._package, self._sections = package, sections
        self._help = {verb: what for section in sections.values() for verb, what in section.items()}

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's interface
        """All verbs."""
        return list(self._help)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's interface
        """Import one."""
        if cmd_name not in self._help:
            return None
        found: click.Command = import_module(f"{self._package}.{cmd_name.replace('-', '_')}").command
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """The table of verbs, by section."""
        for title, verbs in self._sections.items():
            with formatter.section(title):
                formatter.write_dl(list(verbs.items()), col_max=12)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Verbs that begin so, and options."""
        return [*self._completed(incomplete), *super(click.Group, self).shell_complete(ctx, incomplete)]

    def _completed(self, incomplete: str) -> Iterator[CompletionItem]:
        return (CompletionItem(verb, help=what) for verb, what in self._help.items() if verb.startswith(incomplete))
