"""``umm merge``: from a recipe and model folders to a merged model folder."""

import io
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from node.cli import values
from node.cli.progress import bar
from node.cli.screen import Screen
from node.cli.verb import verb
from umm.processors import usable

if TYPE_CHECKING:
    from umm.budget import Share
    from umm.kernels.tile import Backend
    from umm.merge import Report
    from umm.plan import Plan
    from umm.recipe.model import Recipe

KEPT = "what is finished is kept, the same command goes on from there"


@dataclass(frozen=True, kw_only=True)
class Order:
    """What the command line asks for."""

    recipe: Path
    out: Path | None
    dry_run: bool
    force: bool
    quiet: bool
    threads: int
    memory: int | None
    shard_size: int
    backend: str

    @property
    def target(self) -> Path:
        """The folder to make."""
        if self.out is None:
            raise click.UsageError(
                "OUT is missing: the folder to make (or add --dry-run)", click.get_current_context(silent=True)
            )
        return self.out


@verb(
    "merge",
    help="Merge model folders as a YAML recipe says (mergekit's language) into a folder that transformers loads. "
    "Everything is checked before anything is written. The same inputs give the same bytes on every machine. A merge "
    "that was interrupted goes on where it was when the same command is run again.",
    epilog="A file with several documents merges them one after the other. Results that later documents use lie in "
    "OUT.stages until the last one is done; if it fails they stay there, and a rerun does not make them again.\n\n"
    "SIZE is a number of bytes, as in 512M, 2G (powers of 1024) or 2GB (powers of 1000).",
)
@click.argument("recipe", type=click.Path(path_type=Path), help="YAML file; - reads standard input.")
@click.argument("out", type=click.Path(path_type=Path), required=False, help="Folder to make (not with --dry-run).")
@click.option("--dry-run", is_flag=True, help="Check everything, show the plan, write nothing.")
@click.option("--force", is_flag=True, help="Replace a model that is in OUT already.")
@click.option("--quiet", is_flag=True, help="No progress bar, no report.")
@click.option("--threads", type=values.COUNT, default=usable(), help=f"Default: all ({usable()}).")
@click.option(
    "--memory",
    type=values.SIZE,
    help="Use at most this much memory; the vocabularies of the models come on top. Default: no limit.",
)
@click.option("--shard-size", type=values.SIZE, default=5 * 10**9, help="Largest weight file. Default: 5GB.")
@click.option(
    "--backend",
    type=click.Choice(("auto", "numba", "torch")),
    default="auto",
    help="Which loops to use; all give the same bits. auto is numba where it works.",
)
def command(screen: Screen, **chosen: Any) -> None:
    """Plan every document of the recipe, then merge one after the other."""
    from umm.recipe.document import load

    order = Order(**chosen)
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # tensors run side by side; more threads would only wait
    if not order.dry_run:
        _ = order.target
    text = _text(order.recipe)
    recipes = load(text, "recipe" if str(order.recipe) == "-" else order.recipe.name)
    beside = Path.cwd() if str(order.recipe) == "-" else order.recipe.resolve().parent
    job = _Job(screen, order, text, recipes, beside)
    if order.dry_run or len(recipes) > 1:
        job.rehearse()
    if not order.dry_run:
        job.merge()


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

    def __init__(self, screen: Screen, order: Order, text: str, recipes: "tuple[Recipe, ...]", beside: Path) -> None:
        self._screen, self._order, self._text, self._recipes, self._beside = screen, order, text, recipes, beside
        self._warned: set[str] = set()

    def rehearse(self) -> None:
        """Plan every document, with stand-ins for the results of earlier ones; show the plans of a dry run."""
        from tempfile import TemporaryDirectory

        from node.cli.merge_report import plan_document, plan_text
        from umm.checkpoint.output import refuse_others
        from umm.stages import stand_in

        if self._order.out is not None and not self._order.force:
            refuse_others(self._order.out)
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
        if self._order.dry_run:
            self._conclude(documents, "\n\n".join([*texts, "Nothing was written."]))

    def merge(self) -> None:
        """Merge every document; stages are removed after the last one."""
        from node.cli.merge_report import report_document, report_text
        from umm.stages import Stages

        *earlier, last = self._recipes
        target = self._order.target
        stages, made = Stages(target, [r.name for r in earlier if r.name]), dict[str, Path]()
        documents = []
        if earlier:
            stages.prepare()
        for recipe in self._recipes:
            name = None if recipe is last else recipe.name
            with self._planned(recipe, made) as (plan, backend, share):
                if name and stages.has(name, plan):
                    self._say(f"{name}: done before")
                else:
                    out = stages.folder(name) if name else target
                    started = time.monotonic()
                    report = self._run(plan, backend, share, out, force=bool(name) or self._order.force)
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
            backend = choose_backend(self._order.backend)
            share = fit(plan, backend.name, self._order.threads, self._order.memory)
            for warning in plan.warnings:
                if warning not in self._warned:
                    self._screen.warn(warning)
                    self._warned.add(warning)
            yield plan, backend, share
        finally:
            models.close()

    def _run(self, plan: "Plan", backend: "Backend", share: "Share", out: Path, *, force: bool) -> "Report":
        from node.cli.compilation import compilation_noted
        from umm.merge import merge

        title = plan.recipe.name or plan.method.name
        with (
            bar(self._screen, title, plan.written_bytes, quiet=self._order.quiet) as seen,
            compilation_noted(seen.note),
        ):
            try:
                return merge(
                    plan,
                    out,
                    self._text,
                    backend=backend,
                    threads=share.threads,
                    tile_size=share.tile_size,
                    shard_bytes=self._order.shard_size,
                    force=force,
                    progress=seen.advance,
                )
            except KeyboardInterrupt:
                raise KeyboardInterrupt(KEPT) from None

    def _say(self, text: str) -> None:
        if not self._order.quiet:
            self._screen.say(text)

    def _conclude(self, documents: list[dict[str, object]], text: str) -> None:
        """The final document as JSON, with the earlier ones under ``stages``; or the text."""
        *earlier, last = documents
        self._screen.document({**last, "stages": earlier})
        if text:
            self._screen.say(text)
