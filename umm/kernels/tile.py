"""A run of elements of one tensor, as raw bytes of every input, and what a backend can do with it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from umm.checkpoint.dtype import Dtype
from umm.checkpoint.source import Source
from umm.forms import Blend, Mix

if TYPE_CHECKING:
    import torch

Function = Callable[["torch.Tensor | None", "torch.Tensor"], "torch.Tensor"]


@dataclass(frozen=True)
class Scores:
    """Scores (m, n) that a method's function gives; with ``rows`` it sees inputs of shape (r, width)."""

    function: Function
    rows: bool = False


Score = Literal["delta", "variance"] | Scores


class Room:
    """Memory that one tile after another is read into; grows to the largest."""

    def __init__(self) -> None:
        self._bytes: NDArray[np.uint8] = np.empty((0, 0), np.uint8)

    def take(self, inputs: int, size: int) -> NDArray[np.uint8]:
        """Room for so many bytes of each input, (inputs, at least size)."""
        if self._bytes.shape[0] < inputs or self._bytes.shape[1] < size:
            self._bytes = np.empty((inputs, size), np.uint8)
        return self._bytes


class Tile:
    """Elements ``start .. start + count`` of every input; input 0 is the base if ``has_base``.

    ``row`` divides ``count``: it is the width of the tensor's last axis, or ``count`` for a piece of one long row.
    An input is read when it is first asked for.
    """

    def __init__(self, sources: Sequence[Source], has_base: bool, start: int, count: int, row: int, room: Room) -> None:
        self.has_base, self.start, self.count, self.row = has_base, start, count, row
        self.dtypes = tuple(s.dtype for s in sources)
        self._sources, self._unread = sources, set(range(len(sources)))
        self._room = room.take(len(sources), count * max(d.width for d in self.dtypes))

    def input(self, i: int) -> NDArray[np.uint8]:
        """The bytes of one input."""
        if i in self._unread:
            self._sources[i].read(self.start, self.count, self._room[i])
            self._unread.remove(i)
        return self._room[i, : self.count * self.dtypes[i].width]

    @property
    def raw(self) -> NDArray[np.uint8]:
        """All inputs' bytes side by side, (inputs or more, bytes or more)."""
        for i in range(len(self._sources)):
            self.input(i)
        return self._room


@dataclass
class Search:
    """The hunt for one score of a given rank: a bracket of bits, and what a pass counts in it."""

    row: int  # which score
    low: int
    shift: int
    above: int
    bins: NDArray[np.int64]
    mixed: NDArray[np.uint8]  # 1 for bins that hold other bit patterns than their first
    popular: tuple[int, ...] = ()  # up to two bit patterns inside that are likely frequent; a hint for speed

    @property
    def width(self) -> int:
        """How many bit patterns the bracket spans."""
        return len(self.bins) << self.shift


@dataclass
class Ties:
    """How many elements equal to a window's boundaries went by so far, per expert; lives through one pass."""

    first: NDArray[np.int64]
    last: NDArray[np.int64]
    prepared: Any = None  # what a backend made of the form when it saw the first tile


class Backend(Protocol):
    """What both backends do, tile by tile."""

    name: str

    def keys(self, tile: Tile, score: Score) -> NDArray[np.uint32]:
        """Scores as integers that order like them, shape (scores, n)."""
        ...

    def count(self, tile: Tile, score: Score, searches: Sequence[Search]) -> None:
        """Count scores above each bracket and histogram those within it."""
        ...

    def gram(self, tile: Tile, deltas: bool) -> NDArray[np.float64]:
        """Block sums of the products of input pairs (i <= j), shape (pairs, blocks)."""
        ...

    def masses(self, tile: Tile, mix: Mix, ties: Ties, *, squares: bool) -> NDArray[np.float64]:
        """Block sums of each whole delta's and each thinned delta's absolute values (or squares): (2 K, blocks)."""
        ...

    def draw(
        self, tile: Tile, keys: Sequence[int], odds: Sequence[tuple[int, int]], bits: NDArray[np.uint8]
    ) -> NDArray[np.float64]:
        """Draw which elements each expert keeps, by thresholds out of 2^16 from the least to the largest magnitude.

        Sets their bits and returns the masses, as ``masses`` does.
        """
        ...

    def blend(self, tile: Tile, form: Blend, dtype: Dtype, out: NDArray[np.uint8], shape: tuple[int, int]) -> int:
        """Apply the form; returns a bit set of inputs (bit i) and output (bit 31) that hold NaN or infinity."""
        ...

    def mix(self, tile: Tile, form: Mix, ties: Ties, dtype: Dtype, out: NDArray[np.uint8]) -> int:
        """Apply the form; returns the same bit set."""
        ...
