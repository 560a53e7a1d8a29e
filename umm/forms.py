"""What a method asks to be done with every element of a tensor: the last pass, as plain data.

A method surveys a tensor (norms, order statistics, votes over the whole of it) through its ``Field`` and answers with
one of the forms below. The backends know how to apply a form to a tile; all backends give the same bits.

Shapes: K experts, n elements in a tile. ``base`` is input 0 when there is one; deltas are ``expert - base``.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Blend:
    """``y = (sum of coefficient * input, in order) / divisor``.

    One coefficient per input, the base first when there is one. With ``deltas`` the inputs are the experts' deltas
    and the base is added at the end. ``rows`` holds one coefficient per row (or, with ``by_column``, per vector along
    the first axis) and input instead: shape (inputs, rows).
    """

    coefficients: tuple[float, ...]
    divisor: float | None = None
    deltas: bool = False
    rows: NDArray[np.float32] | None = None
    by_column: bool = False


@dataclass(frozen=True)
class Window:
    """Keep the elements whose place in descending order of a score lies in ``[first, last)``.

    Each boundary is (score bits, how many elements with exactly these bits lie before it, lowest index first).
    """

    first: tuple[int, int]
    last: tuple[int, int]


@dataclass(frozen=True)
class Mask:
    """Keep the elements whose bit is set: bit ``i & 7`` of byte ``i >> 3``, one row of bytes per expert."""

    bits: NDArray[np.uint8]


@dataclass(frozen=True)
class Mix:
    """The task-vector family: thin out deltas, elect signs, sum, normalise, scale, add to the base.

    ``d_k = keep_k(delta_k) * rescale_k``, ``v_k = d_k * weight_k``. With ``elect`` only the entries that share the
    sign of ``sum_k v_k`` (``sum``), of ``sum_k d_k`` (``plain``) or of ``sum_k sign(v_k)`` (``count``) count; a tie is
    positive. ``divide`` divides by the sum of the weights that took part: 0 is replaced by 1, and the sum is not let
    below ``floor``. Then ``y = base + scale * result``.

    ``windows`` (one per expert, None keeps all), ``mask`` and ``shared`` (a window on the variance across experts,
    the same for all of them) are alternatives.
    """

    weights: tuple[float, ...]
    windows: tuple[Window | None, ...] | None = None
    mask: Mask | None = None
    shared: Window | None = None
    rescale: tuple[float, ...] | None = None
    elect: Literal["sum", "plain", "count"] | None = None
    divide: bool = False
    floor: float = 0.0
    scale: float = 1.0


@dataclass(frozen=True)
class Elementwise:
    """``y = function(base, experts)`` on float32 tensors of one tile; for methods without a fused loop.

    ``base`` has shape (n,) and ``experts`` (K, n); with ``rows`` they have shapes (r, width) and (K, r, width). With
    ``delta`` the function returns the merged delta, to be scaled by ``scale`` and added to the base.
    """

    function: "Callable[[torch.Tensor | None, torch.Tensor], torch.Tensor]"
    delta: bool = False
    rows: bool = False
    scale: float = 1.0


Form = Blend | Mix | Elementwise
