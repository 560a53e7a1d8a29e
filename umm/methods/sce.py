"""Select, Calculate, Erase, and the reconstruction of RSAF that chooses SCE's one knob from the data."""

import math
from typing import TYPE_CHECKING

from umm.forms import Form, Mix, Window
from umm.methods.parameters import INT8_MASK, LINES
from umm.methods.registry import Arguments, Base, Holds, Parameter, method

if TYPE_CHECKING:
    import torch

    from umm.field import Field

NEGLIGIBLE = 1e-6  # mean squares that sum to less than this count as equal; also the least divisor
LARGEST_POWER = 700.0  # exp of more would overflow


def _merge(field: "Field", arguments: Arguments, select: float) -> Form:
    shared: Window | None = None
    if select < 1.0:
        shared = field.variance_window(select)
    energies = [e / field.size for e in field.energies(shared)]
    total = sum(energies)
    weights = [1.0 / len(energies)] * len(energies) if abs(total) < NEGLIGIBLE else [e / total for e in energies]
    return Mix(
        tuple(weights),
        shared=shared,
        elect="plain",
        divide=True,
        floor=NEGLIGIBLE,
        scale=field.depth_scale(arguments),
    )


@method(
    "sce",
    title="SCE",
    source="Wan et al., FuseChat, arXiv 2408.07990",
    base=Base.REQUIRED,
    experts=(1, None),
    holds=Holds.RANKS,
    parameters=(
        Parameter(
            "select_topk",
            "share of positions to keep, by variance across experts",
            default=1.0,
            low=0,
            high=1,
        ),
        INT8_MASK,
        *LINES,
    ),
)
def sce(field: "Field", arguments: Arguments) -> Form:
    """Keep the positions where experts differ most, weigh experts by energy, average who agrees on the sign.

    ``eta_k`` is expert k's share of ``sum_k mean(delta_k^2)``; shares are equal where that sum is below 1e-6.
    """
    return _merge(field, arguments, arguments.number("select_topk"))


def _moments(base: "torch.Tensor | None", experts: "torch.Tensor") -> "torch.Tensor":
    """Per element: v, v^2, v^3 of the variance across experts, then base^2, then each delta^2; float64."""
    import torch

    from umm.kernels.portable import variance

    assert base is not None  # noqa: S101 - the method requires a base
    deltas = experts - base
    v = variance(deltas).double()
    squares = deltas.double() * deltas.double()
    return torch.cat([torch.stack([v, v * v, v * v * v, base.double() * base.double()]), squares])


@method(
    "rsaf",
    title="RSAF (reconstruction)",
    source="named in InfiFusion, arXiv 2501.02795 v1; formula reconstructed, not the authors'",
    base=Base.REQUIRED,
    experts=(1, None),
    holds=Holds.RANKS,
    torch=True,
    parameters=(
        Parameter(
            "ratio",
            "share of positions kept by a tensor of ordinary rate and skew",
            default=0.2,
            low=0,
            high=1,
        ),
        Parameter("rate_power", "how strongly a large relative update keeps more", default=0.5, low=0),
        Parameter("skew_power", "how strongly a skewed variance keeps less", default=0.5, low=0),
        Parameter("rate_reference", "relative update taken as ordinary", default=0.05, low=1e-9),
        Parameter("skew_reference", "log1p of the skew taken as ordinary", default=2.0, low=0),
        Parameter("least", "least share kept", default=0.02, low=0, high=1),
        Parameter("most", "largest share kept", default=1.0, low=0, high=1),
        *LINES,
    ),
)
def rsaf(field: "Field", arguments: Arguments) -> Form:
    """SCE with ``select_topk = clip(ratio * exp(a r - b s), least, most)`` chosen tensor by tensor.

    ``r = ln(mean_k |delta_k| / |base| / rate_reference)`` (Frobenius norms) and ``s = ln(1 + max(skew, 0)) -
    skew_reference`` with the skew of the variance across experts. References are constants, not statistics of the
    whole model, so that one tensor can be merged again alone.
    """
    v1, v2, v3, base2, *deltas2 = field.sums(_moments)
    n = field.size
    mean = v1 / n
    spread = max(v2 / n - mean * mean, 0.0)
    third = v3 / n - 3.0 * mean * (v2 / n) + 2.0 * mean**3
    skew = third / spread**1.5 if spread > 0 else 0.0
    rate = sum(math.sqrt(d) for d in deltas2) / len(deltas2) / (math.sqrt(base2) + 1e-12)
    r = math.log(max(rate, 1e-12) / arguments.number("rate_reference"))
    s = math.log1p(max(skew, 0.0)) - arguments.number("skew_reference")
    power = arguments.number("rate_power") * r - arguments.number("skew_power") * s
    kept = arguments.number("ratio") * math.exp(min(power, LARGEST_POWER))
    return _merge(field, arguments, min(max(kept, arguments.number("least")), arguments.number("most")))
