"""What verifying has found: what was checked, what was not, what to do. Plain data; ``wording`` turns it into text.

The document for programs (``Report.document``) has stable keys and words: those of the enumerations below. New ones
may be added; none changes its meaning.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

VERSION = 1
"""Of the document."""

OK, FAILED, UNREACHABLE = 0, 3, 4
"""Exit codes: everything that was asked for holds; something does not; something could not be decided."""

MAX_FINDINGS = 32
"""Of one kind in one check; a folder of another model would have a finding for each tensor."""


class Level(StrEnum):
    """How much is checked, from cheap to complete. A proof is somebody else's."""

    INTEGRITY = "integrity"
    AUTHORITY = "authority"
    AUDIT = "audit"
    RECOMPUTE = "recompute"
    LINEAGE = "lineage"
    PROOF = "proof"


class State(StrEnum):
    """How a check ended."""

    PASSED = "passed"
    FAILED = "failed"
    OPEN = "open"
    """It could not be decided: something that it needs is not here."""
    SKIPPED = "skipped"
    """It was not asked for, or a cheaper check had failed."""


class Gravity(StrEnum):
    """What a finding means for its check."""

    FAULT = "fault"
    MISSING = "missing"
    WARNING = "warning"
    NOTE = "note"


class What(StrEnum):
    """What was found: words for programs."""

    ROOT_DIFFERS = "root-differs"
    TENSOR_DIFFERS = "tensor-differs"
    TENSOR_MISSING = "tensor-missing"
    TENSOR_ADDED = "tensor-added"
    FILE_DIFFERS = "file-differs"
    FILE_MISSING = "file-missing"
    FILE_ADDED = "file-added"
    FOLDER_BROKEN = "folder-broken"
    NOT_COVERED = "not-covered"
    MANIFEST_WRONG = "manifest-wrong"
    SUPERSEDED = "superseded"
    SIGNATURE_WRONG = "signature-wrong"
    SIGNATURE_UNKNOWN = "signature-unknown"
    LINEAGE_MISSING = "lineage-missing"
    LINEAGE_BROKEN = "lineage-broken"
    LINEAGE_CUT = "lineage-cut"
    ROUND_DIFFERS = "round-differs"
    QUORUM_MISSING = "quorum-missing"
    RECIPE_DIFFERS = "recipe-differs"
    AUTHOR_STRANGE = "author-strange"
    RULE_BROKEN = "rule-broken"
    MERGE_DIFFERS = "merge-differs"
    MERGE_UNEXPECTED = "merge-unexpected"
    MERGE_INCOMPLETE = "merge-incomplete"
    MERGE_FAILED = "merge-failed"
    VALUES_STRANGE = "values-strange"
    TOLERANCE = "tolerance"
    NOT_REPEATABLE = "not-repeatable"
    MATERIAL_MISSING = "material-missing"
    MATERIAL_WRONG = "material-wrong"
    BASE_DIFFERS = "base-differs"
    PROOF_BROKEN = "proof-broken"
    PROOF_FALSE = "proof-false"
    PROOF_UNSETTLED = "proof-unsettled"


@dataclass(frozen=True)
class Finding:
    """One thing that was found. ``text`` says what and where, ``advice`` what to do; both are safe to print."""

    what: What
    gravity: Gravity
    text: str
    advice: str = ""
    subject: str = ""
    """The tensor, file or record that it is about, as it is called, unescaped: for programs."""

    @property
    def document(self) -> dict[str, Any]:
        """As JSON's own types."""
        return {
            "what": self.what.value,
            "gravity": self.gravity.value,
            "text": self.text,
            "advice": self.advice,
            "subject": self.subject,
        }


@dataclass(frozen=True)
class Check:
    """One level, or one part of it: what was done and what was found."""

    level: Level
    state: State
    summary: str
    findings: tuple[Finding, ...] = ()
    seconds: float = 0.0
    bytes_read: int = 0

    @classmethod
    def of(
        cls, level: Level, summary: str, findings: Iterable[Finding], *, seconds: float = 0.0, bytes_read: int = 0
    ) -> "Check":
        """A check that was done; its state follows from what was found."""
        found = tuple(findings)
        return cls(level, state_of(found), summary, shortened(found), seconds, bytes_read)

    @property
    def document(self) -> dict[str, Any]:
        """As JSON's own types."""
        return {
            "level": self.level.value,
            "state": self.state.value,
            "summary": self.summary,
            "findings": [finding.document for finding in self.findings],
            "seconds": round(self.seconds, 6),
            "bytes_read": self.bytes_read,
        }


