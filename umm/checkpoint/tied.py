"""Input embedding and output head that are one tensor.

transformers saves a tied model without its head. Other tools write both, and fine-tunes of one base differ in
this; so whether two names are one tensor is decided here, over all the models of a merge at once.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from umm.checkpoint.config import TEXT_SECTIONS
from umm.checkpoint.ends import is_embedding, is_head
from umm.checkpoint.layers import split

Model = tuple[Mapping[str, object], Collection[str]]
"""A model's config and the names of its tensors."""


@dataclass(frozen=True)
class Tie:
    """An embedding and a head that are one tensor in at least one model.

    ``everywhere``: they are one in all of them, so the embedding is merged and written, the head is not.
    Otherwise the output is untied, and the models in ``borrowers`` (by position) lend their embedding where
    the head is wanted.
    """

    embedding: str
    head: str
    everywhere: bool
    borrowers: tuple[int, ...]


def tied(models: Sequence[Model]) -> Tie | None:
    """How the models of a merge share embedding and head, or None when none of them does."""
    names = {name for _, own in models for name in own}
    embedding = _only(n for n in names if is_embedding(n))
    head = _only(n for n in names if is_head(n) and n.endswith(".weight"))
    if embedding is None or head is None:
        return None
    unsaid = any(head not in own for _, own in models)
    shared = [_is_tied(config, own, head, unsaid=unsaid) for config, own in models]
    if not any(shared):
        return None
    borrowers = () if all(shared) else tuple(i for i, one in enumerate(shared) if one)
    return Tie(embedding, head, all(shared), borrowers)


def _is_tied(config: Mapping[str, object], names: Collection[str], head: str, *, unsaid: bool) -> bool:
    """Whether one model is tied; a config that does not say follows the other models of the merge."""
    if head not in names:
        return True
    inner = [config.get(section) for section in TEXT_SECTIONS]
    for place in [config, *(s for s in inner if isinstance(s, dict))]:
        if isinstance(said := place.get("tie_word_embeddings"), bool):
            return said
    return unsaid


def _only(names: Iterable[str]) -> str | None:
    """The one tensor outside of any layer; None when there are several."""
    outside = [n for n in names if split(n) is None]
    return outside[0] if len(outside) == 1 else None
