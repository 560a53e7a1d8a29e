"""``lineage.jsonl``: the records that a merged model comes from, one envelope per line, beside the model.

For the round that made the model: the Round, its Result, the Revisions up to the one that this model is, and every
contribution of the last roster. For a base that came from a round the same again, and so on; the oldest comes last.
With it, and with no network, anybody sees who decided what.

Rules:

1. At most ``MAX_LINEAGE_BYTES``, ``MAX_LINES`` and ``MAX_ROUNDS``. Each line ends with one line feed and is an envelope
   that verifies, in the one spelling of ``Envelope.encode``.
2. A step is a Round, a Result, Revisions in order of their numbers, contributions in ascending order of their ids.
3. All of a step belongs to its round. The ids of the contributions are the roster that the last outcome names, and
   every Revision follows from the outcome before it (``check_succession``).
4. A step that follows another ends in the outcome that the other's Round names as the origin of its base, with the
   root of that base.
5. What is not here is not claimed: that a quorum signed is checked by ``node.verify.authority``.

A roster is not stored. It is the sorted ids of the contributions.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path

from node.plainfile import read_inside
from protocol.envelope import MAX_ENVELOPE_BYTES, Envelope
from protocol.errors import ForgedError, MalformedError, TooLargeError
from protocol.ledger.succession import check_succession
from protocol.modelsigning.replacing import replace
from protocol.records import Contribution, Outcome, Record, Result, Revision, Roster, Round, Signed, open_record

LINEAGE_FILE = "lineage.jsonl"

MAX_LINEAGE_BYTES = 256 * 2**20
"""A full round, 100 000 contributions, takes about half of it."""

MAX_LINES = 131_072

MAX_ROUNDS = 64
"""How deep bases may come from rounds."""

WHAT = "the lineage"

FOLLOWERS: dict[type[Record] | None, tuple[type[Record], ...]] = {
    None: (Round,),
    Round: (Result,),
    Result: (Revision, Contribution, Round),
    Revision: (Revision, Contribution, Round),
    Contribution: (Contribution, Round),
}
"""Which kinds of records may stand on the line behind one of this kind."""


@dataclass(frozen=True)
class Step:
    """One round: what was agreed before, what came out, and what went in."""

    round: Signed[Round]
    outcomes: tuple[Signed[Outcome], ...]
    """The Result and then its Revisions, up to the one that this lineage is of."""
    contributions: tuple[Signed[Contribution], ...]
    """Those of the last roster, in order of their ids."""

    def __post_init__(self) -> None:
        if not self.outcomes or not isinstance(self.outcomes[0].record, Result):
            raise MalformedError(f"{WHAT} of round {self.round.id.hex()} does not begin with its result")
        for signed in (*self.outcomes, *self.contributions):
            if signed.record.round != self.round.id:
                raise ForgedError(
                    f"{WHAT} has a {signed.record.noun} of round {signed.record.round.hex()} "
                    f"in the place of one of {self.round.id.hex()}"
                )
        if self.roster.id != self.outcome.record.roster:
            raise ForgedError(
                f"{WHAT} has {len(self.contributions)} contributions of round {self.round.id.hex()}, and they are not "
                f"the roster {self.outcome.record.roster.hex()}: one is missing, added or exchanged; "
                "pull the model again"
            )
        self._check_chain()

    @property
    def outcome(self) -> Signed[Outcome]:
        """The Result, or the Revision that replaced it."""
        return self.outcomes[-1]

    @cached_property
    def roster(self) -> Roster:
        """The contributions that were merged."""
        return Roster(tuple(signed.id for signed in self.contributions))

    def _check_chain(self) -> None:
        """From the last roster back: what a revision removed was in the one before it."""
        after = self.roster
        for earlier, later in reversed(list(pairwise(self.outcomes))):
            if not isinstance(later.record, Revision):
                raise MalformedError(f"{WHAT} of round {self.round.id.hex()} has two results; it takes one")
            before = Roster(tuple(sorted({*after.contributions, *later.record.removed})))
            check_succession(later.record, earlier.record, before, after)
            after = before


@dataclass(frozen=True)
class Lineage:
    """The steps from a model back to the first base that this lineage knows of."""

    steps: tuple[Step, ...]

    def __post_init__(self) -> None:
        if not self.steps:
            raise MalformedError(f"{WHAT} is empty; pull the model again")
        if len(self.steps) > MAX_ROUNDS:
            raise TooLargeError(f"{WHAT} has {len(self.steps)} rounds; at most {MAX_ROUNDS} are allowed")
        for newer, older in pairwise(self.steps):
            _check_link(newer.round, older.outcome)

    @property
    def origin(self) -> bytes | None:
        """The outcome that made the last step's base and is not in this lineage; None when the lineage is complete."""
        return self.steps[-1].round.record.base.result


