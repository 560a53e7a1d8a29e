"""The records of a round that count, and why the others do not. `docs/protocol/ledger.md` is the specification.

`ledger` the rules · `room` how much is held · `windows` by the clock · `terms` by what a contribution says of itself ·
`stances` and `equivocation` who contradicts himself · `quorum` what is final · `succession` what revises it ·
`selection` what fits.
"""

from protocol.ledger.equivocation import Equivocation
from protocol.ledger.ledger import Accepted, Ledger
from protocol.ledger.quorum import attestations, locking_votes
from protocol.ledger.rules import Rule
from protocol.ledger.selection import LeftOut, Selection
from protocol.ledger.succession import check_succession

__all__ = [
    "Accepted",
    "Equivocation",
    "Ledger",
    "LeftOut",
    "Rule",
    "Selection",
    "attestations",
    "check_succession",
    "locking_votes",
]
