"""``umm init``: a folder, a key, a file of settings. Nothing that is there is touched."""

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from node.cli import here
from node.cli.screen import Screen
from node.cli.verb import verb
from node.errors import MachineFault, UserError
from node.home import VARIABLE, Home

if TYPE_CHECKING:
    from protocol.identity import Key

OWN = 0o700

NEXT = """
Next:
  umm key export FILE   a backup of the key, sealed with a passphrase
  umm doctor            what is wrong or missing on this machine
  umm node              run the node; then: umm round list"""


@verb(
    "init",
    help="Create a node: its folder, which only you may enter, its key, and a file of settings in which everything "
    "stands with its default. Nothing that exists is overwritten.",
)
@click.option(
    "--bootstrap",
    multiple=True,
    metavar="ADDRESS",
    help="An address through which the node joins others, such as /ip4/192.0.2.7/tcp/7400/p2p/Qm…; may be repeated.",
)
def command(screen: Screen, bootstrap: tuple[str, ...]) -> None:
    """Make the node and say who it is."""
    from protocol.identity import Key

    place = here.home()
    _refuse_another(place)
    made = Key.generate()
    wrote_config = begin(place, made, bootstrap)
    _show(screen, place, made, wrote_config)


def begin(place: Home, key: "Key", bootstrap: tuple[str, ...] = ()) -> bool:
    """Put a key into a new home, the key last: it is what makes it one. Whether the settings were written."""
    from protocol.identity import keyfile

    _check_addresses(key, bootstrap)
    _make_folder(place.folder)
    wrote_config = _write_config(place.config, bootstrap)
    keyfile.save(place.key, key)
    return wrote_config


def _refuse_another(place: Home) -> None:
    from protocol.errors import ProtocolError
    from protocol.identity import keyfile

    if not os.path.lexists(place.key):
        return
    name = "a node"
    with suppress(ProtocolError):
        name = f"the node {keyfile.load(place.key).public.name}"
    raise UserError(
        f"{place.folder} is already {name}; nothing was changed. For another one set {VARIABLE} to another folder"
    )


def _check_addresses(key: "Key", bootstrap: tuple[str, ...]) -> None:
    from protocol.swarm.config import Config

    Config(key, lambda: 0.0, bootstrap=bootstrap)


def _make_folder(folder: Path) -> None:
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(OWN, exist_ok=True)
    except OSError as error:
        raise MachineFault(
            f"the folder {folder} cannot be made: {error.strerror}; set {VARIABLE} to one that you may write to"
        ) from None


def _write_config(file: Path, bootstrap: tuple[str, ...]) -> bool:
    from node.config_text import text

    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("x", encoding="utf-8") as made:
            made.write(text(bootstrap))
    except FileExistsError:
        if bootstrap:
            raise UserError(
                f"{file} exists and is not overwritten; write the addresses into it, as bootstrap below [network]"
            ) from None
        return False
    except OSError as error:
        raise MachineFault(f"the settings cannot be written to {file}: {error.strerror}") from None
    return True


def _show(screen: Screen, place: Home, key: "Key", wrote_config: bool) -> None:
    from protocol.identity.keyfile import BACKUP_REMINDER

    public = key.public
    screen.document(
        here.documented(public)
        | {"folder": str(place.folder), "key_file": str(place.key), "config": str(place.config)}
        | {"config_written": wrote_config, "reminder": BACKUP_REMINDER}
    )
    screen.say(f"This node is {public.name}.\n")
    kept = "" if wrote_config else " (was there before, left as it is)"
    screen.facts([
        ("peer id", public.peer_id),
        ("key", public.point.hex()),
        ("key file", str(place.key)),
        ("settings", f"{place.config}{kept}"),
    ])  # fmt: skip
    screen.say(f"\n{BACKUP_REMINDER}")
    screen.advise(NEXT)
