"""Whether models that are merged row by row, without aligning their embeddings, mean the same tokens by their
ids.
"""

from collections.abc import Mapping

from umm.checkpoint.strict import shown
from umm.checkpoint.vocabulary import Vocabulary
from umm.errors import MismatchError
from umm.listing import inline, lines
from umm.recipe.model import ModelRef


def check_compatible(vocabularies: Mapping[ModelRef, Vocabulary | None], rows: int) -> tuple[str, ...]:
    """Refuse models of which an id below ``rows`` means different tokens; return warnings about the rest.

    None stands for a model without tokenizer files, whose ids cannot be checked. A token that only some of
    the models have, at an id that the others leave unused, is no contradiction but a warning.
    """
    warnings = [
        f"{model} has no tokenizer.json, so nobody can tell whether its token ids mean what the others' do."
        for model, vocabulary in vocabularies.items()
        if vocabulary is None
    ]
    read = {model: vocabulary.within(rows) for model, vocabulary in vocabularies.items() if vocabulary}
    meaning = _Meaning()
    seen: set[bytes] = set()
    for model, vocabulary in read.items():
        if vocabulary.digest not in seen:
            seen.add(vocabulary.digest)
            meaning.include(model, vocabulary)
    return (
        *warnings,
        *(w for model, vocabulary in read.items() if (w := meaning.lacking(model, vocabulary))),
    )


class _Meaning:
    """What each id means to the models included so far."""

    def __init__(self) -> None:
        self.bytes: dict[int, bytes] = {}
        self.ids: dict[bytes, int] = {}
        self.texts: dict[int, tuple[ModelRef, str]] = {}

    def include(self, model: ModelRef, vocabulary: Vocabulary) -> None:
        """Add a model's tokens, or refuse it."""
        conflicts = []
        for token_id, text in vocabulary.spellings.items():
            data = vocabulary.bytes_of(token_id)
            if token_id not in self.bytes:
                elsewhere = self.ids.get(data)
                if elsewhere is None:
                    self.bytes[token_id], self.ids[data] = data, token_id
                    self.texts[token_id] = (model, text)
                    continue
                if elsewhere in vocabulary.spellings and vocabulary.bytes_of(elsewhere) == data:
                    continue
                conflicts.append(f"{shown(text)} is {elsewhere} in {self.texts[elsewhere][0]}, {token_id} in {model}")
            elif self.bytes[token_id] != data:
                other, other_text = self.texts[token_id]
                conflicts.append(f"id {token_id} is {shown(other_text)} in {other}, {shown(text)} in {model}")
        if conflicts:
            raise MismatchError(
                f"The models have different vocabularies ({len(conflicts)} tokens differ), so merging their "
                f"embeddings row by row would mix unrelated tokens:\n{lines(conflicts)}\n"
                "Add `tokenizer: {source: union}` (or `source: base`) to the recipe to align them by token."
            )

    def lacking(self, model: ModelRef, vocabulary: Vocabulary) -> str | None:
        """A warning if other models have tokens that this one has not."""
        missing = [text for i, (_, text) in self.texts.items() if i not in vocabulary.spellings]
        if not missing:
            return None
        named = inline([shown(t) for t in missing])
        return (
            f"{model} lacks {len(missing)} tokens that other models have ({named}); its untrained rows take "
            "part in the merge of theirs. Add `tokenizer: {source: union}` to the recipe to leave them out."
        )
