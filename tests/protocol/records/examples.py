"""One valid record of each kind. Keys by number: 1 is the convener, from 11 stewards, from 21 contributors."""

from dataclasses import replace
from hashlib import sha256

from protocol.identity import Key
from protocol.records import (
    Admission,
    Attestation,
    Ballot,
    Base,
    Claim,
    Commitment,
    Contribution,
    Fault,
    Kind,
    Lock,
    Proposal,
    Recipe,
    Record,
    Refusal,
    Result,
    Revision,
    Round,
    Schedule,
    Signed,
    Stage,
    Timeout,
    Vote,
    Withdrawal,
    endorsements,
    sign,
)
from tests.protocol.keys import key

HOUR = 3_600
START = 1_800_000_000

CONVENER = 1
STEWARDS = (11, 12, 13, 14)
CONTRIBUTORS = (21, 22, 23)


def digest(name: str) -> bytes:
    """32 bytes for a name."""
    return sha256(name.encode()).digest()


def by_point(numbers: tuple[int, ...]) -> list[Key]:
    """Keys in the order of their points, as records list them."""
    return sorted((key(number) for number in numbers), key=lambda k: k.public.point)


def points(numbers: tuple[int, ...]) -> tuple[bytes, ...]:
    return tuple(k.public.point for k in by_point(numbers))


SCHEDULE = Schedule(
    commit_opens=START,
    commit_closes=START + HOUR,
    reveal_closes=START + 2 * HOUR,
    roster_closes=START + 3 * HOUR,
    merge_closes=START + 4 * HOUR,
)
ADMISSION = Admission(contributions_per_key=2, contributions=10, bytes_each=1 << 32, bytes_total=1 << 36)
BASE = Base(root=digest("base"), manifest=digest("base manifest"), locations=("hf://umm/base@v1.0",))

ROUND = Round(
    author=key(CONVENER).public.point,
    title="A reasoning model for everybody",
    description="What your GPU learned, merged.",
    base=BASE,
    recipe=Recipe(text='{"merge_method":"ties"}'),
    seed=digest("seed"),
    kinds=(Kind.ADAPTER, Kind.CHECKPOINT, Kind.DELTA, Kind.DISTRIBUTIONS),
    prompts=digest("prompts"),
    stewards=points(STEWARDS),
    schedule=SCHEDULE,
    admission=ADMISSION,
)
LOCKED = Recipe(blob=digest("locked recipe"))
SIGNED_ROUND = sign(ROUND, key(CONVENER))

DURING_COMMIT = START + 60.0
DURING_REVEAL = START + HOUR + 60.0
DURING_ROSTER = START + 2 * HOUR + 60.0
DURING_MERGE = START + 3 * HOUR + 60.0


def signed_round(**changes: object) -> Signed[Round]:
    return sign(replace(ROUND, **changes), key(CONVENER))  # type: ignore[arg-type]


def contribution(author: int, name: str = "a delta", **changes: object) -> Signed[Contribution]:
    made = Contribution(
        author=key(author).public.point,
        round=SIGNED_ROUND.id,
        kind=Kind.DELTA,
        manifest=digest(f"{name} manifest"),
        root=digest(f"{name} root"),
        size=1 << 20,
        base=BASE.root,
        norm="1.5",
        domain="mathematics",
        licence="Apache-2.0",
        salt=digest(f"{name} salt"),
    )
    return sign(replace(made, **changes), key(author))  # type: ignore[arg-type]


def commitment(offer: Signed[Contribution], author: int) -> Signed[Commitment]:
    made = Commitment(author=key(author).public.point, round=offer.record.round, digest=offer.record.commitment_digest)
    return sign(made, key(author))


def withdrawal(offer: Signed[Contribution], author: int, reason: str | None = None) -> Signed[Withdrawal]:
    made = Withdrawal(author=key(author).public.point, round=offer.record.round, contribution=offer.id, reason=reason)
    return sign(made, key(author))


