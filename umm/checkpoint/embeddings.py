"""Embeddings and output heads whose rows follow the output's vocabulary."""

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from umm.checkpoint.alignment import AVERAGE, MEAN, ZERO, Alignment, Holder, Origins, alignment, neighbours
from umm.checkpoint.dtype import Dtype
from umm.checkpoint.ends import is_embedding, is_head
from umm.checkpoint.floats import Floats, read_widened
from umm.checkpoint.output_vocabulary import OutputVocabulary
from umm.checkpoint.source import Bytes, Source
from umm.checkpoint.vocabulary import Vocabulary
from umm.errors import MismatchError
from umm.recipe.model import ModelRef, TokenizerRule

MEAN_BLOCK_ROWS = 256
"""Rows summed as one block of the mean; part of what defines its bits, so it never changes."""


def embedding_names(config: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]) -> tuple[str, ...]:
    """The tensors with one row for each token: so many rows as the vocabulary is large, and a name that
    confirms it.

    The vocabulary's size is the config's, or, if no tensor has it, the rows of the input embedding.
    """
    inputs = [name for name in shapes if is_embedding(name)]
    named = [name for name in shapes if is_embedding(name) or is_head(name)]
    text = config.get("text_config")
    size = config.get("vocab_size") or (text.get("vocab_size") if isinstance(text, Mapping) else None)
    sizes = {size} if any(shapes[n][:1] == (size,) for n in named) else {shapes[n][0] for n in inputs if shapes[n]}
    return tuple(sorted(name for name in named if shapes[name] and shapes[name][0] in sizes))


@dataclass(frozen=True)
class AlignedTensor:
    """A source: one model's embedding with the rows that the output's vocabulary asks for, in its order.

    Rows are gathered when they are read; only the mean row is kept. Averages are float32 sums in recipe order
    divided once by the number of models; the mean is summed in float64 in a fixed tree. So any range gives
    the same bits.
    """

    sources: tuple[Source, ...]
    own: int
    aligned: Alignment

    @cached_property
    def origins(self) -> Origins:
        """Where each row comes from."""
        return self.aligned.origins(self.own)

    @cached_property
    def dtype(self) -> Dtype:
        """The source's own type, or float32 if a row is computed or comes from a source of another type."""
        own = self.sources[self.own].dtype
        used = set(np.unique(self.origins.model).tolist()) - {ZERO}
        plain = all(k >= 0 and self.sources[k].dtype is own for k in used)
        return own if plain else Dtype.F32

    @property
    def shape(self) -> tuple[int, ...]:
        """As many rows as the output's embedding has, padding included."""
        return (self.aligned.rows, *self.sources[self.own].shape[1:])

    def read(self, start: int, count: int, out: Bytes) -> None:
        """Fill ``out`` with elements ``start .. start + count``."""
        if count == 0:
            return
        width, size = self._width, self.dtype.width
        end = start + count
        edges = neighbours(self.origins, start // width, -(-end // width)).tolist()
        for first, last in itertools.pairwise(edges):
            low, high = max(start, first * width), min(end, last * width)
            self._fill(first, low - first * width, out[(low - start) * size : (high - start) * size])

    @property
    def _width(self) -> int:
        return math.prod(self.shape[1:])

    def _fill(self, first: int, offset: int, out: Bytes) -> None:
        """Fill ``out`` from ``offset`` elements into the run that begins at row ``first``."""
        code, row = int(self.origins.model[first]), int(self.origins.row[first])
        count = len(out) // self.dtype.width
        if code == ZERO:
            out[:] = 0
        elif code == MEAN:
            out.view("<f4")[:] = self._mean[(offset + np.arange(count)) % self._width]
        elif code == AVERAGE:
            out.view("<f4")[:] = self._average(first, offset, count)
        elif self.sources[code].dtype is self.dtype:
            self.sources[code].read(row * self._width + offset, count, out)
        else:
            out.view("<f4")[:] = read_widened(self.sources[code], row * self._width + offset, count)

    def _average(self, token_id: int, offset: int, count: int) -> Floats:
        parts = [
            read_widened(source, int(rows[token_id]) * self._width + offset, count)
            for source, rows in zip(self.sources, self.aligned.maps, strict=True)
            if rows[token_id] >= 0
        ]
        total = parts[0]
        with np.errstate(over="ignore", invalid="ignore"):
            for part in parts[1:]:
                total = total + part
            return total / np.float32(len(parts))

    @cached_property
    def _mean(self) -> Floats:
        """The mean of the rows that have a token: blocks folded by halves in float64, then added in order."""
        tokens, width = len(self.aligned.forced), self._width
        total = np.zeros(width)
        with np.errstate(over="ignore", invalid="ignore"):
            for first in range(0, tokens, MEAN_BLOCK_ROWS):
                rows = min(MEAN_BLOCK_ROWS, tokens - first)
                block = np.zeros((MEAN_BLOCK_ROWS, width))
                block[:rows] = read_widened(self, first * width, rows * width).reshape(rows, width)
                while len(block) > 1:
                    half = len(block) // 2
                    block = block[:half] + block[half:]
                total = total + block[0]
            return (total / tokens).astype(np.float32)


def aligned_tensors(
    output: OutputVocabulary,
    rule: TokenizerRule,
    base: ModelRef | None,
    vocabularies: Mapping[ModelRef, Vocabulary],
    sources: Mapping[ModelRef, Source],
) -> dict[ModelRef, AlignedTensor]:
    """One embedding tensor of every model that has it (``sources``, in recipe order), aligned."""
    widths = {source.shape[1:] for source in sources.values()}
    if len(widths) > 1:
        listed = "\n".join(f"  {model}: {'×'.join(map(str, s.shape))}" for model, s in sources.items())
        raise MismatchError(f"Embeddings of different widths cannot be aligned:\n{listed}")
    holders = [Holder(model, vocabularies[model], source.shape[0]) for model, source in sources.items()]
    shared = alignment(output, rule, base, holders)
    return {model: AlignedTensor(tuple(sources.values()), k, shared) for k, model in enumerate(sources)}
