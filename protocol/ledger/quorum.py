"""Whether a Result is final: a quorum of the round's stewards signed the same round, roster and root.

It takes the Round and the Result and nothing else: no network, no ledger.
"""

from protocol.envelope import Envelope, Signature
from protocol.errors import ForgedError, RuleError
from protocol.identity import PublicKey
from protocol.ledger.rules import Rule
from protocol.records import Attestation, Endorsement, Outcome, Round, Signed


def attestations(outcome: Outcome, round_: Signed[Round]) -> tuple[Signed[Attestation], ...]:
    """The attestations behind a Result or Revision, each verified; raises unless they are a quorum."""
    what, stewards = f"the {outcome.noun}", round_.record.stewards
    if outcome.round != round_.id:
        raise RuleError(Rule.ROUND, f"{what} is of round {outcome.round.hex()}, not of {round_.id.hex()}")
    if strangers := [e.author for e in outcome.endorsements if e.author not in stewards]:
        raise RuleError(Rule.QUORUM, f"{what} is endorsed by {strangers[0].hex()}, who is no steward of the round")
    if len(outcome.endorsements) < round_.record.quorum:
        raise RuleError(
            Rule.QUORUM,
            f"{what} has {len(outcome.endorsements)} endorsements; it takes {round_.record.quorum} of {len(stewards)}",
        )
    return tuple(_attestation(outcome, endorsement) for endorsement in outcome.endorsements)


def _attestation(outcome: Outcome, endorsement: Endorsement) -> Signed[Attestation]:
    """What this steward signed: every word of it stands in the outcome."""
    said = Attestation(
        author=endorsement.author,
        round=outcome.round,
        revision=outcome.number,
        roster=outcome.roster,
        root=outcome.root,
    )
    signature = Signature(PublicKey.from_point(endorsement.author), endorsement.signature)
    try:
        return Signed(said, Envelope(said.payload_type, said.payload(), (signature,)))
    except ForgedError as error:
        raise ForgedError(f"the {outcome.noun} holds an endorsement that proves nothing: {error}") from None
