"""``umm completion``: what makes a shell complete commands and options."""

import click
from click.shell_completion import BashComplete, FishComplete, ShellComplete, ZshComplete

from node.cli.screen import Screen
from node.cli.verb import verb

SHELLS: dict[str, type[ShellComplete]] = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}


@verb(
    "completion",
    help="Print what makes SHELL complete umm's commands and options.",
    epilog="""\b
bash: echo 'eval "$(umm completion bash)"' >> ~/.bashrc
zsh:  echo 'eval "$(umm completion zsh)"' >> ~/.zshrc
fish: umm completion fish > ~/.config/fish/completions/umm.fish""",
)
@click.argument("shell", metavar="SHELL", type=click.Choice(tuple(SHELLS)))
def command(screen: Screen, shell: str) -> None:
    """Print the script."""
    from node.cli import COMPLETE, umm

    script = SHELLS[shell](umm, {}, "umm", COMPLETE).source()
    screen.document({"shell": shell, "script": script})
    screen.say(script)
