"""PCB merging: parameters compete, within their expert by size and between experts by agreement."""

from typing import TYPE_CHECKING

from umm.arithmetic import exponential
from umm.forms import Elementwise, Form
from umm.methods.parameters import LAMBDA, LINES
from umm.methods.registry import Arguments, Base, Holds, Parameter, method

if TYPE_CHECKING:
    import torch

    from umm.field import Field

TAIL = 1e-4  # share of magnitudes clamped at each end


@method(
    "pcb",
    title="PCB merging",
    source="Du et al., Parameter Competition Balancing, arXiv 2410.02396; here per tensor",
    base=Base.REQUIRED,
    experts=(1, None),
    holds=Holds.RANKS,
    torch=True,
    parameters=(
        Parameter("ratio", "share of each expert's entries that keep a score", default=0.1, low=1e-6, high=1),
        LAMBDA,
        *LINES,
    ),
)
def pcb(field: "Field", arguments: Arguments) -> Form:
    """``lambda * sum_k s_k delta_k / sum_k s_k`` with scores from competition.

    ``score_k = exp(K * m_k^2) * tanh(delta_k * sum_j delta_j)``, ``m_k`` the magnitude scaled to [0, 1]; ``s_k`` is the
    score scaled to [0, 1] between its ``1 - ratio`` quantile and its maximum. Magnitudes are clamped at their 0.01 %
    tails first. The reference ranks over the whole model, this method tensor by tensor.
    """
    last, count = field.size - 1, field.experts
    ends = [int(TAIL * last), last - int(TAIL * last)]

    def sizes(base: "torch.Tensor | None", experts: "torch.Tensor") -> "torch.Tensor":
        assert base is not None  # noqa: S101 - the method requires a base
        return (experts - base).abs()

    bounds = field.order_statistics(sizes, [ends] * count)

    def scores(base: "torch.Tensor | None", experts: "torch.Tensor") -> "torch.Tensor":
        import torch

        assert base is not None  # noqa: S101 - the method requires a base
        deltas = experts - base
        total = torch.zeros_like(deltas[0])
        for delta in deltas:
            total = total + delta
        rows = []
        for delta, (low, high) in zip(deltas, bounds, strict=True):
            size = delta.abs().clamp(low, high).double()
            scaled = (size - low) / (high - low) if high > low else torch.zeros_like(size)
            twice = exponential((2.0 * (delta * total).double()).clamp(-40.0, 40.0))
            rows.append((exponential(count * (scaled * scaled)) * ((twice - 1.0) / (twice + 1.0))).float())
        return torch.stack(rows)

    cut = [min(int((1.0 - arguments.number("ratio")) * field.size), last), last]
    limits = field.order_statistics(scores, [cut] * count)

    def merge(base: "torch.Tensor | None", experts: "torch.Tensor") -> "torch.Tensor":
        import torch

        assert base is not None  # noqa: S101 - the method requires a base
        deltas = experts - base
        top = torch.zeros_like(deltas[0])
        bottom = torch.zeros_like(deltas[0])
        rows = zip(deltas, scores(base, experts), bounds, limits, strict=True)
        for delta, score, (low, high), (least, most) in rows:
            share = (score.clamp(least, most) - least) / (most - least) if most > least else torch.zeros_like(score)
            clamped = delta.sign() * delta.abs().clamp(low, high)
            top = top + share * clamped
            bottom = bottom + share
        return top / bottom.clamp_min(1e-12)

    return Elementwise(merge, delta=True, scale=arguments.number("lambda") * field.depth_scale(arguments))
