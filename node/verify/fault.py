"""``fault.umm``: a file that shows others that a published model is not what its round decided. docs/protocol/faults.md
is the specification.

What it proves by itself: that a quorum of the round's stewards signed a root, that under this root the tensor has
this leaf, which contributions they say they merged, and what the tensors of the base and of the contributions are
called (their blob ids) from which anybody can merge this one tensor again. What it claims and does not prove: that
merging gives another leaf. Whoever fetches those few tensors finds out (``settling``).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Self, TypeVar

from protocol.checkpoint_root import tensor_leaf
from protocol.envelope import MAX_ENVELOPE_BYTES, Envelope
from protocol.errors import ForgedError, MalformedError, RuleError, TooLargeError, TooNewError
from protocol.field import field, number
from protocol.ledger.quorum import attestations
from protocol.merkle import HASH_BYTES
from protocol.proofs import MAX_PROOF_BYTES, TensorProof
from protocol.reader import COUNT_BYTES, Reader
from protocol.records import Contribution, Outcome, Record, Roster, Round, Signed, open_record
from protocol.strict import shown

FAULT_FILE = "fault.umm"
DOMAIN = b"umm/fault"
VERSION = 1

MAX_FAULT_BYTES = 16 * 2**20

MAX_INPUTS = 4096
"""Contributions in the roster of a merge that somebody proves to be wrong."""

MAX_TENSORS_EACH = 16
"""Tensors of one model that one tensor of the output is merged from."""

MIN_PROOF_BYTES = 4
MIN_INPUT_BYTES = 8
"""The shortest entries; there are no more of them than there are bytes left."""

WHAT = "a fault proof"
RULE = "fault"
"""``RuleError.rule`` of a proof of something that is no fault."""

R = TypeVar("R", bound=Record)


@dataclass(frozen=True)
class Input:
    """A contribution of the roster and the tensors of it that the merge of the one tensor takes.

    Without any, the contribution has none of that name (as a delta that leaves a tensor as it is), or it is an adapter:
    whoever settles the proof looks at its manifest.
    """

    offer: Signed[Contribution]
    tensors: tuple[TensorProof, ...]


@dataclass(frozen=True)
class FaultProof:
    """A tensor of a published model that is not what merging gives."""

    KIND: ClassVar[int] = 1
    """The only one so far: a tensor that was merged wrong."""

    round: Signed[Round]
    outcome: Signed[Outcome]
    published: TensorProof
    expected: bytes | None
    """The leaf that merging gives; None when it gives no such tensor."""
    base: tuple[TensorProof, ...]
    inputs: tuple[Input, ...]

    def __post_init__(self) -> None:
        if self.expected is not None and len(self.expected) != HASH_BYTES:
            raise MalformedError(f"{WHAT} with an expected leaf of {len(self.expected)} bytes, not {HASH_BYTES}")
        if len(self.inputs) > MAX_INPUTS:
            raise TooLargeError(f"{WHAT} with {len(self.inputs)} contributions; at most {MAX_INPUTS} are allowed")
        for tensors in (self.base, *(one.tensors for one in self.inputs)):
            if len(tensors) > MAX_TENSORS_EACH:
                raise TooLargeError(f"{WHAT} with {len(tensors)} tensors of a model; at most {MAX_TENSORS_EACH}")

    @property
    def tensor(self) -> str:
        """The name of the tensor."""
        return self.published.name

    @property
    def published_leaf(self) -> bytes:
        """What the stewards signed."""
        one = self.published
        return tensor_leaf(one.name, one.dtype, one.shape, one.blob_id)

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """A proof that ``encode`` wrote, its signatures verified; ``check`` says whether it holds."""
        reader = Reader(data, WHAT, MAX_FAULT_BYTES)
        reader.domain(DOMAIN)
        reader.version(VERSION)
        _check_kind(reader.number(1), cls.KIND)
        round_, outcome = _signed(reader, Round), _signed(reader, Outcome)
        published, expected = _proof(reader), reader.field(HASH_BYTES, "expected leaf") or None
        base = _proofs(reader)
        count = reader.count(MAX_INPUTS, MIN_INPUT_BYTES, "contributions")
        inputs = tuple(Input(_signed(reader, Contribution), _proofs(reader)) for _ in range(count))
        reader.end()
        return cls(round_, outcome, published, expected, base, inputs)

    def encode(self) -> bytes:
        """The bytes that ``parse`` reads."""
        parts = [field(DOMAIN), number(VERSION, 1), number(self.KIND, 1)]
        parts += [field(self.round.envelope.encode()), field(self.outcome.envelope.encode())]
        parts += [field(self.published.encode()), field(self.expected or b""), _encoded(self.base)]
        parts.append(number(len(self.inputs), COUNT_BYTES))
        for one in self.inputs:
            parts += [field(one.offer.envelope.encode()), _encoded(one.tensors)]
        data = b"".join(parts)
        if len(data) > MAX_FAULT_BYTES:
            raise TooLargeError(f"{WHAT} of {len(data)} bytes; at most {MAX_FAULT_BYTES} are allowed")
        return data

    def check(self) -> None:
        """Refuse a proof that does not show what it is about; what it shows then is said at the top of this file."""
        attestations(self.outcome.record, self.round)
        if self.round.record.tolerance is not None:
            raise RuleError(RULE, f"{WHAT} against a round that allows differences of {self.round.record.tolerance}")
        self.published.check(self.outcome.record.root)
        if self.expected == self.published_leaf:
            raise ForgedError(f"{WHAT} expects of {shown(self.tensor)} what was published: that is no fault")
        self._check_roster()
        for tensor in self.base:
            tensor.check(self.round.record.base.root)
        for one in self.inputs:
            for tensor in one.tensors:
                tensor.check(one.offer.record.root)

    def _check_roster(self) -> None:
        if strange := [one for one in self.inputs if one.offer.record.round != self.round.id]:
            raise ForgedError(f"{WHAT} names contribution {strange[0].offer.id.hex()}, which is of another round")
        roster = Roster(tuple(one.offer.id for one in self.inputs))
        if roster.id != self.outcome.record.roster:
            raise ForgedError(
                f"{WHAT} names {len(self.inputs)} contributions, which are not the roster "
                f"{self.outcome.record.roster.hex()} that was merged"
            )


def _check_kind(found: int, known: int) -> None:
    if found > known:
        raise TooNewError(f"{WHAT} of the kind {found}, which this program does not know; update it")
    if found < known:
        raise MalformedError(f"{WHAT} of the unknown kind {found}")


def _signed(reader: Reader, kind: type[R]) -> Signed[R]:
    data = reader.field(MAX_ENVELOPE_BYTES, "record")
    envelope = Envelope.parse(data)
    if envelope.encode() != data:
        raise MalformedError(f"{WHAT} has a record that is not in the one spelling of an envelope")
    return open_record(envelope, kind)


def _proof(reader: Reader) -> TensorProof:
    return TensorProof.parse(reader.field(MAX_PROOF_BYTES, "tensor proof"))


def _proofs(reader: Reader) -> tuple[TensorProof, ...]:
    count = reader.count(MAX_TENSORS_EACH, MIN_PROOF_BYTES, "tensor proofs")
    return tuple(_proof(reader) for _ in range(count))


def _encoded(tensors: Iterable[TensorProof]) -> bytes:
    parts = [field(tensor.encode()) for tensor in tensors]
    return number(len(parts), COUNT_BYTES) + b"".join(parts)
