"""Whether a round takes a contribution of this kind, size, licence: what its record alone shows."""

from collections.abc import Iterator
from decimal import Decimal

from protocol.errors import RuleError
from protocol.ledger.rules import Rule
from protocol.records import Contribution, Kind, Round


def check_terms(offer: Contribution, round_: Round) -> None:
    """Refuse a contribution with everything that is wrong with it, in one message."""
    if wrong := list(_faults(offer, round_)):
        raise RuleError(Rule.TERMS, f"the round does not take this contribution: {'; '.join(wrong)}")


def _faults(offer: Contribution, round_: Round) -> Iterator[str]:
    admission = round_.admission
    if offer.kind not in round_.kinds:
        yield f"it is of the kind {offer.kind.value}; accepted are {', '.join(round_.kinds)}"
    elif offer.kind is Kind.DISTRIBUTIONS and offer.prompts != round_.prompts:
        yield "it is made on other prompts than the round's"
    elif offer.kind is not Kind.DISTRIBUTIONS and offer.base != round_.base.root:
        yield "it is measured from another base than the round's"
    if offer.size > admission.bytes_each:
        yield f"it has {offer.size} bytes; at most {admission.bytes_each} are allowed"
    if admission.licences and offer.licence not in admission.licences:
        yield f"its licence is {offer.licence}; accepted are {', '.join(admission.licences)}"
    if admission.domains and offer.domain not in admission.domains:
        yield f"its domain is {offer.domain}; accepted are {', '.join(admission.domains)}"
    if admission.max_norm is not None and offer.kind is not Kind.DISTRIBUTIONS:
        if offer.norm is None:
            yield "it does not state its norm, which this round limits"
        elif Decimal(offer.norm) > Decimal(admission.max_norm):
            yield f"its norm is {offer.norm}; at most {admission.max_norm} is allowed"
