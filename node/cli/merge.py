"""``umm merge``: from a recipe and model folders to a merged model folder."""

import argparse
import io
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from node.cli import values
from umm.processors import usable

if TYPE_CHECKING:
    from umm.budget import Share
    from umm.kernels.tile import Backend
    from umm.merge import Report
    from umm.plan import Plan
    from umm.recipe.model import Recipe

KEPT = "what is finished is kept, the same command goes on from there"


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verb to the command line."""
    parser = subparsers.add_parser(
        "merge",
        help="merge models as a recipe says",
        description="Merge model folders as a YAML recipe says (mergekit's language) into a folder that "
        "transformers loads. Everything is checked before anything is written. The same inputs give the same bytes "
        "on every machine. A merge that was interrupted goes on where it was when the same command is run again.",
        epilog="A file with several documents merges them one after the other. Results that later documents use lie "
        "in OUT.stages until the last one is done; if it fails they stay there, and a rerun does not make them again. "
        "SIZE is a number of bytes, as in 512M, 2G (powers of 1024) or 2GB (powers of 1000).",
    )
    parser.add_argument("recipe", type=Path, metavar="RECIPE", help="YAML file; - reads standard input")
    parser.add_argument("out", type=Path, nargs="?", metavar="OUT", help="folder to make (not needed with --dry-run)")
    parser.add_argument("--dry-run", action="store_true", help="check everything, show the plan, write nothing")
    parser.add_argument("--json", action="store_true", help="print the plan or the report as JSON")
    parser.add_argument("--force", action="store_true", help="replace a model that is in OUT already")
    parser.add_argument("--quiet", action="store_true", help="no progress bar, no report")
    parser.add_argument(
        "--threads", type=values.count, default=usable(), metavar="N", help="default: all (%(default)s)"
    )
    parser.add_argument(
        "--memory",
        type=values.size,
        metavar="SIZE",
        help="use at most this much memory; the vocabularies of the models come on top; default: no limit",
    )
    parser.add_argument(
        "--shard-size",
        type=values.size,
        default=5 * 10**9,
        metavar="SIZE",
        help="largest weight file; default: 5GB",
    )
    parser.add_argument(
        "--backend",
        choices=("auto", "numba", "torch"),
        default="auto",
        help="which loops to use; all give the same bits; auto is numba where it works",
    )
    parser.set_defaults(run=run, misused=parser.error)


def run(args: argparse.Namespace) -> int:
    """Plan every document of the recipe, then merge one after the other."""
    from umm.recipe.document import load

    os.environ.setdefault("OMP_NUM_THREADS", "1")  # tensors run side by side; more threads would only wait
    if args.out is None and not args.dry_run:
        args.misused("OUT is missing: the folder to make (or add --dry-run)")
    text = _text(args.recipe)
    recipes = load(text, "recipe" if str(args.recipe) == "-" else args.recipe.name)
    beside = Path.cwd() if str(args.recipe) == "-" else args.recipe.resolve().parent
    job = _Job(args, text, recipes, beside)
    if args.dry_run or len(recipes) > 1:
        job.rehearse()
    if not args.dry_run:
        job.merge()
    return 0


def _text(file: Path) -> str:
    from umm.errors import RecipeError

    try:
        raw = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
        return io.StringIO(raw.decode(), newline=None).read()
    except OSError as error:
        raise RecipeError(f"cannot read the recipe {file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise RecipeError(f"the recipe {file} is not UTF-8 text") from None


class _Job:
    """One run of the command: the documents of a recipe file, in order."""

    def __init__(self, args: argparse.Namespace, text: str, recipes: "tuple[Recipe, ...]", beside: Path) -> None:
        self._args, self._text, self._recipes, self._beside = args, text, recipes, beside
        self._warned: set[str] = set()

    def rehearse(self) -> None:
        """Plan every document, with stand-ins for the results of earlier ones; show the plans of a dry run."""
        from tempfile import TemporaryDirectory

        from node.cli.merge_report import plan_document, plan_text
        from umm.checkpoint.output import refuse_others
        from umm.stages import stand_in

        if self._args.out is not None and not self._args.force:
            refuse_others(self._args.out)
        documents, texts = [], []
        with TemporaryDirectory(prefix="umm-") as scratch:
            made: dict[str, Path] = {}
            for recipe in self._recipes:
                with self._planned(recipe, made) as (plan, backend, share):
                    documents.append(plan_document(plan, share))
                    texts.append(plan_text(plan, share, backend.name, recipe.name))
                    if recipe is not self._recipes[-1] and recipe.name:
                        made[recipe.name] = Path(scratch) / recipe.name
                        stand_in(plan, made[recipe.name])
        if self._args.dry_run:
            self._conclude(documents, "\n\n".join([*texts, "Nothing was written."]))

    def merge(self) -> None:
        """Merge every document; stages are removed after the last one."""
        from node.cli.merge_report import report_document, report_text
        from umm.stages import Stages

        *earlier, last = self._recipes
        stages, made = Stages(self._args.out, [r.name for r in earlier if r.name]), dict[str, Path]()
        documents = []
        if earlier:
            stages.prepare()
        for recipe in self._recipes:
            name = None if recipe is last else recipe.name
            with self._planned(recipe, made) as (plan, backend, share):
                if name and stages.has(name, plan):
                    self._say(f"{name}: done before")
                else:
                    out = stages.folder(name) if name else self._args.out
                    started = time.monotonic()
                    report = self._run(plan, backend, share, out, force=bool(name) or self._args.force)
                    seconds = time.monotonic() - started
                    documents.append(report_document(report, seconds))
                    self._say(report_text(report, plan, seconds, name))
                if name:
                    stages.keep(name, plan)
                    made[name] = stages.folder(name)
        if earlier:
            stages.remove()
        self._conclude(documents, "")

    @contextmanager
    def _planned(self, recipe: "Recipe", made: dict[str, Path]) -> "Iterator[tuple[Plan, Backend, Share]]":
        from umm.budget import fit
        from umm.merge import choose_backend
        from umm.model import Folders, Models
        from umm.plan import make_plan

        models = Models.of(recipe, Folders(self._beside, made))
        try:
            plan = make_plan(recipe, models)
            backend = choose_backend(self._args.backend)
            share = fit(plan, backend.name, self._args.threads, self._args.memory)
            for warning in plan.warnings:
                if warning not in self._warned:
                    print(f"umm: warning: {warning}", file=sys.stderr)
                    self._warned.add(warning)
            yield plan, backend, share
        finally:
            models.close()

    def _run(self, plan: "Plan", backend: "Backend", share: "Share", out: Path, *, force: bool) -> "Report":
        from node.cli.compilation import compilation_noted
        from umm.merge import merge

        with _Bar(self._args, plan) as bar, compilation_noted(bar.say):
            try:
                return merge(
                    plan,
                    out,
                    self._text,
                    backend=backend,
                    threads=share.threads,
                    tile_size=share.tile_size,
                    shard_bytes=self._args.shard_size,
                    force=force,
                    progress=bar.update,
                )
            except KeyboardInterrupt:
                raise KeyboardInterrupt(KEPT) from None

    def _say(self, text: str) -> None:
        if not self._args.json and not self._args.quiet:
            print(text, flush=True)

    def _conclude(self, documents: list[dict[str, object]], text: str) -> None:
        """The final document as JSON, with the earlier ones under ``stages``; or the text."""
        if self._args.json:
            *earlier, last = documents
            print(json.dumps({**last, "stages": earlier}, indent=1))
        elif text:
            print(text)


class _Bar:
    """A progress bar in bytes written, on standard error if that is a terminal."""

    def __init__(self, args: argparse.Namespace, plan: "Plan") -> None:
        from tqdm import tqdm

        self._bar = tqdm(
            total=plan.written_bytes,
            desc=plan.recipe.name or plan.method.name,
            unit="B",
            unit_scale=True,
            dynamic_ncols=True,
            disable=True if args.quiet or args.json else None,
            leave=False,
        )
        self._quiet = args.quiet

    def update(self, size: int) -> None:
        """Move on by so many bytes."""
        self._bar.update(size)

    def say(self, text: str) -> None:
        """Print a line on standard error, above the bar."""
        if not self._quiet:
            self._bar.write(f"umm: {text}", file=sys.stderr)

    def __enter__(self) -> "_Bar":
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()
