"""Running a plan: tensors dealt to threads, each read, computed and written tile by tile, then published at once."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import umm
from umm.card import model_card
from umm.checkpoint.disk import blaming_the_machine
from umm.checkpoint.dtype import Dtype
from umm.checkpoint.source import Bytes, Source
from umm.checkpoint.writer import Writer
from umm.errors import CheckpointError, EnvironmentFault, RecipeError
from umm.field import TILE, Field
from umm.kernels.tile import Backend, Room
from umm.methods import Method
from umm.plan import Plan, Step
from umm.processors import usable
from umm.public import Names, folders, public_names, public_recipe, public_text
from umm.recipe.canonical import digest

SHARD_BYTES = 5 * 10**9
AHEAD = 2  # tensors whose bytes the system is asked for before their turn

Progress = Callable[[int], None]


class Sink(Protocol):
    """Where one tensor's bytes go, in order."""

    def write(self, data: memoryview | bytes) -> None:
        """Take the next bytes."""
        ...

    def finish(self) -> bytes:
        """The leaf's digest, after the last byte."""
        ...


Sinks = Callable[[str], Sink]
"""Begins the tensor of that name."""


@dataclass(frozen=True)
class Report:
    """What a merge did."""

    folder: Path
    root: bytes
    tensors: int
    resumed: int
    parameters: int
    read_bytes: int
    written_bytes: int
    backend: str
    threads: int


def choose_backend(name: str = "auto") -> Backend:
    """The fused loops if numba works here, else torch; or the one that is named."""
    if name != "torch":
        try:
            from umm.kernels import compiled
        except (ImportError, RuntimeError) as missing:  # the latter: nowhere to keep compiled loops
            if name == "numba":
                raise EnvironmentFault(
                    f"the numba backend does not load here ({missing}); use --backend torch"
                ) from None
        else:
            return compiled
    from umm.kernels import portable

    return portable


def merge(
    plan: Plan,
    folder: Path,
    recipe_text: str,
    *,
    backend: Backend,
    threads: int | None = None,
    tile_size: int = TILE,
    shard_bytes: int = SHARD_BYTES,
    force: bool = False,
    progress: Progress = lambda _: None,
) -> Report:
    """Merge into ``folder``, resuming unfinished work of the same plan; publish when everything is on disk."""
    _refuse_inputs(plan, folder)
    names = public_names(recipe_text, plan.recipe)
    threads = threads or usable()
    tensors = [s.output for s in plan.steps]
    with Writer(folder, tensors, shard_bytes=shard_bytes, fingerprint=fingerprint(plan), force=force) as writer:
        todo = [s for s in plan.steps if s.name not in writer.done]
        progress(plan.written_bytes - sum(s.output.size for s in todo))
        todo.sort(key=lambda s: (-s.read_bytes, s.name))
        try:
            run(
                plan.method,
                todo,
                writer.begin,
                backend=backend,
                threads=threads,
                tile_size=tile_size,
                progress=progress,
            )
        except (RecipeError, CheckpointError):  # the same again would fail again
            writer.abandon()
            raise
        root = writer.root(plan.files)
        card = _card(plan, recipe_text, names, root)
        writer.commit({**plan.files, "README.md": card.encode()}, _about(plan, names))
    return Report(
        folder,
        root,
        len(plan.steps),
        len(plan.steps) - len(todo),
        plan.parameters,
        plan.read_bytes,
        plan.written_bytes,
        backend.name,
        threads,
    )


def fingerprint(plan: Plan) -> str:
    """What unfinished work must have in common with this plan to be continued: recipe, inputs and program."""
    identities = [line for m in plan.models for line in m.identity()]
    return "\n".join([umm.__version__, digest(plan.recipe), *identities])


def _refuse_inputs(plan: Plan, folder: Path) -> None:
    """Refuse to write into a folder that is read from."""
    with blaming_the_machine("create", folder):
        if not folder.exists():
            return
        for model in plan.models:
            if folder.samefile(model.checkpoint.folder):
                raise EnvironmentFault(f"{folder} is one of the models to merge; choose another folder")
            if model.adapter_folder and folder.samefile(model.adapter_folder):
                raise EnvironmentFault(f"{folder} is one of the adapters to merge; choose another folder")


