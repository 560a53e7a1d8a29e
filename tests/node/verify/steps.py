"""Signed records of whole rounds, without a model behind them. Keys by number: 1 convenes, 11 to 14 are stewards."""

from collections.abc import Sequence
from typing import Any

from node.lineage import Step
from protocol.records import (
    Admission,
    Attestation,
    Base,
    Contribution,
    Kind,
    Outcome,
    Recipe,
    Result,
    Revision,
    Roster,
    Round,
    Schedule,
    Signed,
    endorsements,
    sign,
)
from tests.protocol.keys import key
from tests.protocol.records.examples import digest, points

START = 1_800_000_000
TEMPLATE = (
    '{"base_model":"base","dtype":"bfloat16","merge_method":"task_arithmetic",'
    '"models":[{"model":"contributions","parameters":{"weight":0.5}}]}'
)
SCHEDULE = Schedule(
    commit_opens=START,
    commit_closes=START + 60,
    reveal_closes=START + 120,
    roster_closes=START + 180,
    merge_closes=START + 240,
)
ADMISSION = Admission(contributions_per_key=2, contributions=10, bytes_each=1 << 32, bytes_total=1 << 36)
ORIGINAL = Base(root=digest("base"), manifest=digest("base manifest"))


def a_round(*, stewards: tuple[int, ...] = (11,), base: Base = ORIGINAL, **changes: Any) -> Signed[Round]:
    fields: dict[str, Any] = {
        "author": key(1).public.point,
        "title": "A round",
        "base": base,
        "recipe": Recipe(text=TEMPLATE),
        "seed": digest("seed"),
        "kinds": (Kind.ADAPTER, Kind.CHECKPOINT, Kind.DELTA),
        "stewards": points(stewards),
        "schedule": SCHEDULE,
        "admission": ADMISSION,
    }
    return sign(Round(**(fields | changes)), key(1))


def an_offer(round_: Signed[Round], author: int, name: str = "expert", **changes: Any) -> Signed[Contribution]:
    fields: dict[str, Any] = {
        "author": key(author).public.point,
        "round": round_.id,
        "kind": Kind.CHECKPOINT,
        "manifest": digest(f"{name} manifest"),
        "root": digest(f"{name} root"),
        "size": 1 << 20,
        "base": round_.record.base.root,
        "domain": "mathematics",
        "licence": "Apache-2.0",
        "salt": digest(f"{name} {author} salt"),
    }
    return sign(Contribution(**(fields | changes)), key(author))


def in_order(offers: Sequence[Signed[Contribution]]) -> tuple[Signed[Contribution], ...]:
    return tuple(sorted(offers, key=lambda offer: offer.id))


def an_outcome(
    round_: Signed[Round],
    offers: Sequence[Signed[Contribution]],
    signers: Sequence[int],
    *,
    root: bytes = digest("merged"),
    manifest: bytes = digest("merged manifest"),
    recipe: Recipe | None = None,
    author: int | None = None,
    after: Signed[Outcome] | None = None,
    removed: tuple[bytes, ...] = (),
    **changes: Any,
) -> Signed[Outcome]:
    """A Result, or the Revision that follows ``after``."""
    recipe = recipe or round_.record.recipe
    roster = Roster(tuple(offer.id for offer in in_order(offers))).id
    number = after.record.number + 1 if after else 0
    said = [
        sign(
            Attestation(
                author=key(one).public.point,
                round=round_.id,
                revision=number,
                roster=roster,
                root=root,
                recipe=recipe.digest,
            ),
            key(one),
        )
        for one in signers
    ]
    publisher = key(author or signers[0])
    fields: dict[str, Any] = {
        "author": publisher.public.point,
        "round": round_.id,
        "roster": roster,
        "root": root,
        "manifest": manifest,
        "recipe": recipe,
        "endorsements": endorsements(said),
    }
    if after is None:
        return sign(Result(**(fields | changes)), publisher)
    more = {"revision": number, "previous": after.id, "removed": removed, "reason": "taken back"}
    return sign(Revision(**(fields | more | changes)), publisher)


def a_step(authors: Sequence[int] = (21, 22), signers: Sequence[int] = (11,), **of_round: Any) -> Step:
    """A round with a contribution of each author and a Result."""
    round_ = a_round(stewards=tuple(signers), **of_round)
    offers = in_order([an_offer(round_, author) for author in authors])
    return Step(round_, (an_outcome(round_, offers, signers),), offers)


def a_revised_step(round_: Signed[Round] | None = None) -> Step:
    """Three contributions; one is taken out, then another one; the third revision corrects the merge."""
    round_ = round_ or a_round()
    first, second, third = offers = in_order([an_offer(round_, author) for author in (21, 22, 23)])
    result = an_outcome(round_, offers, [11])
    one = an_outcome(
        round_, [second, third], [11], after=result, removed=(first.id,), root=digest("one"), manifest=digest("m1")
    )
    two = an_outcome(round_, [second], [11], after=one, removed=(third.id,), root=digest("two"), manifest=digest("m2"))
    three = an_outcome(round_, [second], [11], after=two, root=digest("three"), manifest=digest("m3"))
    return Step(round_, (result, one, two, three), (second,))


def above(step: Step, **of_round: Any) -> Step:
    """A round whose base is what ``step`` made."""
    said = step.outcome
    base = Base(root=said.record.root, manifest=said.record.manifest, result=said.id)
    return a_step(base=base, title="A later round", **of_round)
