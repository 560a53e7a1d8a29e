"""Methods that look at how many experts changed an element: RAM, RAM+, Consensus."""

from typing import TYPE_CHECKING

from umm.forms import Elementwise, Form
from umm.methods.parameters import LAMBDA, LINES
from umm.methods.registry import Arguments, Base, Parameter, method

if TYPE_CHECKING:
    import torch

    from umm.field import Field

CHANGED = Parameter("epsilon", "a delta up to this size counts as unchanged", default=1e-5, low=0)
NO_COUNT = 1e-30  # stands for a count of zero in a divisor
RAM_SOURCE = "Reinforced Agent Merging, arXiv 2601.13572"


def _ram(field: "Field", arguments: Arguments, strengths: tuple[float, ...] | None) -> Form:
    epsilon = arguments.number("epsilon")

    def merge(base: "torch.Tensor | None", experts: "torch.Tensor") -> "torch.Tensor":
        import torch

        assert base is not None  # noqa: S101 - the method requires a base
        deltas = experts - base
        changed = deltas.abs() > epsilon
        count = changed.sum(0)
        total = torch.zeros_like(deltas[0])
        for k, delta in enumerate(deltas):
            alone = delta if strengths is None else delta * strengths[k]
            value = torch.where(count > 1, delta / count.clamp_min(1), alone)
            total = total + torch.where(changed[k], value, torch.zeros_like(delta))
        return total

    return Elementwise(merge, delta=True, scale=field.depth_scale(arguments))


@method(
    "ram",
    title="RAM",
    source=RAM_SOURCE,
    base=Base.REQUIRED,
    experts=(1, None),
    torch=True,
    parameters=(CHANGED, *LINES),
)
def ram(field: "Field", arguments: Arguments) -> Form:
    """Entries that one expert changed are taken whole; entries that several changed are averaged among these."""
    return _ram(field, arguments, None)


@method(
    "ramplus_tl",
    title="RAM+ (tensor-local)",
    source=RAM_SOURCE,
    base=Base.REQUIRED,
    experts=(1, None),
    torch=True,
    parameters=(
        Parameter("r", "how much entries of a single expert are amplified", default=0.1),
        Parameter("alpha", "bound on the ratio of shared to single entries", default=0.2, low=0),
        CHANGED,
        *LINES,
    ),
)
def ramplus_tl(field: "Field", arguments: Arguments) -> Form:
    """RAM with single entries scaled by ``1 + r * clip(shared_k / single_k, 0, alpha)``, counted per tensor."""
    epsilon, bound = arguments.number("epsilon"), arguments.number("alpha")

    def tally(base: "torch.Tensor | None", experts: "torch.Tensor") -> "torch.Tensor":
        import torch

        assert base is not None  # noqa: S101 - the method requires a base
        changed = (experts - base).abs() > epsilon
        count = changed.sum(0)
        return torch.cat([changed & (count > 1), changed & (count == 1)])

    counts = field.tally(tally)
    k = len(counts) // 2
    pairs = zip(counts[:k], counts[k:], strict=True)
    ratios = [shared / max(single, epsilon, NO_COUNT) for shared, single in pairs]
    return _ram(field, arguments, tuple(1.0 + arguments.number("r") * min(max(q, 0.0), bound) for q in ratios))


@method(
    "consensus",
    title="Consensus task arithmetic",
    source="Wang et al., TALL masks, arXiv 2405.07813",
    base=Base.REQUIRED,
    experts=(1, None),
    torch=True,
    parameters=(
        Parameter("mask_lambda", "how much of the rest an entry must outweigh to be selected", default=0.4, low=0),
        Parameter("agree", "how many experts must select an entry", kind=int, default=2, low=1),
        LAMBDA,
        *LINES,
    ),
)
def consensus(field: "Field", arguments: Arguments) -> Form:
    """``lambda * sum_k delta_k`` where at least ``agree`` experts have ``|delta_k| > mask_lambda |sum - delta_k|``."""
    mask_lambda, agree = arguments.number("mask_lambda"), int(arguments.number("agree"))

    def merge(base: "torch.Tensor | None", experts: "torch.Tensor") -> "torch.Tensor":
        import torch

        assert base is not None  # noqa: S101 - the method requires a base
        deltas = experts - base
        total = torch.zeros_like(deltas[0])
        for delta in deltas:
            total = total + delta
        votes = sum((d.abs() > (total - d).abs() * mask_lambda).int() for d in deltas)
        return torch.where(votes >= agree, total, torch.zeros_like(total))

    return Elementwise(merge, delta=True, scale=arguments.number("lambda") * field.depth_scale(arguments))