def vote(steward: int, roster: bytes, attempt: int = 0, stage: Stage = Stage.LOCK, revision: int = 0) -> Signed[Vote]:
    made = Vote(
        author=key(steward).public.point,
        round=SIGNED_ROUND.id,
        revision=revision,
        attempt=attempt,
        stage=stage,
        roster=roster,
    )
    return sign(made, key(steward))


def locked(*stewards: int, roster: bytes = digest("roster")) -> Lock:
    return Lock(attempt=0, roster=roster, votes=endorsements(vote(steward, roster) for steward in stewards))


def attestation(steward: int, root: bytes = digest("merged"), revision: int = 0) -> Signed[Attestation]:
    made = Attestation(
        author=key(steward).public.point,
        round=SIGNED_ROUND.id,
        revision=revision,
        roster=digest("roster"),
        root=root,
        recipe=LOCKED.digest,
    )
    return sign(made, key(steward))


def result(author: int, *stewards: int, root: bytes = digest("merged")) -> Signed[Result]:
    made = Result(
        author=key(author).public.point,
        round=SIGNED_ROUND.id,
        roster=digest("roster"),
        root=root,
        manifest=digest("merged manifest"),
        recipe=LOCKED,
        endorsements=endorsements(attestation(steward, root) for steward in stewards),
    )
    return sign(made, key(author))


def revision(author: int, *stewards: int) -> Signed[Revision]:
    made = Revision(
        author=key(author).public.point,
        round=SIGNED_ROUND.id,
        revision=1,
        previous=result(11, 11, 12, 13).id,
        removed=(contribution(21).id,),
        reason="the contributor withdrew it",
        roster=digest("roster"),
        root=digest("revised"),
        manifest=digest("revised manifest"),
        recipe=LOCKED,
        endorsements=endorsements(attestation(s, digest("revised"), revision=1) for s in stewards),
    )
    return sign(made, key(author))


def _of_a_steward(kind: type[Record], **fields: object) -> Signed[Record]:
    return sign(kind(author=key(11).public.point, round=SIGNED_ROUND.id, **fields), key(11))  # type: ignore[call-arg]


OFFER = contribution(
    21,
    title="Mathematics with worked steps",
    claims=(Claim(suite="GSM8K test", metric="exact-match", score="0.615", items=1319),),
    derived_from=(digest("another contribution"),),
    training=digest("training"),
    locations=("https://example.org/delta/",),
)
DISTRIBUTIONS = contribution(
    22, "distributions", kind=Kind.DISTRIBUTIONS, base=None, norm=None, prompts=digest("prompts")
)
REFUSAL = _of_a_steward(Refusal, contribution=OFFER.id, fault=Fault.VALUES, reason="tensor lm_head.weight has a NaN")
BALLOT = _of_a_steward(Ballot, revision=0, attempt=0, roster=digest("roster"), count=2)
PROPOSAL = _of_a_steward(
    Proposal,
    revision=0,
    attempt=1,
    roster=digest("roster"),
    ballots=(BALLOT.id,),
    timeouts=tuple(sorted(digest(n) for n in "abc")),
)
TIMEOUT = _of_a_steward(
    Timeout,
    revision=0,
    attempt=1,
    lock=locked(11, 12, 13),
)

ALL: dict[str, Signed[Record]] = {
    signed.record.noun if signed is not DISTRIBUTIONS else "distributions": signed
    for signed in (
        SIGNED_ROUND,
        commitment(OFFER, 21),
        OFFER,
        DISTRIBUTIONS,
        withdrawal(OFFER, 21, "licence unclear"),
        REFUSAL,
        BALLOT,
        PROPOSAL,
        vote(11, digest("roster")),
        TIMEOUT,
        attestation(11),
        result(11, 11, 12, 13),
        revision(12, 11, 12, 13, 14),
    )
}
"""One of each kind, and a second contribution that is of distributions."""
