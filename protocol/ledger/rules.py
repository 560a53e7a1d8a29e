"""The names of the rules by which a ledger refuses; what each says stands in `ledger`."""

from enum import StrEnum


class Rule(StrEnum):
    """``RuleError.rule``: which rule refused."""

    ROUND = "round"
    STEWARDS = "stewards"
    ADMISSION = "admission"
    EARLY = "early"
    TERMS = "terms"
    AUTHOR = "author"
    QUORUM = "quorum"
    ROOM = "room"
    SUCCESSION = "succession"