def _card(plan: Plan, recipe_text: str, names: Names, root: bytes) -> str:
    base = plan.recipe.base.path if plan.recipe.base else None
    paths = dict.fromkeys(path for m in plan.recipe.models() for path in folders(m))
    others = [names[path] for path in paths if path != base]
    shown = public_text(recipe_text, names)
    return model_card(shown, plan.recipe.name, names[base] if base else None, others, plan.method.title, root)


def _about(plan: Plan, names: Names) -> dict[str, object]:
    """What ``umm.json`` says of the merge; the recipe's digest is that of the recipe as the card shows it."""
    return {
        "recipe": digest(public_recipe(plan.recipe, names)),
        "method": plan.method.name,
        "exact": plan.method.exact,
    }


class _Work:
    """The queue of steps that the threads take from."""

    def __init__(
        self,
        method: Method,
        todo: Sequence[Step],
        sinks: Sinks,
        backend: Backend,
        tile_size: int,
        progress: Progress,
    ) -> None:
        self._method = method
        self._todo, self._sinks, self._backend = todo, sinks, backend
        self._tile_size, self._progress = tile_size, progress
        self._next, self._lock, self._stopped = 0, threading.Lock(), False

    def stop(self) -> None:
        """Let every thread end at its next tile."""
        self._stopped = True

    def check(self) -> None:
        """End this thread if the work was stopped."""
        if self._stopped:
            raise _StoppedError

    def run(self) -> None:
        """One thread: take steps until there are none."""
        room = Room()
        while (step := self._take()) is not None:
            self._merge(step, room)

    def _take(self) -> Step | None:
        with self._lock:
            if self._stopped or self._next == len(self._todo):
                return None
            self._next += 1
            for ahead in self._todo[self._next : self._next + AHEAD]:
                for model, name in zip(ahead.models, ahead.names, strict=True):
                    model.checkpoint.advise(name)
            return self._todo[self._next - 1]

    def _merge(self, step: Step, room: Room) -> None:
        sink = self._sinks(step.name)

        def write(data: memoryview | bytes) -> None:
            self.check()
            sink.write(data)
            with self._lock:
                self._progress(memoryview(data).nbytes)

        if step.arguments is None or not isinstance(step.dtype, Dtype):
            write(step.models[0].checkpoint.raw(step.names[0]))
            sink.finish()
            return
        field = Field(
            step.name,
            [_Stoppable(s, self) for s in step.sources],
            [str(m.ref) for m in step.models],
            step.has_base,
            self._backend,
            step.keys,
            step.depth,
            self._tile_size,
            room=room,
        )
        form = self._method.function(field, step.arguments)
        field.apply(form, step.dtype, lambda tile: write(tile.data))
        sink.finish()


class _StoppedError(Exception):
    """Another thread failed, or somebody pressed Ctrl-C."""


class _Stoppable:
    """A source that ends its thread when the work was stopped: surveys of a large tensor take seconds."""

    def __init__(self, source: Source, work: _Work) -> None:
        self.dtype, self.shape = source.dtype, source.shape
        self._source, self._work = source, work

    def read(self, start: int, count: int, out: Bytes) -> None:
        """Read on."""
        self._work.check()
        self._source.read(start, count, out)


def run(
    method: Method,
    steps: Sequence[Step],
    sinks: Sinks,
    *,
    backend: Backend,
    threads: int,
    tile_size: int,
    progress: Progress,
) -> None:
    """Merge the steps, begun in their order, on some threads; the first error stops them all and is raised."""
    work = _Work(method, steps, sinks, backend, tile_size, progress)
    with ThreadPoolExecutor(threads, thread_name_prefix="merge") as pool:
        futures: list[Future[None]] = [pool.submit(work.run) for _ in range(threads)]
        try:
            wait(futures, return_when=FIRST_EXCEPTION)
        finally:
            work.stop()
    for future in futures:
        error = future.exception()
        if error is not None and not isinstance(error, _StoppedError):
            raise error
