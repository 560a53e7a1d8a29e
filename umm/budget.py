"""How much memory a merge needs, and how to stay within a stated amount: fewer threads, then smaller tiles."""

from dataclasses import dataclass

from umm.errors import EnvironmentFault
from umm.field import BINS, SAMPLE, TILE
from umm.methods.registry import Method
from umm.plan import Plan, Step

MIB = 1 << 20
PROCESS = {"numba": 150 * MIB, "torch": 330 * MIB}  # a process with these loops loaded
LEAST_TILE = 1 << 14
TORCH_COPIES = 24  # float32 tensors of one tile that a torch function may hold beside its inputs
RANKED = ("ties", "breadcrumbs", "sce", "rsaf", "pcb", "arcee")  # methods that search order statistics
MASKED = ("dare", "della")  # methods that hold one bit per element and expert
UNFUSED = frozenset(
    {
        "arcee_fusion",
        "consensus",
        "median",
        "nearswap",
        "pcb",
        "ram",
        "ramplus_tl",
        "rsaf",
        "trimmed_mean",
    }
)
"""Methods that have no fused loops and use torch with any backend."""

BY_VECTOR = (("nuslerp_flatten", False), ("filter_wise", True))
"""Settings that make other methods such."""


@dataclass(frozen=True)
class Share:
    """With how many threads and which tiles to run, and the memory that this needs at most."""

    threads: int
    tile_size: int
    bytes: int


def fit(plan: Plan, backend: str, threads: int, limit: int | None) -> Share:
    """The most generous share within the limit."""
    choices = [(t, TILE) for t in range(threads, 0, -1)]
    tile = TILE // 2
    while tile >= LEAST_TILE:
        choices.append((1, tile))
        tile //= 2
    shares = [Share(t, size, estimate(plan, backend, t, size)) for t, size in choices]
    if limit is None:
        return shares[0]
    fitting = next((s for s in shares if s.bytes <= limit), None)
    if fitting is None:
        raise EnvironmentFault(
            f"this merge needs at least {-(-shares[-1].bytes // MIB)}M of memory; --memory allows {limit // MIB}M"
        )
    return fitting


def estimate(plan: Plan, backend: str, threads: int, tile: int) -> int:
    """Anonymous memory at the worst moment: the largest tensors in work at once, one per thread."""
    loops = {_loops(s, plan.method, backend) for s in plan.steps}
    sizes = sorted((_working_set(s, plan.method, backend, tile) for s in plan.steps), reverse=True)
    return max((PROCESS[name] for name in loops), default=0) + sum(sizes[:threads])


def _loops(step: Step, method: Method, backend: str) -> str:
    """Which loops a step uses."""
    settings = step.arguments.merge if step.arguments else {}
    by_vector = any(name in settings and settings[name] is value for name, value in BY_VECTOR)
    return "torch" if method.name in UNFUSED or by_vector else backend


def _working_set(step: Step, method: Method, backend: str, tile: int) -> int:
    inputs, row = len(step.sources), step.shape[-1] if step.shape else 1
    experts = inputs - step.has_base
    width = max((s.dtype.width for s in step.sources), default=4)
    elements = min(step.size, max(tile, row))
    total = elements * (inputs * width + 4)
    if method.name.startswith(RANKED):
        total += min(step.size, SAMPLE) * (inputs * width + 3 * 4 * experts) + 2 * experts * BINS * 8
    if method.name.startswith(MASKED):
        total += experts * step.size // 8 + elements * 5
    if _loops(step, method, backend) == "torch":
        total += elements * 4 * (TORCH_COPIES + 3 * inputs)
    return total
