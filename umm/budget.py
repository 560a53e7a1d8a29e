"""How much memory a merge needs, and how to stay within a stated amount: fewer threads, then smaller tiles.

What is reckoned with is what grows with tiles and tensors; the vocabularies of the models come on top.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from umm.checkpoint.embeddings import AlignedTensor
from umm.checkpoint.lowrank import AdaptedTensor
from umm.checkpoint.source import Source
from umm.errors import EnvironmentFault
from umm.field import BINS, SAMPLE, TILE
from umm.methods.registry import Holds, Method
from umm.plan import Plan, Step

MIB = 1 << 20
PROCESS = {"numba": 150 * MIB, "torch": 330 * MIB}  # a process with these loops loaded
LEAST_TILE = 1 << 14
TORCH_COPIES = 24  # float32 tensors of one tile that a torch function may hold beside its inputs


@dataclass(frozen=True)
class Share:
    """With how many threads and which tiles to run, and the memory that this needs at most."""

    threads: int
    tile_size: int
    bytes: int


def fit(plan: Plan, backend: str, threads: int, limit: int | None) -> Share:
    """The most generous share within the limit."""
    least = 0
    for share in _shares(plan, backend, threads):
        if limit is None or share.bytes <= limit:
            return share
        least = share.bytes
    raise EnvironmentFault(
        f"this merge needs at least {-(-least // MIB)}M of memory; --memory allows {(limit or 0) // MIB}M"
    )


def _shares(plan: Plan, backend: str, threads: int) -> Iterator[Share]:
    """Ways to run, from the most generous: fewer threads, then smaller tiles."""
    process, sizes = _needs(plan, backend, TILE)
    for count in range(threads, 0, -1):
        yield Share(count, TILE, process + sum(sizes[:count]))
    tile = TILE // 2
    while tile >= LEAST_TILE:
        yield Share(1, tile, estimate(plan, backend, 1, tile))
        tile //= 2


def estimate(plan: Plan, backend: str, threads: int, tile: int) -> int:
    """Anonymous memory at the worst moment: the largest tensors in work at once, one per thread."""
    process, sizes = _needs(plan, backend, tile)
    return process + sum(sizes[:threads])


def _needs(plan: Plan, backend: str, tile: int) -> tuple[int, list[int]]:
    """What the process needs before it merges anything, and what each tensor does, the greediest first."""
    loops = {_loops(s, plan.method, backend) for s in plan.steps}
    sizes = sorted((_working_set(s, plan.method, backend, tile) for s in plan.steps), reverse=True)
    return max((PROCESS[name] for name in loops), default=0), sizes


def _loops(step: Step, method: Method, backend: str) -> str:
    """Which loops a step uses."""
    return "torch" if method.uses_torch(step.arguments.merge if step.arguments else {}) else backend


def _working_set(step: Step, method: Method, backend: str, tile: int) -> int:
    inputs, row = len(step.sources), step.shape[-1] if step.shape else 1
    experts = inputs - step.has_base
    width = max((s.dtype.width for s in step.sources), default=4)
    elements = min(step.size, max(tile, row))
    total = elements * (inputs * width + 4)
    if method.holds is Holds.RANKS:
        total += min(step.size, SAMPLE) * (inputs * width + 3 * 4 * experts) + 2 * experts * BINS * 8
    if method.holds is Holds.MASKS:
        total += experts * step.size // 8 + elements * 5
    if _loops(step, method, backend) == "torch":
        total += elements * 4 * (TORCH_COPIES + 3 * inputs)
    return total + max((_reading(s, elements) for s in step.sources), default=0)


def _reading(source: Source, elements: int) -> int:
    """What a source holds while elements are read from it; a thread reads from one at a time."""
    if isinstance(source, AlignedTensor):
        return max(_reading(s, elements) for s in source.sources)
    return source.working_set(elements) if isinstance(source, AdaptedTensor) else 0
