"""What a template becomes for a roster."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from node.recipes.template import BASE, CONTRIBUTIONS, Template, check_template
from node.recipes.text import block
from protocol.records.round import Kind
from umm.errors import RecipeError
from umm.recipe.document import load
from umm.recipe.wording import shown

MERGEABLE = frozenset({Kind.ADAPTER, Kind.CHECKPOINT, Kind.DELTA})
"""Kinds of contributions that a recipe merges; distributions are fused."""

SEED_BYTES = 8
"""Of the round's seed, little-endian, for the ``seed`` of the recipe."""


@dataclass(frozen=True)
class Member:
    """One contribution of a roster."""

    id: bytes
    kind: str
    domain: str


def expand(
    template: Template | str, roster: Sequence[Member], seed: bytes, base: str, folder: Callable[[Member], str]
) -> str:
    """The recipe of a round for a roster, as text for the ordinary engine.

    ``base`` is where the base lies and ``folder`` says where a contribution does: of a delta the expert that it makes,
    of an adapter its own folder, which is put on the base.
    """
    template = check_template(template) if isinstance(template, str) else template
    members = sorted(roster, key=lambda member: member.id)
    _check_roster(template, members)
    models: list[Mapping[str, Any]] = []
    if BASE in template.entries:
        models.append({**template.entries[BASE], "model": _reference(base)})
    for member in members:
        entry = template.entry(member.domain) or {}
        models.append({**entry, "model": _model(member, base, folder(member)), "id": member.id.hex()})
    document = {**template.document, "base_model": _reference(base), "models": models}
    document["seed"] = int.from_bytes(seed[:SEED_BYTES], "little")
    text = block(document)
    try:
        load(text, "the expanded recipe")
    except RecipeError as error:
        raise RecipeError(f"the recipe of this round cannot merge a roster of {len(members)}: {error}") from None
    return text


def _check_roster(template: Template, members: Sequence[Member]) -> None:
    if not members:
        raise RecipeError("the roster is empty, so there is nothing to merge; a round needs at least one contribution")
    if len({member.id for member in members}) != len(members):
        raise RecipeError("a contribution is in the roster twice; give each once")
    for member in members:
        _check_member(template, member)
    low, high = template.least, template.most
    if len(members) < low or (high is not None and len(members) > high):
        wanted = f"at least {low}" if high is None else f"exactly {low}" if low == high else f"{low} to {high}"
        raise RecipeError(
            f"{template.recipe.method} takes {wanted} of a round's contributions, and this roster has {len(members)}; "
            "use a method for any number, such as ties, or limit how many contributions the round accepts"
        )


def _check_member(template: Template, member: Member) -> None:
    name = f"contribution {member.id.hex()}"
    if member.kind not in MERGEABLE:
        raise RecipeError(f"{name} is of the kind {shown(member.kind)}, which no recipe merges; leave it out")
    if template.entry(member.domain) is None:
        raise RecipeError(
            f"the recipe has no entry for {name} of the domain {shown(member.domain)}; a round that accepts it needs "
            f"{CONTRIBUTIONS}/{member.domain} or {CONTRIBUTIONS} under models"
        )


def _model(member: Member, base: str, folder: str) -> str | dict[str, Any]:
    """How the recipe names a contribution: its folder, of an adapter on the base."""
    if member.kind != Kind.ADAPTER:
        return _reference(folder)
    if "@" in folder:
        raise RecipeError(f"the adapter's folder {shown(folder)} has an @ in its path, which means a revision; move it")
    if any(mark in path for path in (base, folder) for mark in "@+"):
        return {"model": {"path": base}, "lora": {"path": folder}}
    return f"{base}+{folder}"


def _reference(path: str) -> str | dict[str, Any]:
    """A model by its path, whatever marks are in it."""
    return {"model": {"path": path}} if "@" in path or "+" in path else path