@dataclass(frozen=True)
class Somebody:
    """A key, and the name that people have for it."""

    name: str
    point: bytes

    @property
    def document(self) -> dict[str, str]:
        """As JSON's own types."""
        return {"name": self.name, "point": self.point.hex()}


@dataclass(frozen=True)
class Believed:
    """Whose word everything rests on, and whether the user said beforehand that it should."""

    round: bytes
    title: str
    convener: Somebody
    stewards: tuple[Somebody, ...]
    quorum: int
    pinned: bool

    @property
    def document(self) -> dict[str, Any]:
        """As JSON's own types."""
        return {
            "round": self.round.hex(),
            "title": self.title,
            "convener": self.convener.document,
            "stewards": [steward.document for steward in self.stewards],
            "quorum": self.quorum,
            "pinned": self.pinned,
        }


@dataclass(frozen=True)
class Chance:
    """A cheat that touches ``share`` of the tensors, ``touched`` of them, goes undetected with this probability."""

    share: float
    touched: int
    slips_through: float

    @property
    def document(self) -> dict[str, Any]:
        """As JSON's own types."""
        return {"share": self.share, "touched": self.touched, "slips_through": self.slips_through}


@dataclass(frozen=True)
class Sample:
    """Which tensors an audit looked at, and what that is worth."""

    tensors: tuple[str, ...]
    of: int
    chances: tuple[Chance, ...]

    @property
    def document(self) -> dict[str, Any]:
        """As JSON's own types."""
        return {"tensors": list(self.tensors), "of": self.of, "chances": [c.document for c in self.chances]}


@dataclass(frozen=True)
class Report:
    """The answer of ``umm verify``."""

    subject: str
    """The folder or file that was verified, as the user named it."""
    root: bytes | None
    """What the folder is, whatever anybody says about it; None where it could not be read."""
    checks: tuple[Check, ...]
    believed: Believed | None = None
    sample: Sample | None = None
    fault_proof: str | None = None
    """The file that was written for others to check."""

    @property
    def code(self) -> int:
        """The exit code: the worst state of what was checked."""
        states = {check.state for check in self.checks}
        if State.FAILED in states:
            return FAILED
        return UNREACHABLE if State.OPEN in states else OK

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Of all checks."""
        return tuple(finding for check in self.checks for finding in check.findings)

    @property
    def document(self) -> dict[str, Any]:
        """As JSON's own types; see docs/VERIFYING.md for the keys."""
        return {
            "version": VERSION,
            "subject": self.subject,
            "root": self.root.hex() if self.root else None,
            "code": self.code,
            "checks": [check.document for check in self.checks],
            "believed": self.believed.document if self.believed else None,
            "sample": self.sample.document if self.sample else None,
            "fault_proof": self.fault_proof,
        }


def state_of(findings: Iterable[Finding]) -> State:
    """What the findings of a check make of it."""
    grave = {finding.gravity for finding in findings}
    if Gravity.FAULT in grave:
        return State.FAILED
    return State.OPEN if Gravity.MISSING in grave else State.PASSED


def shortened(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """At most ``MAX_FINDINGS`` of each kind; the last one then says how many more there are."""
    kept: list[Finding] = []
    counts: dict[What, int] = {}
    for finding in findings:
        counts[finding.what] = counts.get(finding.what, 0) + 1
        if counts[finding.what] <= MAX_FINDINGS:
            kept.append(finding)
    for what, count in counts.items():
        if count > MAX_FINDINGS:
            like = next(finding for finding in findings if finding.what is what)
            kept.append(Finding(what, like.gravity, f"… and {count - MAX_FINDINGS} more of this kind ({what})"))
    return tuple(kept)
