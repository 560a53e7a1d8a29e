"""``umm config``: the settings, and where each comes from."""

import click

from node.cli import here
from node.cli.screen import Screen
from node.cli.verb import Family, verb
from node.config_text import toml

command = Family(
    "config", help="Show the settings. A flag wins over a variable, that over the file, that over the default."
)


@verb("show", family=command, help="Show every setting that is in force.")
@click.option("--origin", is_flag=True, help="Also where each comes from: a flag, a variable, the file, the default.")
def show(screen: Screen, origin: bool) -> None:
    """Print all settings."""
    found = here.settings(here.home()).items()
    screen.document({name: {"value": value, "origin": source} for name, value, source in found})
    headers = ["setting", "value", "origin"]
    rows = [[name, toml(value), source] for name, value, source in found]
    kept = 3 if origin else 2
    screen.table(headers[:kept], [row[:kept] for row in rows])


@verb("path", family=command, help="Show where the settings and the node's data lie.")
def path(screen: Screen) -> None:
    """Print the file of the settings; its existence is not needed."""
    place = here.home()
    screen.document({"config": str(place.config), "folder": str(place.folder), "exists": place.config.exists()})
    screen.say(str(place.config))
