"""What a node answers: frozen values for programs to read and for people to be shown. Times are unix seconds."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from node.control.orders import Claim, Role, Terms, Times
from node.control.progress import Progress

MAX_ENTRIES = 500
"""Contributions in one answer; with the longest texts that records allow they take about 9 MB."""


@dataclass(frozen=True, kw_only=True)
class Who:
    """A node by its key."""

    point: bytes
    name: str
    """``brave-otter-41``; not unique."""
    peer_id: str


# -- the node ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Disk:
    """Bytes."""

    used: int
    """By blobs."""
    quota: int
    free: int


@dataclass(frozen=True, kw_only=True)
class JobView:
    """A piece of heavy work: checking a contribution, encoding, merging."""

    id: str
    round: bytes | None
    what: str
    state: str
    """A word of ``database.State``."""
    attempts: int
    progress: Progress | None
    trouble: str | None
    """Why it failed the last time."""


@dataclass(frozen=True, kw_only=True)
class RoundSummary:
    """A round in a list."""

    id: bytes
    title: str
    convener: Who
    roles: tuple[Role, ...]
    """What this node is in it."""
    phase: str
    """A word of ``protocol.records.Phase``."""
    phase_ends: float | None
    """None once it is closed."""
    contributions: int
    """That stand now; while they are hidden, commitments."""
    stewards: int
    quorum: int
    root: bytes | None
    """Of the newest merged model that is final."""
    revision: int | None


@dataclass(frozen=True, kw_only=True)
class NodeStatus:
    """What a node is and does."""

    version: str
    who: Who
    home: Path
    addresses: tuple[str, ...]
    """At which others reach it through the swarm."""
    exchange: str | None
    """``host:port`` of its direct road."""
    uptime_seconds: float
    paused: bool
    peers: int
    rounds: tuple[RoundSummary, ...]
    jobs: tuple[JobView, ...]
    disk: Disk


@dataclass(frozen=True, kw_only=True)
class PeerView:
    """Another node that this one is connected to, or tried to reach."""

    who: Who
    address: str
    connected: bool
    trouble: str | None


@dataclass(frozen=True, kw_only=True)
class PeerList:
    """All of them, the connected ones first."""

    peers: tuple[PeerView, ...]


@dataclass(frozen=True, kw_only=True)
class LogLine:
    """One message of the daemon."""

    at: float
    level: str
    """``info``, ``warning`` or ``error``."""
    source: str
    text: str


# -- rounds --------------------------------------------------------------------------------------------------------


class OfferState(StrEnum):
    """How far a contribution is."""

    HIDDEN = "hidden"
    """Signed and kept; commitments are not open yet."""
    COMMITTED = "committed"
    """The commitment is said, the contribution waits for the reveal."""
    REVEALED = "revealed"
    """Everybody can see it; stewards fetch and check it."""
    ACCEPTED = "accepted"
    """A quorum's ballots list it."""
    LISTED = "listed"
    """It is in the roster that the stewards decided on."""
    MERGED = "merged"
    """It is in a merged model that a quorum attested to."""
    REFUSED = "refused"
    """A steward found a fault."""
    LEFT_OUT = "left-out"
    """No fault, but a cap or a window of the round left it out."""
    WITHDRAWN = "withdrawn"
    """Its author took it back."""


class StewardState(StrEnum):
    """The last thing a steward said."""

    SILENT = "silent"
    BALLOTED = "balloted"
    VOTED = "voted"
    ATTESTED = "attested"


@dataclass(frozen=True, kw_only=True)
class StewardView:
    """A steward of a round."""

    who: Who
    state: StewardState
    since: float | None
    root: bytes | None
    """What it attested to."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A contribution in a round, by anybody."""

    id: bytes
    author: Who
    mine: bool
    kind: str
    title: str | None
    domain: str
    licence: str
    size: int
    norm: str | None
    claims: tuple[Claim, ...]
    state: OfferState
    reason: str | None


@dataclass(frozen=True, kw_only=True)
class OutcomeView:
    """A Result (revision 0) or a Revision."""

    id: bytes
    revision: int
    author: Who
    roster: bytes
    root: bytes
    manifest: bytes
    contributions: int
    endorsed_by: tuple[Who, ...]
    removed: tuple[bytes, ...]
    reason: str | None


@dataclass(frozen=True, kw_only=True)
class BaseView:
    """The base of a round; ``here`` says whether this node has it whole."""

    root: bytes
    manifest: bytes | None
    locations: tuple[str, ...]
    result: bytes | None
    here: bool


@dataclass(frozen=True, kw_only=True)
class RoundDetail:
    """All about a round that this node knows."""

    summary: RoundSummary
    description: str | None
    base: BaseView
    recipe: str
    tolerance: str | None
    seed: bytes
    kinds: tuple[str, ...]
    times: Times
    reveal_opens: float
    terms: Terms
    stewards: tuple[StewardView, ...]
    commitments: int
    entries: tuple[Entry, ...]
    """At most ``MAX_ENTRIES``; ask again with ``skip`` for those that follow."""
    total_entries: int
    outcomes: tuple[OutcomeView, ...]
    """In order of their revision."""


@dataclass(frozen=True, kw_only=True)
class RoundList:
    """The rounds that this node follows, the newest first."""

    rounds: tuple[RoundSummary, ...]


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something happened in a round."""

    round: bytes
    at: float
    what: str
    """A word for programs: ``phase``, the noun of a record that was heard, ``checked``, ``merging``, ``merged``…"""
    text: str
    """A sentence for people."""
    subject: bytes | None
    """The record or contribution that it is about."""


@dataclass(frozen=True, kw_only=True)
class Reason:
    """Why something would not be admitted, and what to do about it."""

    word: str
    """Stable, for programs: that of a rule of the ledger or of ``protocol.records.Fault``."""
    text: str


@dataclass(frozen=True, kw_only=True)
class Obstacles:
    """All reasons why not; none at all means yes."""

    reasons: tuple[Reason, ...]


@dataclass(frozen=True, kw_only=True)
class SmallBlob:
    """A small blob; its bytes are what the node found and prove themselves by the id that was asked for."""

    data: bytes


# -- own contributions ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class OfferView:
    """What is happening to a contribution of this node's."""

    id: bytes
    round: bytes
    round_title: str
    kind: str
    domain: str
    title: str | None
    state: OfferState
    reason: str | None
    since: float
    next: str | None
    """A sentence: what happens next, by whom."""
    next_at: float | None


@dataclass(frozen=True, kw_only=True)
class OfferList:
    """All of them, the newest first."""

    offers: tuple[OfferView, ...]
