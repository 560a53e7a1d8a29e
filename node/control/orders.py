"""What a node is asked to do: one frozen value for each order, valid once it is built.

Ids are 32 bytes, keys are compressed points of 33 bytes, times are unix seconds. Paths are absolute and mean the
machine that the node runs on. What the rules of a round say about the rest is checked where the records are made.
"""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from node.errors import UserError

ID_BYTES = 32

POINT_BYTES = 33


class Role(StrEnum):
    """What a node is in a round."""

    READER = "reader"
    CONTRIBUTOR = "contributor"
    STEWARD = "steward"
    CONVENER = "convener"


@dataclass(frozen=True, kw_only=True)
class BaseChoice:
    """The base of a new round: a folder on the node's disk, or what identifies it and where it can be fetched.

    With a folder the node hashes it, finds root and manifest itself, and serves it; ``locations`` may be added.
    """

    folder: Path | None = None
    root: bytes | None = None
    manifest: bytes | None = None
    locations: tuple[str, ...] = ()
    result: bytes | None = None
    """The Result or Revision that made it, when an earlier round did."""

    def __post_init__(self) -> None:
        if (self.folder is None) == (self.root is None):
            raise UserError("the base of a round is either a folder or a root; give one of the two")
        _check_path(self.folder, "the folder of the base")
        _check_id(self.root, "the root of the base")
        _check_id(self.manifest, "the manifest of the base")
        _check_id(self.result, "the result that made the base")
        if self.root is not None and self.manifest is None and not self.locations:
            raise UserError("the base is nowhere: beside its root give its manifest or a location")


@dataclass(frozen=True, kw_only=True)
class Times:
    """The schedule of a new round; each is the first second after its window."""

    commit_opens: int
    commit_closes: int
    reveal_closes: int
    roster_closes: int
    merge_closes: int


@dataclass(frozen=True, kw_only=True)
class Terms:
    """Who may contribute to a new round, what, and how much. What is left out is not restricted."""

    keys: tuple[bytes, ...] = ()
    contributions_per_key: int
    contributions: int
    bytes_each: int
    bytes_total: int
    max_norm: str | None = None
    licences: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_points(self.keys, "a key that may contribute")


@dataclass(frozen=True, kw_only=True)
class Draft:
    """A round to be opened. The node signs it: it becomes the convener."""

    title: str
    description: str | None = None
    base: BaseChoice
    recipe: str | None = None
    """A template in the language of docs/RECIPES.md; without one the default."""
    tolerance: str | None = None
    """Allowed difference, for a method that is not exact."""
    seed: bytes | None = None
    """Without one the node draws it."""
    kinds: tuple[str, ...]
    """``adapter``, ``checkpoint``, ``delta``."""
    stewards: tuple[bytes, ...] = ()
    """None: this node alone."""
    times: Times
    terms: Terms

    def __post_init__(self) -> None:
        _check_id(self.seed, "the seed of a round")
        _check_points(self.stewards, "a steward")


@dataclass(frozen=True, kw_only=True)
class RoundOrder:
    """An order that is about one round."""

    round: bytes

    def __post_init__(self) -> None:
        _check_id(self.round, "a round")


@dataclass(frozen=True, kw_only=True)
class ShowRoundOrder:
    """Show a round, with at most ``views.MAX_ENTRIES`` contributions from ``skip`` on."""

    round: bytes
    skip: int = 0

    def __post_init__(self) -> None:
        _check_id(self.round, "a round")
        if self.skip < 0:
            raise UserError(f"skip counts contributions, from 0 on; it cannot be {self.skip}")


@dataclass(frozen=True, kw_only=True)
class FollowOrder:
    """Take part in a round: the node fetches its Round record and looks after it from now on."""

    round: bytes
    role: Role = Role.READER

    def __post_init__(self) -> None:
        _check_id(self.round, "a round")


