"""``umm inspect``: what each expert changed, and what that says about merging them."""

import os
from pathlib import Path

import click

from node.cli import values
from node.cli.progress import bar
from node.cli.screen import Screen
from node.cli.verb import verb
from umm.processors import usable


@verb(
    "inspect",
    help="Measure what each expert changed of the base, by layer and kind of tensor, and how the experts stand to one "
    "another; warn where a merge is likely to collapse.",
)
@click.argument("base", type=click.Path(path_type=Path), help="Folder of the model all experts come from.")
@click.argument(
    "experts", type=click.Path(path_type=Path), nargs=-1, required=True, metavar="EXPERT...", help="Their folders."
)
@click.option("--png", type=click.Path(path_type=Path), metavar="FILE", help="Draw heat maps (needs matplotlib).")
@click.option("--html", type=click.Path(path_type=Path), metavar="FILE", help="Write one self-contained page.")
@click.option("--threads", type=values.COUNT, default=usable(), help="Default: all.")
@click.option("--memory", type=values.SIZE, default=512 << 20, help="Default: 512M.")
def command(
    screen: Screen,
    base: Path,
    experts: tuple[Path, ...],
    png: Path | None,
    html: Path | None,
    threads: int,
    memory: int,
) -> None:
    """Look, print, and write what was asked for."""
    # numpy reads this once, when it is imported. Our own threads are busy already: more of them inside every
    # small product only wait for one another, which doubled the CPU time.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from umm.inspection.caution import cautions
    from umm.inspection.scan import scan

    with bar(screen, "looking") as seen:
        report = scan(base, experts, threads=threads, memory=memory, progress=seen.at)
    found = cautions(report)
    if screen.json:
        from umm.inspection.document import document

        screen.document(document(report, found))
    else:
        from umm.inspection.table import text

        screen.say(text(report, found))
    if html:
        from umm.inspection.page import page

        _write(html, page(report, found))
    if png:
        from umm.inspection.figure import draw

        draw(report, png)


def _write(file: Path, text: str) -> None:
    from umm.errors import EnvironmentFault

    try:
        file.write_text(text, encoding="utf-8")
    except OSError as fault:
        raise EnvironmentFault(f"cannot write {file}: {fault.strerror}; choose another file") from fault
