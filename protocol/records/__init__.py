"""The statements: who said what in a round. `docs/protocol/records.md` is the specification.

`forms` what a field can be · `fields` groups of them · `record` author, version, id · `round` · `contribution` ·
`agreement` · `roster` · `endorsement` · `outcome` the kinds, one family a file.
"""

from protocol.records.agreement import Ballot, Lock, Proposal, Stage, Timeout, Vote
from protocol.records.contribution import Claim, Commitment, Contribution, Fault, Refusal, Withdrawal
from protocol.records.endorsement import Endorsement, endorsements
from protocol.records.outcome import Attestation, Outcome, Result, Revision
from protocol.records.record import REGISTRY, Record, RoundRecord, Signed, open_record, sign
from protocol.records.roster import Roster
from protocol.records.round import Admission, Base, Kind, Phase, Recipe, Round, Schedule

__all__ = [
    "REGISTRY",
    "Admission",
    "Attestation",
    "Ballot",
    "Base",
    "Claim",
    "Commitment",
    "Contribution",
    "Endorsement",
    "Fault",
    "Kind",
    "Lock",
    "Outcome",
    "Phase",
    "Proposal",
    "Recipe",
    "Record",
    "Refusal",
    "Result",
    "Revision",
    "Roster",
    "Round",
    "RoundRecord",
    "Schedule",
    "Signed",
    "Stage",
    "Timeout",
    "Vote",
    "Withdrawal",
    "endorsements",
    "open_record",
    "sign",
]