def parse(data: bytes) -> Lineage:
    """The lineage in a file's bytes; every signature has been verified."""
    if len(data) > MAX_LINEAGE_BYTES:
        raise TooLargeError(f"{WHAT} takes {len(data)} bytes; at most {MAX_LINEAGE_BYTES} are allowed")
    if data and not data.endswith(b"\n"):
        raise MalformedError(f"{WHAT} ends in the middle of a line; pull the model again")
    if (count := data.count(b"\n")) > MAX_LINES:
        raise TooLargeError(f"{WHAT} has {count} lines; at most {MAX_LINES} are allowed")
    return Lineage(tuple(_steps(data)))


def encode(lineage: Lineage) -> bytes:
    """The bytes that ``parse`` reads; the limits hold for what is written as for what is read."""
    lines = [signed.envelope.encode() + b"\n" for step in lineage.steps for signed in _records(step)]
    if len(lines) > MAX_LINES:
        raise TooLargeError(f"{WHAT} has {len(lines)} lines; at most {MAX_LINES} are allowed")
    if (size := sum(map(len, lines))) > MAX_LINEAGE_BYTES:
        raise TooLargeError(f"{WHAT} takes {size} bytes; at most {MAX_LINEAGE_BYTES} are allowed")
    return b"".join(lines)


def read(folder: Path) -> Lineage | None:
    """The lineage in a model folder; None where there is none."""
    data = read_inside(folder, LINEAGE_FILE, MAX_LINEAGE_BYTES)
    return None if data is None else parse(data)


def write(folder: Path, lineage: Lineage) -> None:
    """Put a lineage into a model folder, all of it or nothing."""
    data = encode(lineage)
    replace(folder / LINEAGE_FILE, lambda: data)


def _check_link(newer: Signed[Round], older: Signed[Outcome]) -> None:
    base = newer.record.base
    if base.result is None:
        raise MalformedError(f"{WHAT} goes on behind round {newer.id.hex()}, whose base came from no round")
    if older.id != base.result:
        raise ForgedError(f"{WHAT} names {older.id.hex()} as the origin of a base that came from {base.result.hex()}")
    if older.record.root != base.root:
        raise ForgedError(
            f"round {newer.id.hex()} says that its base {base.root.hex()} came from {older.id.hex()}, "
            f"which made {older.record.root.hex()}"
        )


def _records(step: Step) -> Iterator[Signed[Record]]:
    yield Signed[Record](step.round.record, step.round.envelope)
    for signed in (*step.outcomes, *step.contributions):
        yield Signed[Record](signed.record, signed.envelope)


def _steps(data: bytes) -> Iterator[Step]:
    """Lines to steps, each built as soon as the next one begins."""
    begun: _Begun | None = None
    before: type[Record] | None = None
    for number, line in enumerate(_lines(data), start=1):
        signed = _record(line, number)
        kind = type(signed.record)
        if kind not in FOLLOWERS[before]:
            where = "at its beginning" if before is None else f"behind a {before.noun}"
            raise MalformedError(f"line {number} of {WHAT} is a {kind.noun}, which has no place {where}")
        if isinstance(signed.record, Round):
            if begun is not None:
                yield begun.step()
            begun = _Begun(Signed(signed.record, signed.envelope), [], [])
        elif begun is not None:
            begun.take(signed)
        before = kind
    if begun is not None:
        yield begun.step()


@dataclass
class _Begun:
    """A step of which more lines follow."""

    round: Signed[Round]
    outcomes: list[Signed[Outcome]]
    contributions: list[Signed[Contribution]]

    def take(self, signed: Signed[Record]) -> None:
        match signed.record:
            case Outcome() as outcome:
                self.outcomes.append(Signed(outcome, signed.envelope))
            case Contribution() as contribution:
                self.contributions.append(Signed(contribution, signed.envelope))

    def step(self) -> Step:
        return Step(self.round, tuple(self.outcomes), tuple(self.contributions))


def _lines(data: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(data):
        end = data.index(b"\n", at)
        yield data[at:end]
        at = end + 1


def _record(line: bytes, number: int) -> Signed[Record]:
    if len(line) > MAX_ENVELOPE_BYTES:
        raise TooLargeError(
            f"line {number} of {WHAT} takes {len(line)} bytes; at most {MAX_ENVELOPE_BYTES} are allowed"
        )
    try:
        envelope = Envelope.parse(line)
        signed = open_record(envelope)
    except (ForgedError, MalformedError) as error:
        raise type(error)(f"line {number} of {WHAT}: {error}") from error
    if envelope.encode() != line:
        raise MalformedError(f"line {number} of {WHAT} is not in the one spelling of an envelope")
    return signed
