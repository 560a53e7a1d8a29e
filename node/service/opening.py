"""Opening a round: the base is hashed and served, the recipe checked, the record signed and announced."""

import asyncio
import secrets
from collections.abc import Callable

from node.control.orders import BaseChoice, Draft
from node.errors import UserError
from node.recipes import DEFAULT_TEMPLATE, check_template
from node.rounds.followed import Rounds
from node.rounds.materials import Materials
from node.services import Services
from protocol.blobs.store import LOCAL, Store
from protocol.records import Admission, Base, Kind, Recipe, Round, Schedule, Signed, sign
from protocol.records.round import MAX_RECIPE

SEED_BYTES = 32


async def open_round(
    draft: Draft, services: Services, rounds: Rounds, materials: Materials, say: Callable[[str], None]
) -> Signed[Round]:
    """The round, signed by this node and followed by it."""
    template = await asyncio.to_thread(check_template, draft.recipe or DEFAULT_TEMPLATE)
    if not template.exact and draft.tolerance is None:
        raise UserError("this method does not give everybody the same bits; give a tolerance, or choose another method")
    if draft.times.reveal_closes <= services.clock():
        raise UserError("the schedule is over before it begins; give times in the future")
    say("hashing the base")
    base = await _base(draft.base, materials)
    record = Round(
        author=services.key.public.point,
        title=draft.title,
        description=draft.description,
        base=base,
        recipe=await _recipe(template.one_line, services.store),
        tolerance=draft.tolerance,
        seed=draft.seed or secrets.token_bytes(SEED_BYTES),
        kinds=tuple(sorted((_kind(word) for word in set(draft.kinds)), key=lambda kind: kind.value)),
        stewards=tuple(sorted(set(draft.stewards))) or (services.key.public.point,),
        schedule=Schedule(
            commit_opens=draft.times.commit_opens,
            commit_closes=draft.times.commit_closes,
            reveal_closes=draft.times.reveal_closes,
            roster_closes=draft.times.roster_closes,
            merge_closes=draft.times.merge_closes,
        ),
        admission=Admission(
            keys=tuple(sorted(set(draft.terms.keys))),
            contributions_per_key=draft.terms.contributions_per_key,
            contributions=draft.terms.contributions,
            bytes_each=draft.terms.bytes_each,
            bytes_total=draft.terms.bytes_total,
            max_norm=draft.terms.max_norm,
            licences=tuple(sorted(set(draft.terms.licences))),
            domains=tuple(sorted(set(draft.terms.domains))),
        ),
    )
    signed = sign(record, services.key)
    say("announcing the round")
    conductor = await rounds.follow(signed)
    await conductor.step()
    return signed


async def _recipe(text: str, store: Store) -> Recipe:
    if len(text) <= MAX_RECIPE:
        return Recipe(text=text)
    chunks = await store.off_loop(store.put, text.encode(), LOCAL)
    return Recipe(blob=chunks.id)


async def _base(choice: BaseChoice, materials: Materials) -> Base:
    if choice.folder is None:
        if choice.root is None:
            raise UserError("a round has a base: give its folder, or its root")
        return Base(root=choice.root, manifest=choice.manifest, locations=choice.locations, result=choice.result)
    manifest = await materials.serve(choice.folder)
    return Base(root=manifest.root, manifest=manifest.id, locations=choice.locations, result=choice.result)


def _kind(word: str) -> Kind:
    try:
        kind = Kind(word)
    except ValueError:
        raise UserError(f"there is no kind of contribution {word!r}; there are adapter, checkpoint and delta") from None
    if kind is Kind.DISTRIBUTIONS:
        raise UserError("rounds with distributions cannot be opened yet; choose among adapter, checkpoint and delta")
    return kind
