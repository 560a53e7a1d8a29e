"""A weight with a low-rank product added to it, computed element by element in canonical arithmetic.

For a weight of shape (rows, columns), a product of rank r and a scale s, element (i, k) is::

    W[i, k] + s · (((0 + L[i, 0]·R[0, k]) + L[i, 1]·R[1, k]) + …)

Every multiplication and every addition is one float32 operation in that order. No matrix multiplication is
used: its order of sums differs between machines and between tile sizes. numpy's elementwise ``multiply`` and
``add`` are separate IEEE operations (never fused), so any range of elements gives the same bits.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from umm.checkpoint.dtype import Dtype
from umm.checkpoint.floats import Floats, read_widened
from umm.checkpoint.source import Bytes, Source

WIDENING_BYTES = 12
"""What one element takes at most while it is widened: as stored, as an integer, and shifted into place."""

BLOCK_ELEMENTS = 1 << 15
"""Elements worked on at once, so that the running sum and its addend stay in the processor's cache."""


@dataclass(frozen=True)
class Product:
    """``scale · B·A``, or its transpose, with A of shape (rank, inputs) and B of shape (outputs, rank)."""

    a: Source
    b: Source
    scale: np.float32
    transposed: bool = False

    @property
    def rank(self) -> int:
        """How many outer products are summed."""
        return self.a.shape[0]

    @property
    def shape(self) -> tuple[int, int]:
        """The shape of the weight that this is added to."""
        outputs, inputs = self.b.shape[0], self.a.shape[1]
        return (inputs, outputs) if self.transposed else (outputs, inputs)

    def left(self, first: int, rows: int) -> Floats:
        """Rows ``first .. first + rows`` of the left factor, (rows, rank)."""
        if not self.transposed:
            return read_widened(self.b, first * self.rank, rows * self.rank).reshape(rows, self.rank)
        inputs = self.a.shape[1]
        columns = [read_widened(self.a, j * inputs + first, rows) for j in range(self.rank)]
        return np.stack(columns, axis=1)

    def right(self) -> Floats:
        """The right factor, (rank, columns)."""
        factor = self.b if self.transposed else self.a
        whole = read_widened(factor, 0, factor.shape[0] * factor.shape[1]).reshape(factor.shape)
        return np.ascontiguousarray(whole.T) if self.transposed else whole


@dataclass(frozen=True)
class Rectangle:
    """Some columns of some rows; ``offset`` is where they begin in the flat range they were cut from."""

    row: int
    rows: int
    column: int
    columns: int
    offset: int


def rectangles(start: int, count: int, width: int, limit: int) -> Iterator[Rectangle]:
    """Cut the flat range ``start ..

    start + count`` of a matrix into rectangles of at most ``limit`` elements.
    """
    position, end = start, start + count
    while position < end:
        row, column = divmod(position, width)
        if column == 0 and width <= limit and end - position >= width:
            rows, columns = min((end - position) // width, limit // width), width
        else:
            rows, columns = 1, min(width - column, end - position, limit)
        yield Rectangle(row, rows, column, columns, position - start)
        position += rows * columns


@dataclass(frozen=True)
class AdaptedTensor:
    """A source: ``weight`` with ``product`` added."""

    weight: Source
    product: Product

    @property
    def dtype(self) -> Dtype:
        """Always float32: the sum is not rounded to the weight's own type."""
        return Dtype.F32

    @property
    def shape(self) -> tuple[int, ...]:
        """The weight's shape."""
        return self.weight.shape

    def working_set(self, count: int) -> int:
        """Bytes held at most while so many elements are read: both factors, the right one whole, and two blocks."""
        width = self.shape[1]
        factors = self.product.rank * (count // width + 2 + width)
        return WIDENING_BYTES * (count + factors) + 2 * BLOCK_ELEMENTS * Dtype.F32.width

    def read(self, start: int, count: int, out: Bytes) -> None:
        """Fill ``out`` with elements ``start .. start + count``."""
        if count == 0:
            return
        width = self.shape[1]
        values = out[: count * Dtype.F32.width].view("<f4")
        values[:] = read_widened(self.weight, start, count)
        first, last = start // width, (start + count - 1) // width
        left, right = self.product.left(first, last - first + 1), self.product.right()
        for part in rectangles(start, count, width, BLOCK_ELEMENTS):
            rows = left[part.row - first : part.row - first + part.rows]
            columns = right[:, part.column : part.column + part.columns]
            target = values[part.offset : part.offset + part.rows * part.columns]
            _add_product(target.reshape(part.rows, part.columns), rows, columns, self.product.scale)


@dataclass(frozen=True)
class AdaptedBias:
    """A source: a bias with ``scale`` times the adapter's own bias added, element by element in float32."""

    bias: Source
    addend: Source
    scale: np.float32

    @property
    def dtype(self) -> Dtype:
        """Always float32."""
        return Dtype.F32

    @property
    def shape(self) -> tuple[int, ...]:
        """The bias's shape."""
        return self.bias.shape

    def read(self, start: int, count: int, out: Bytes) -> None:
        """Fill ``out`` with elements ``start .. start + count``."""
        values = out[: count * Dtype.F32.width].view("<f4")
        with np.errstate(over="ignore", invalid="ignore"):
            step = read_widened(self.addend, start, count) * self.scale
            np.add(read_widened(self.bias, start, count), step, out=values)


def _add_product(weight: Floats, left: Floats, right: Floats, scale: np.float32) -> None:
    """Add ``scale · left·right`` to ``weight`` in place, in the order that the module's formula says."""
    total = np.zeros_like(weight)
    addend = np.empty_like(weight)
    # An overflow or a NaN is a value like any other here; the reader of the result refuses it.
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        for j in range(left.shape[1]):
            np.multiply(left[:, j : j + 1], right[j], out=addend)
            np.add(total, addend, out=total)
        np.multiply(total, scale, out=total)
        np.add(weight, total, out=weight)
