"""Whether a contribution may be merged, told in a child process with the words of a Refusal.

Whatever one contribution could do to the merge of all must be found here: a roster with it must merge. What is wrong
with the base, or with this machine, is no verdict but an error.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from decimal import Decimal
from math import prod
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from node.worker.jobs import Check
from node.worker.likeness import (
    RefusalError,
    changed_copy,
    check_config,
    check_copies,
    check_tensors,
    check_vocabulary,
    is_float,
)
from node.worker.messages import printable
from protocol.records.contribution import MAX_REASON, Fault
from protocol.records.round import Kind
from umm.checkpoint.adapter import Adapter
from umm.checkpoint.reader import Checkpoint
from umm.checkpoint.strict import shown
from umm.delta import decimal, decode, measure
from umm.delta.folder import DeltaFolder
from umm.distance import Pair, distance
from umm.errors import CheckpointError, MismatchError, RecipeError
from umm.model import Folders, Models
from umm.plan import make_plan
from umm.processors import usable
from umm.recipe.document import load

MAX_RANK = 1024
"""Of an adapter's factors. Beyond it a merge takes hours for what an exact delta does in minutes."""

MAX_THREADS = 4
"""More do not read faster."""

BASE_ALONE = "{merge_method: passthrough, models: [{model: base}]}"
TOGETHER = "{merge_method: task_arithmetic, base_model: base, models: [{model: EXPERT, parameters: {weight: 1}}]}"

Report = Callable[[str, int, int], None]


def check(job: Check, report: Report) -> Mapping[str, Any]:
    """The verdict."""
    _plan(BASE_ALONE, {"base": job.base})
    kinds = {Kind.ADAPTER: _adapter, Kind.CHECKPOINT: _checkpoint, Kind.DELTA: _delta}
    try:
        norm = kinds[Kind(job.kind)](job, report)
        text = _spelled(norm, job.max_norm)
    except RefusalError as refusal:
        reason = printable(_without_folders(refusal, job))[:MAX_REASON].strip()
        return {"ok": False, "fault": refusal.fault.value, "reason": reason, "norm": None}
    return {"ok": True, "fault": None, "reason": None, "norm": text}


def _without_folders(error: Exception, job: Check) -> str:
    """An error without the folders of this machine, which say nothing to the contributor."""
    return str(error).replace(str(job.contribution), "the contribution").replace(str(job.base), "the base")


def _spelled(norm: float, limit: str | None) -> str:
    try:
        text = decimal(norm)
    except CheckpointError as error:
        raise RefusalError(Fault.NORM, str(error)) from None
    if limit is not None and Decimal(norm) > Decimal(limit):
        raise RefusalError(
            Fault.NORM,
            f"it is {text} away from the base and this round takes at most {limit}; train for less long or at a lower "
            "rate",
        )
    return text


@contextmanager
def _blamed() -> Iterator[None]:
    """An error about the contribution's files is a refusal."""
    try:
        yield
    except MismatchError as error:
        raise RefusalError(Fault.ARCHITECTURE, str(error)) from None
    except (CheckpointError, RecipeError) as error:
        raise RefusalError(Fault.MANIFEST, str(error)) from None


def _plan(text: str, folders: Mapping[str, Path]) -> None:
    """Plan a merge: what is wrong with a model shows here as it would in the merge of all."""
    (recipe,) = load(text)
    with closing(Models.of(recipe, Folders(Path("/"), folders))) as models:
        make_plan(recipe, models, frozenset())


def _plan_with(job: Check, expert: str, folder: Path) -> None:
    with _blamed():
        _plan(TOGETHER.replace("EXPERT", expert), {"base": job.base, "expert": folder})


# -- kinds -----------------------------------------------------------------------------------------------------


def _checkpoint(job: Check, report: Report) -> float:
    with _blamed():
        opened = Checkpoint.open(job.contribution)
    with opened as expert, Checkpoint.open(job.base) as base:
        check_tensors(base, expert)
        check_config(base.config, expert.config)
        with _blamed():
            check_vocabulary(base, job.contribution)
        _plan_with(job, "expert", job.contribution)
        check_copies(base, expert)
        floats = [name for name, tensor in base.tensors.items() if is_float(tensor)]
        return _norm({name: (base.source(name), expert.source(name)) for name in floats}, job, report)


def _adapter(job: Check, report: Report) -> float:
    with Checkpoint.open(job.base) as base:
        with _blamed():
            opened = Adapter.open(job.contribution, {name: tensor.shape for name, tensor in base.tensors.items()})
        with opened as adapter:
            _check_ranks(adapter)
            for name in sorted(adapter.names):
                if not is_float(base.tensors[name]):
                    raise changed_copy(base.tensors[name])
            _plan_with(job, "base+expert", job.contribution)
            plain = {name: base.source(name) for name in adapter.names}
            return _norm({name: (own, adapter.apply(name, own)) for name, own in plain.items()}, job, report)


def _check_ranks(adapter: Adapter) -> None:
    for name, product in adapter.products.items():
        most = min(MAX_RANK, *product.shape)
        if product.rank > most:
            raise RefusalError(
                Fault.SIZE,
                f"its factors on {shown(name)} have the rank {product.rank}, of which at most {most} is of use; merge "
                "the adapter into the base and contribute the exact delta",
            )


def _delta(job: Check, report: Report) -> float:
    with Checkpoint.open(job.base) as base, TemporaryDirectory(prefix="umm-check-") as scratch:
        hollow = Path(scratch) / "expert"
        with _blamed():
            with DeltaFolder.open(job.contribution, base) as changes:
                changed = [base.tensors[name] for name in changes.tensors]
            for tensor in changed:
                if not is_float(tensor):
                    raise changed_copy(tensor)
            decode(job.base, job.contribution, hollow, only=frozenset())  # headers and files alone
            with Checkpoint.open(hollow) as expert:
                check_config(base.config, expert.config)
            check_vocabulary(base, hollow)
        _plan_with(job, "expert", hollow)
        told = _counter(report, sum(tensor.size for tensor in changed))
        with _blamed():
            found = measure(job.base, job.contribution, threads=_threads(job), progress=told)
    if found.not_finite:
        raise _not_finite(found.not_finite[0])
    return found.norm


# -- values ----------------------------------------------------------------------------------------------------


def _norm(pairs: Mapping[str, Pair], job: Check, report: Report) -> float:
    told = _counter(report, sum(prod(ours.shape) for ours, _ in pairs.values()))
    found = distance(pairs, threads=_threads(job), progress=told)
    if found.bad_base is not None:
        raise CheckpointError(f"{job.base} holds NaN or infinity in {shown(found.bad_base)}; fetch the base again")
    if found.bad_expert is not None:
        raise _not_finite(found.bad_expert)
    return found.norm


def _counter(report: Report, total: int) -> Callable[[int], None]:
    """Adds up what was done."""
    done = 0

    def count(more: int) -> None:
        nonlocal done
        done += more
        report("check", min(done, total), total)

    return count


def _not_finite(name: str) -> RefusalError:
    return RefusalError(
        Fault.VALUES, f"{shown(name)} holds NaN or infinity: its training diverged; go back to an earlier state of it"
    )


def _threads(job: Check) -> int:
    return min(MAX_THREADS, job.threads or usable())
