"""``umm sign``: a model folder with this node's name under it, in the format that everybody's tools check."""

from pathlib import Path

import click

from node.cli import here
from node.cli.progress import bar
from node.cli.screen import Screen
from node.cli.values import plural, spelled
from node.cli.verb import verb


@verb(
    "sign",
    help="Sign every file of a model folder with this node's key. The signature is DIR/model.sig in the format of the "
    "OpenSSF, which the stock model_signing tool checks. A signature that is there already is replaced.",
)
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
def command(screen: Screen, folder: Path) -> None:
    """Hash, sign, write, and say how to verify."""
    from protocol.modelsigning import UNSIGNED, sign_folder, write_bundle
    from protocol.modelsigning.folder import list_files

    key = here.key(here.home())
    listing = list_files(folder, UNSIGNED)
    with bar(screen, "hashing", listing.total) as seen:
        signed = sign_folder(folder, key, progress=seen.advance)
    file = write_bundle(folder, signed)
    name = key.public.name
    verify = f"model_signing verify key {folder} --signature {file} --public_key {name}.pem"
    screen.document(
        here.documented(key.public)
        | {"signature": str(file), "files": len(listing.files), "bytes": listing.total, "verify": verify}
    )
    screen.say(f"{file}: {plural(len(listing.files), 'file')}, {spelled(listing.total)}, signed by {name}")
    screen.advise(
        "\nAnybody can check it with the stock tool (pip install model-signing) and your public key:\n"
        f"  umm key show --pem > {name}.pem\n  {verify}"
    )
