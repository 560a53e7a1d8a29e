"""``umm key``: who this node is, the backup of its key, and the way back from one."""

import os
from pathlib import Path

import click

from node.cli import here, passphrase
from node.cli.screen import Screen
from node.cli.verb import Family, verb
from node.errors import MachineFault, UserError
from node.home import VARIABLE

MODE = 0o600

command = Family("key", help="Show, back up or restore the key of this node.")


@verb("show", family=command, help="Show the node's name, its peer id and its public key, by which rounds name it.")
@click.option("--pem", is_flag=True, help="Only the public key in PEM, for model_signing verify key --public_key.")
def show(screen: Screen, pem: bool) -> None:
    """Print the public half."""
    from protocol.modelsigning import public_pem

    place = here.home()
    public = here.key(place).public
    text = public_pem(public).decode()
    screen.document(here.documented(public) | {"pem": text, "key_file": str(place.key)})
    if pem:
        screen.say(text.rstrip("\n"))
    else:
        screen.facts([*here.described(public), ("key file", str(place.key))])


@verb(
    "export",
    family=command,
    help="Write a backup of the key into FILE, sealed with a passphrase. Whoever has both is this node, so keep them "
    "apart. OpenSSL reads it too.",
)
@click.argument("file", type=click.Path(path_type=Path))
@passphrase.OPTION
def export(screen: Screen, file: Path, passphrase_file: Path | None) -> None:
    """Seal the key and write it."""
    from protocol.identity import keyfile

    key = here.key(here.home())
    if os.path.lexists(file):
        raise UserError(f"{file} exists already and is not overwritten; name another file")
    sealed = keyfile.export_key(key, passphrase.ask(passphrase_file, twice=True))
    _write_new(file, sealed)
    screen.document({"name": key.public.name, "file": str(file)})
    screen.say(f"{file}: the key of {key.public.name}, sealed. To restore it: umm key import {file}")


@verb(
    "import",
    family=command,
    help="Restore a node's key from the backup in FILE. A key that is here already is never replaced.",
)
@click.argument("file", type=click.Path(path_type=Path))
@passphrase.OPTION
def import_(screen: Screen, file: Path, passphrase_file: Path | None) -> None:
    """Open the backup and begin with its key."""
    from node.cli.init import begin
    from protocol.identity import keyfile

    place = here.home()
    if os.path.lexists(place.key):
        raise UserError(
            f"there is a key in {place.key} already, and it is never replaced; "
            f"move it away, or set {VARIABLE} to another folder"
        )
    data = _read(file, keyfile.MAX_KEY_FILE_BYTES)
    key = keyfile.import_key(data, passphrase.ask(passphrase_file, twice=False))
    begin(place, key)
    screen.document(here.documented(key.public) | {"key_file": str(place.key)})
    screen.say(f"This node is {key.public.name} again.")


def _read(file: Path, most: int) -> bytes:
    try:
        with file.open("rb") as opened:
            return opened.read(most + 1)
    except OSError as error:
        raise MachineFault(f"the backup {file} cannot be read: {error.strerror}") from None


def _write_new(file: Path, data: bytes) -> None:
    try:
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, MODE)
        with os.fdopen(handle, "wb") as opened:
            opened.write(data)
            opened.flush()
            os.fsync(handle)
    except OSError as error:
        raise MachineFault(f"the backup cannot be written to {file}: {error.strerror}") from None
