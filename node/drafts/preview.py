"""The Round that a draft would become, as everybody would read it. Building it finds what a round cannot be."""

from node.control.orders import Draft
from node.errors import UserError
from protocol.blobs.chunks import ChunkList
from protocol.errors import MalformedError
from protocol.records import Admission, Base, Kind, Recipe, Round, Schedule
from protocol.records.forms import DIGEST_BYTES
from protocol.records.round import MAX_RECIPE

UNKNOWN = bytes(DIGEST_BYTES)
"""In place of a digest that is only known once the base was read, or the seed drawn."""


def round_of(
    draft: Draft, author: bytes, recipe: str, root: bytes | None = None, manifest: bytes | None = None
) -> Round:
    """The record. ``recipe`` is its template on one line, ``root`` and ``manifest`` are of the base's folder."""
    base, terms = draft.base, draft.terms
    try:
        return Round(
            author=author,
            title=draft.title,
            description=draft.description,
            base=Base(
                root=base.root or root or UNKNOWN,
                manifest=base.manifest or manifest or (UNKNOWN if base.folder else None),
                locations=base.locations,
                result=base.result,
            ),
            recipe=_recipe(recipe),
            tolerance=draft.tolerance,
            seed=draft.seed or UNKNOWN,
            kinds=_kinds(draft.kinds),
            stewards=draft.stewards or (author,),
            schedule=Schedule(**vars(draft.times)),
            admission=Admission(
                keys=terms.keys,
                contributions_per_key=terms.contributions_per_key,
                contributions=terms.contributions,
                bytes_each=terms.bytes_each,
                bytes_total=terms.bytes_total,
                max_norm=terms.max_norm,
                licences=terms.licences,
                domains=terms.domains,
            ),
        )
    except MalformedError as error:
        raise UserError(f"such a round cannot be: {error}") from None


def _recipe(text: str) -> Recipe:
    """In the record if it fits there, else as a blob."""
    if len(text) <= MAX_RECIPE:
        return Recipe(text=text)
    return Recipe(blob=ChunkList.of(text.encode()).id)


def _kinds(words: tuple[str, ...]) -> tuple[Kind, ...]:
    for word in words:
        if word not in tuple(Kind):
            raise UserError(f"{word!r} is no kind of contribution; there are: {', '.join(Kind)}")
    return tuple(Kind(word) for word in words)
