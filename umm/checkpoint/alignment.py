"""Which row of which model each row of an aligned embedding comes from.

A model that knows a token uses its own row. For a token it lacks, the fallback is, in this order:

1. what the recipe says about the token;
2. the row of the only model that has it; zero if none has it;
3. the base's row, if the base has it;
4. the average of all models that have it.

A recipe's rule with ``force`` takes the place of own rows too. Rows beyond the last token are padding: the
mean of the model's aligned rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from umm.checkpoint.output_vocabulary import OutputVocabulary
from umm.checkpoint.strict import shown
from umm.checkpoint.vocabulary import Rows, Vocabulary, row_map
from umm.errors import RecipeError
from umm.recipe.model import ModelRef, TokenizerRule, TokenRule

ZERO, AVERAGE, MEAN = -1, -2, -3
"""What stands in `Origins.model` for a row that no single model has."""


@dataclass(frozen=True)
class Holder:
    """A model that holds the tensor to align: its vocabulary and how many rows its tensor has."""

    model: ModelRef
    vocabulary: Vocabulary
    rows: int


@dataclass(frozen=True)
class Origins:
    """For each output row, a position in the list of models (or one of the codes above) and a row of that
    model.

    For codes, ``row`` only says which neighbours are alike: it counts up through rows that can be filled
    together.
    """

    model: NDArray[np.int64]
    row: Rows


@dataclass(frozen=True)
class Alignment:
    """Where the rows of every model's aligned tensor come from; ``maps`` has one row map for each model."""

    maps: tuple[Rows, ...]
    fallback: Origins
    forced: NDArray[np.bool_]
    rows: int

    def origins(self, own: int) -> Origins:
        """The origins of the rows of the model at position ``own``, padding included."""
        kept = (self.maps[own] >= 0) & ~self.forced
        model = np.where(kept, own, self.fallback.model)
        row = np.where(kept, self.maps[own], self.fallback.row)
        padding = self.rows - len(model)
        return Origins(
            np.concatenate([model, np.full(padding, MEAN)]),
            np.concatenate([row, np.arange(padding, dtype=np.int64)]),
        )


def alignment(
    output: OutputVocabulary, rule: TokenizerRule, base: ModelRef | None, holders: Sequence[Holder]
) -> Alignment:
    """Align the ``holders``, in recipe order, to ``output``; ``base`` is the recipe's, if it names one."""
    maps = tuple(row_map(output.tokens, h.vocabulary, h.rows) for h in holders)
    models = [h.model for h in holders]
    fallback = _fallback(maps, models.index(base) if base in models else None)
    forced = np.zeros(output.tokens.size, dtype=np.bool_)
    for text, token_rule in rule.tokens.items():
        token_id = output.tokens.by_spelling[text]
        forced[token_id] = token_rule.force
        needed = token_rule.force or any(m[token_id] < 0 for m in maps)
        if needed and token_rule.kind != "default":
            fallback.model[token_id], fallback.row[token_id] = _ruled(text, token_rule, token_id, maps, holders)
    return Alignment(maps, fallback, forced, output.rows)


def _fallback(maps: tuple[Rows, ...], base: int | None) -> Origins:
    stacked = np.stack(maps)
    holds = stacked >= 0
    count = holds.sum(axis=0)
    model = np.where(count == 0, ZERO, AVERAGE)
    if base is not None:
        model[holds[base]] = base
    model[count == 1] = holds.argmax(axis=0)[count == 1]
    ids = np.arange(stacked.shape[1])
    # Averages are computed one by one, so no two of them are neighbours.
    row = np.where(model >= 0, stacked[np.maximum(model, 0), ids], np.where(model == ZERO, ids, 0))
    return Origins(model, row)


def _ruled(
    text: str, rule: TokenRule, token_id: int, maps: tuple[Rows, ...], holders: Sequence[Holder]
) -> tuple[int, int]:
    """The origin that the recipe's rule gives to the token spelled ``text``."""
    if rule.kind == "zero":
        return ZERO, token_id
    place = next((k for k, h in enumerate(holders) if h.model == rule.model), None)
    if place is None:
        known = ", ".join(str(h.model) for h in holders)
        raise RecipeError(
            f"tokenizer: token {shown(text)} is to come from {rule.model}, which takes no part here or has "
            f"no such embedding; the models that do are {known}."
        )
    row = int(maps[place][token_id]) if rule.kind == "model" else _named_row(rule, holders[place])
    if not 0 <= row < holders[place].rows:
        raise RecipeError(
            f"tokenizer: token {shown(text)} is to come from {rule.model}, which has no row for it "
            f"(it has {holders[place].rows} rows)."
        )
    return place, row


def _named_row(rule: TokenRule, holder: Holder) -> int:
    if rule.token_id is not None:
        return rule.token_id
    return holder.vocabulary.by_spelling.get(rule.token or "", -1)


def neighbours(origins: Origins, first: int, last: int) -> NDArray[np.int64]:
    """Where, in output rows ``first ..

    last``, runs begin that one read can fill, and ``last`` itself at the end.
    """
    model, row = origins.model[first:last], origins.row[first:last]
    breaks = np.flatnonzero((np.diff(model) != 0) | (np.diff(row) != 1)) + 1
    return np.concatenate([[first], first + breaks, [last]]).astype(np.int64)
