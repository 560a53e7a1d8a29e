"""``umm inspect``: what each expert changed, and what that says about merging them."""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from node.cli import values
from umm.processors import usable

if TYPE_CHECKING:
    from umm.inspection.scan import Progress


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verb to the command line."""
    parser = subparsers.add_parser(
        "inspect",
        help="look at experts before merging them",
        description="Measure what each expert changed of the base, by layer and kind of tensor, and how the "
        "experts stand to one another; warn where a merge is likely to collapse.",
    )
    parser.add_argument("base", type=Path, metavar="BASE", help="folder of the model all experts come from")
    parser.add_argument("experts", type=Path, nargs="+", metavar="EXPERT", help="folders of the experts")
    parser.add_argument("--json", action="store_true", help="print everything as JSON instead of tables")
    parser.add_argument("--png", type=Path, metavar="FILE", help="draw heat maps (needs matplotlib)")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write one self-contained page")
    parser.add_argument("--threads", type=values.count, default=usable(), metavar="N", help="default: all")
    parser.add_argument("--memory", type=values.size, default=512 << 20, metavar="SIZE", help="default: 512M")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Look, print, and write what was asked for."""
    # numpy reads this once, when it is imported. Our own threads are busy already: more of them inside every
    # small product only wait for one another, which doubled the CPU time.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from umm.inspection.caution import cautions
    from umm.inspection.scan import scan

    with _Bar() as bar:
        report = scan(args.base, args.experts, threads=args.threads, memory=args.memory, progress=bar.progress)
    found = cautions(report)
    if args.json:
        from umm.inspection.document import document

        print(json.dumps(document(report, found), indent=1, allow_nan=False))
    else:
        from umm.inspection.table import text

        print(text(report, found))
    if args.html:
        from umm.inspection.page import page

        _write(args.html, page(report, found))
    if args.png:
        from umm.inspection.figure import draw

        draw(report, args.png)
    return 0


class _Bar:
    """A progress bar on standard error, if that is a terminal."""

    def __enter__(self) -> "_Bar":
        from tqdm import tqdm

        self._bar = tqdm(desc="looking", unit="B", unit_scale=True, file=sys.stderr, disable=None, leave=False)
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    @property
    def progress(self) -> "Progress":
        def advance(done: int, size: int) -> None:
            self._bar.total = size
            self._bar.update(done - self._bar.n)

        return advance


def _write(file: Path, text: str) -> None:
    from umm.errors import EnvironmentFault

    try:
        file.write_text(text, encoding="utf-8")
    except OSError as fault:
        raise EnvironmentFault(f"cannot write {file}: {fault.strerror}; choose another file") from fault
