"""Level 2: whether those who may decide in a round decided on this, from its records alone.

The records prove who signed what. That this round, with these stewards, is the one that the user means, no record can
prove: the user says so (``pinned``), or the report says plainly whose word is being believed.
"""

from collections import Counter
from collections.abc import Iterator

from node.lineage import Step
from node.verify.report import Believed, Finding, Gravity, Somebody, What
from protocol.errors import ProtocolError
from protocol.identity import PublicKey
from protocol.ledger.quorum import attestations
from protocol.ledger.terms import check_terms
from protocol.records import Contribution, Outcome, Round, Signed

DISTRUST = "do not use this model: its round did not decide on it"


def believed(step: Step, pinned: bytes | None) -> Believed:
    """Whose word the outcome of a step rests on."""
    round_ = step.round
    stewards = tuple(_somebody(point) for point in round_.record.stewards)
    convener = _somebody(round_.record.author)
    return Believed(round_.id, round_.record.title, convener, stewards, round_.record.quorum, pinned == round_.id)


def check_authority(step: Step, pinned: bytes | None = None) -> Iterator[Finding]:
    """What is wrong with the decisions of one round."""
    if pinned is not None and pinned != step.round.id:
        text = f"the lineage is of round {step.round.id.hex()}, not of {pinned.hex()}"
        yield _fault(What.ROUND_DIFFERS, text, "check the id with whoever told you about the round, or pull that round")
    for outcome in step.outcomes:
        yield from check_outcome(outcome, step.round)
    yield from _contributions(step)


def check_outcome(outcome: Signed[Outcome], round_: Signed[Round]) -> Iterator[Finding]:
    """What is wrong with one Result or Revision."""
    name = _name(outcome)
    try:
        attestations(outcome.record, round_)
    except ProtocolError as error:
        yield _fault(What.QUORUM_MISSING, f"{name} is not final: {error}", DISTRUST)
    if outcome.record.author not in round_.record.stewards:
        text = f"{name} was published by {PublicKey.from_point(outcome.record.author).name}, who is no steward"
        yield _fault(What.AUTHOR_STRANGE, text, DISTRUST)
    if outcome.record.recipe.digest != round_.record.recipe.digest:
        text = (
            f"{name} was merged with the recipe {outcome.record.recipe.digest.hex()}; the round announced "
            f"{round_.record.recipe.digest.hex()}"
        )
        yield _fault(What.RECIPE_DIFFERS, text, DISTRUST)


def _contributions(step: Step) -> Iterator[Finding]:
    """What the round's own rules would have refused."""
    admission = step.round.record.admission
    for offer in step.contributions:
        try:
            check_terms(offer.record, step.round.record)
        except ProtocolError as error:
            yield _broken(offer, str(error))
        if admission.keys and offer.record.author not in admission.keys:
            yield _broken(offer, "its author is not on the round's list")
    for author, count in Counter(offer.record.author for offer in step.contributions).items():
        if count > admission.contributions_per_key:
            text = f"{PublicKey.from_point(author).name} has {count} contributions in the roster; "
            yield _fault(What.RULE_BROKEN, f"{text}{admission.contributions_per_key} are allowed", DISTRUST)
    for found, most, noun in (
        (len(step.contributions), admission.contributions, "contributions"),
        (sum(offer.record.size for offer in step.contributions), admission.bytes_total, "bytes of contributions"),
    ):
        if found > most:
            yield _fault(What.RULE_BROKEN, f"the roster has {found} {noun}; the round allows {most}", DISTRUST)


def _broken(offer: Signed[Contribution], why: str) -> Finding:
    text = f"contribution {offer.id.hex()} is in the roster against the round's rules: {why}"
    return Finding(What.RULE_BROKEN, Gravity.FAULT, text, DISTRUST, offer.id.hex())


def _name(outcome: Signed[Outcome]) -> str:
    number = f" {outcome.record.number}" if outcome.record.number else ""
    return f"the {outcome.record.noun}{number} {outcome.id.hex()}"


def _somebody(point: bytes) -> Somebody:
    return Somebody(PublicKey.from_point(point).name, point)


def _fault(what: What, text: str, advice: str) -> Finding:
    return Finding(what, Gravity.FAULT, text, advice)
