"""Methods for a base and one other model that decide element by element: NearSwap and Arcee Fusion."""

from typing import TYPE_CHECKING

from umm.forms import Elementwise, Form
from umm.methods.registry import Arguments, Base, Holds, Parameter, method

if TYPE_CHECKING:
    import torch

    from umm.field import Field


@method(
    "nearswap",
    title="NearSwap",
    source="alchemonaut/QuartetAnemoi-70B",
    base=Base.REQUIRED,
    experts=(1, 1),
    torch=True,
    parameters=(Parameter("t", "distance up to which the other model's value is taken", required=True),),
)
def nearswap(field: "Field", arguments: Arguments) -> Form:  # noqa: ARG001 - every method has this signature
    """``w * expert + (1 - w) * base`` with ``w = clip(t / |base - expert|, 0, 1)``."""
    t = arguments.number("t")

    def merge(base: "torch.Tensor | None", experts: "torch.Tensor") -> "torch.Tensor":
        import torch

        assert base is not None  # noqa: S101 - the method requires a base
        distance = (base - experts[0]).abs().clamp_min(1e-6)
        weight = (torch.full_like(distance, t) / distance).clamp(0, 1)
        return weight * experts[0] + (1 - weight) * base

    return Elementwise(merge)


def importance(base: "torch.Tensor | None", experts: "torch.Tensor") -> "torch.Tensor":
    """``|delta| * KL(softmax(expert row) || softmax(base row))``, the rows' divergences in canonical float64."""
    from umm.arithmetic import row_divergence

    assert base is not None  # noqa: S101 - the method requires a base
    return ((experts[0] - base).abs() * row_divergence(experts[0], base).float()[:, None])[None]


@method(
    "arcee_fusion",
    title="Arcee Fusion",
    source="arcee.ai",
    base=Base.ENDPOINT,
    experts=(1, 1),
    holds=Holds.RANKS,
    torch=True,
)
def arcee_fusion(field: "Field", arguments: Arguments) -> Form:  # noqa: ARG001 - every method has this signature
    """Take the other model's value where ``|delta| * KL(row)`` reaches median + 1.5 times the interquartile range."""
    last = field.size - 1
    ranks = [int(q * last) for q in (0.25, 0.5, 0.75)]
    q1, median, q3 = field.order_statistics(importance, [ranks], rows=True)[0]

    def merge(base: "torch.Tensor | None", experts: "torch.Tensor") -> "torch.Tensor":
        import torch

        assert base is not None  # noqa: S101 - the method requires a base
        one = torch.ones((), dtype=torch.float32)
        threshold = one * median + one * 1.5 * (one * q3 - one * q1)
        delta = experts[0] - base
        return base + torch.where(importance(base, experts)[0] >= threshold, delta, torch.zeros_like(delta))

    return Elementwise(merge, rows=True)
