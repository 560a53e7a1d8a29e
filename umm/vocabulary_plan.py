"""What a recipe's tokenizer rule means for one merge: the output's vocabulary, its files, its aligned embeddings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from umm.checkpoint.compatible import check_compatible
from umm.checkpoint.embeddings import aligned_tensors, embedding_names
from umm.checkpoint.output_vocabulary import OUTDATED_FILES, OutputVocabulary, output_vocabulary
from umm.checkpoint.source import Source
from umm.checkpoint.vocabulary import TOKENIZER_FILE, Vocabulary, vocabularies
from umm.model import Model, Models
from umm.recipe.model import ModelRef, Recipe, TokenizerRule

NO_TOKENIZER = (
    "no model has a tokenizer.json, so nobody can tell whether their token ids mean the same; the output gets "
    "the tokenizer files of {donor}, if it has any"
)


@dataclass(frozen=True)
class VocabularyPlan:
    """How token ids line up. Without an ``output`` they already do, and nothing is moved."""

    embeddings: frozenset[str]
    output: OutputVocabulary | None = None
    rule: TokenizerRule = field(default_factory=TokenizerRule)
    base: ModelRef | None = None
    vocabularies: Mapping[ModelRef, Vocabulary] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def align(self, name: str, members: Sequence[tuple[Model, str]]) -> list[Source]:
        """The inputs of one output tensor, their rows moved to the output's vocabulary if it is an embedding."""
        plain = [model.source(stored) for model, stored in members]
        if self.output is None or name not in self.embeddings:
            return plain
        by_model = {model.ref: source for (model, _), source in zip(members, plain, strict=True)}
        moved = aligned_tensors(self.output, self.rule, self.base, self.vocabularies, by_model)
        return [moved[model.ref] for model, _ in members]

    def files(self, donor: Model, models: Models) -> dict[str, bytes]:
        """The tokenizer and generation files of the output."""
        if self.output is None:
            return {name: donor.checkpoint.small_file(name) for name in donor.checkpoint.small_files()}
        giver = models[self.output.donor].checkpoint
        changed = dict(self.output.files)
        left_out = {*changed, *(OUTDATED_FILES if changed else ())}
        return {name: giver.small_file(name) for name in giver.small_files() if name not in left_out} | changed


def plan_vocabulary(recipe: Recipe, models: Models, donor: Model) -> VocabularyPlan:
    """Check that ids mean the same tokens everywhere, or find how to make them so."""
    names = frozenset(embedding_names(donor.config, donor.shapes))
    rows = {m.ref: _rows(m) for m in (models[r] for r in recipe.models())}
    if recipe.tokenizer is None:
        known = vocabularies(
            _folders(models, [m for m in rows if TOKENIZER_FILE in models[m].checkpoint.small_files()])
        )
        if not known:
            return VocabularyPlan(names, warnings=(NO_TOKENIZER.format(donor=donor.ref),))
        return VocabularyPlan(names, warnings=check_compatible({m: known.get(m) for m in rows}, min(rows.values())))
    wanted = list(rows)
    source = recipe.tokenizer.source
    if isinstance(source, ModelRef) and source not in rows:
        wanted.append(source)
    read = vocabularies(_folders(models, wanted))
    within = {ref: v.within(rows[ref]) if rows.get(ref) else v for ref, v in read.items()}
    output = output_vocabulary(recipe.tokenizer, donor.ref, within)
    if recipe.tokenizer.pad_to_multiple_of is None:
        output = replace(output, rows=max(output.rows, rows.get(output.donor, 0)))
    return VocabularyPlan(names, output, recipe.tokenizer, recipe.base, within, output.warnings)


def _rows(model: Model) -> int:
    """How many tokens a model's embedding has rows for."""
    shapes = [model.shapes[n] for n in embedding_names(model.config, model.shapes)]
    return max((s[0] for s in shapes), default=0)


def _folders(models: Models, refs: Sequence[ModelRef]) -> dict[ModelRef, Path]:
    return {ref: models[ref].checkpoint.folder for ref in refs}
