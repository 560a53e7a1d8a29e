"""A fault proof against stewards: a tensor of the model that they signed is not what merging gives.

What it proves by itself: that a quorum of the round's stewards signed a root, that under this root the tensor has this
leaf, which contributions they say they merged, and what the tensors of the base and of the contributions are called
(their blob ids) from which anybody can merge this one tensor again. What it claims and does not prove: that merging
gives another leaf. Whoever fetches those few tensors finds out (``settling``).
"""

from dataclasses import dataclass
from typing import ClassVar, Self

from node.verify.fault import (
    MAX_FAULT_BYTES,
    MAX_TENSORS_EACH,
    RULE,
    WHAT,
    begun,
    encoded,
    signed,
    tensor_proof,
    tensor_proofs,
)
from protocol.checkpoint_root import tensor_leaf
from protocol.errors import ForgedError, MalformedError, RuleError, TooLargeError
from protocol.field import field, number
from protocol.ledger.quorum import attestations
from protocol.merkle import HASH_BYTES
from protocol.proofs import TensorProof
from protocol.reader import COUNT_BYTES, Reader
from protocol.records import Contribution, Outcome, Roster, Round, Signed
from protocol.strict import shown

MAX_INPUTS = 4096
"""Contributions in the roster of a merge that somebody proves to be wrong."""

MIN_INPUT_BYTES = 8
"""The shortest entry; there are no more of them than there are bytes left."""


@dataclass(frozen=True)
class Input:
    """A contribution of the roster and the tensors of it that the merge of the one tensor takes.

    Without any, the contribution has none of that name (as a delta that leaves a tensor as it is), or it is an adapter:
    whoever settles the proof looks at its manifest.
    """

    offer: Signed[Contribution]
    tensors: tuple[TensorProof, ...]


@dataclass(frozen=True)
class MergeFault:
    """A tensor of a published model that is not what merging gives."""

    KIND: ClassVar[int] = 1
    """Its number in a file."""

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
    def read(cls, reader: Reader) -> Self:
        """What ``encode`` wrote behind the first parts, signatures verified. ``check`` says whether it holds."""
        round_, outcome = signed(reader, Round), signed(reader, Outcome)
        published, expected = tensor_proof(reader), reader.field(HASH_BYTES, "expected leaf") or None
        base = tensor_proofs(reader)
        count = reader.count(MAX_INPUTS, MIN_INPUT_BYTES, "contributions")
        inputs = tuple(Input(signed(reader, Contribution), tensor_proofs(reader)) for _ in range(count))
        reader.end()
        return cls(round_, outcome, published, expected, base, inputs)

    def encode(self) -> bytes:
        """The bytes of the file."""
        parts = begun(self.KIND)
        parts += [field(self.round.envelope.encode()), field(self.outcome.envelope.encode())]
        parts += [field(self.published.encode()), field(self.expected or b""), encoded(self.base)]
        parts.append(number(len(self.inputs), COUNT_BYTES))
        for one in self.inputs:
            parts += [field(one.offer.envelope.encode()), encoded(one.tensors)]
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
