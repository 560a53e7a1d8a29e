"""Merging in a child process: all of it into a folder, or some tensors once more, to compare them."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from node.worker.jobs import Merge
from umm.errors import EnvironmentFault, RecipeError
from umm.recipe.document import load

SHARE = 0.75
"""Of the memory that the process may have, what a merge reckons with: vocabularies and the system's own come on top."""

Report = Callable[[str, int, int], None]


def merge(job: Merge, memory_bytes: int, report: Report) -> Mapping[str, Any]:
    """Do it; the recipe's models are folders on this machine."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # tensors run side by side; more threads would only wait
    recipes = load(job.recipe)
    if len(recipes) != 1:
        raise RecipeError(f"a job merges one document, found {len(recipes)}; run one job for each")
    from umm.audit import file_leaves, narrowed, remake
    from umm.budget import fit
    from umm.merge import choose_backend
    from umm.merge import merge as merge_all
    from umm.model import Folders, Models
    from umm.plan import make_plan
    from umm.processors import usable

    models = Models.of(recipes[0], Folders(Path("/"), {}))
    try:
        plan = make_plan(recipes[0], models, job.only)
        plan = plan if job.only is None else narrowed(plan, job.only)
        backend = choose_backend()
        try:
            share = fit(plan, backend.name, job.threads or usable(), int(memory_bytes * SHARE))
        except EnvironmentFault as fault:
            raise MemoryError(str(fault).partition(";")[0]) from None
        bar = _Bar(report, plan.written_bytes)
        running: dict[str, Any] = {
            "backend": backend, "threads": share.threads, "tile_size": share.tile_size, "progress": bar.add
        }  # fmt: skip
        if job.out is not None:
            done = merge_all(plan, job.out, job.recipe, force=True, **running)
            return {"root": done.root.hex(), "tensors": {}, "files": {}, "chunks": {}}
        again = remake(plan, **running)
    finally:
        models.close()
    return {
        "root": None,
        "tensors": {name: one.leaf.hex() for name, one in again.items()},
        "files": {name: leaf.hex() for name, leaf in file_leaves(plan).items()},
        "chunks": {name: b"".join(one.chunks).hex() for name, one in again.items()} if job.chunks else {},
    }


class _Bar:
    """Progress in bytes of the output."""

    def __init__(self, report: Report, total: int) -> None:
        self._report, self._total, self._done = report, total, 0

    def add(self, size: int) -> None:
        """So many bytes more; called by one thread at a time."""
        self._done += size
        self._report("merge", self._done, self._total)