@dataclass(frozen=True, kw_only=True)
class CanJoinOrder:
    """Would this node, with such a contribution, be admitted? Whatever is None is not asked about."""

    round: bytes
    expert: Path | None = None
    """With a folder the node looks at the expert itself, as a steward would."""
    kind: str | None = None
    domain: str | None = None
    licence: str | None = None
    size: int | None = None
    """Bytes."""

    def __post_init__(self) -> None:
        _check_id(self.round, "a round")
        _check_path(self.expert, "the expert")


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A score that the contributor measured."""

    suite: str
    metric: str
    score: str
    """A decimal, such as ``0.812``."""
    items: int


@dataclass(frozen=True, kw_only=True)
class ContributeOrder:
    """Check an expert as a steward would, make a contribution of it, sign it, and look after it from then on."""

    round: bytes
    expert: Path
    kind: str | None = None
    """None: an adapter if the folder is one, else a delta."""
    domain: str
    licence: str
    title: str | None = None
    claims: tuple[Claim, ...] = ()
    derived_from: tuple[bytes, ...] = ()
    """Contributions that it was distilled from."""
    dry_run: bool = False
    """Do everything but sign and keep it."""

    def __post_init__(self) -> None:
        _check_id(self.round, "a round")
        _check_path(self.expert, "the expert")
        for one in self.derived_from:
            _check_id(one, "a contribution that this one is derived from")


@dataclass(frozen=True, kw_only=True)
class WithdrawOrder:
    """Take a contribution of this node's back."""

    contribution: bytes
    reason: str | None = None

    def __post_init__(self) -> None:
        _check_id(self.contribution, "a contribution")


@dataclass(frozen=True, kw_only=True)
class ReviseOrder:
    """As a steward, ask for the round's model to be merged anew without what was withdrawn."""

    round: bytes
    reason: str

    def __post_init__(self) -> None:
        _check_id(self.round, "a round")


@dataclass(frozen=True, kw_only=True)
class PullOrder:
    """Fetch a merged model into a folder that does not exist yet or holds the beginning of the same."""

    what: bytes
    """The id of a round, of a Result or Revision, or the root of a model that some round made."""
    out: Path
    revision: int | None = None
    """Of a round; None is the newest."""

    def __post_init__(self) -> None:
        _check_id(self.what, "what is pulled")
        _check_path(self.out, "the folder to pull into")
        if self.revision is not None and self.revision < 0:
            raise UserError(f"revisions count from 0, which is the Result; there is no revision {self.revision}")


@dataclass(frozen=True, kw_only=True)
class MaterialiseOrder:
    """Fetch what a manifest lists into a folder; of some tensors only their bytes, the others stay holes."""

    manifest: bytes
    folder: Path
    tensors: tuple[str, ...] = ()
    """Empty: all of them."""
    round: bytes | None = None
    """Ask those who take part in this round; None: everybody the node knows."""

    def __post_init__(self) -> None:
        _check_id(self.manifest, "a manifest")
        _check_id(self.round, "a round")
        _check_path(self.folder, "the folder to write")


@dataclass(frozen=True, kw_only=True)
class BlobOrder:
    """Fetch one small blob: a manifest, a recipe, a roster."""

    blob: bytes
    round: bytes | None = None
    """Ask those who take part in this round; None: everybody the node knows."""

    def __post_init__(self) -> None:
        _check_id(self.blob, "a blob")
        _check_id(self.round, "a round")


@dataclass(frozen=True, kw_only=True)
class LogOrder:
    """The last lines of the node's log, and with ``follow`` those that are still to come."""

    lines: int = 200
    follow: bool = False

    def __post_init__(self) -> None:
        if self.lines < 0:
            raise UserError(f"the number of lines is 0 or more, not {self.lines}")


def _check_id(value: bytes | None, what: str) -> None:
    if value is not None and len(value) != ID_BYTES:
        raise UserError(f"{what} is named by {ID_BYTES} bytes, written as {2 * ID_BYTES} digits; found {len(value)}")


def _check_points(points: tuple[bytes, ...], what: str) -> None:
    for point in points:
        if len(point) != POINT_BYTES or point[0] not in (2, 3):
            raise UserError(
                f"{what} is a public key of {POINT_BYTES} bytes that begins with 02 or 03, not {point[:40].hex()}; "
                "`umm key show` prints that of a node"
            )


def _check_path(path: Path | None, what: str) -> None:
    if path is not None and (not path.is_absolute() or "\0" in str(path)):
        raise UserError(f"{what} must be an absolute path, because the node has another working folder: {str(path)!r}")
