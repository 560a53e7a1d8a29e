"""What was decided: for anybody who holds the records, steward or not."""

from protocol.agreement.minutes import Minutes
from protocol.ledger import Ledger


def decision(ledger: Ledger, revision: int) -> bytes | None:
    """The roster, by its blob id, that a quorum decided in one attempt; None as long as there is none.

    Once there is one it stays, whatever liars sign later. Two would take more liars than the round can bear: then
    neither counts.
    """
    return Minutes(ledger, revision).decided
