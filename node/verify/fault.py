"""``fault.umm``: what all fault proofs have in common. docs/protocol/faults.md is the specification.

A fault proof is a small file that shows others that somebody signed what is wrong: stewards a model that merging does
not give (``merge_fault``), a contributor values that are no finite numbers (``values_fault``).
"""

from collections.abc import Iterable
from typing import TypeVar

from protocol.envelope import MAX_ENVELOPE_BYTES, Envelope
from protocol.errors import MalformedError
from protocol.field import field, number
from protocol.proofs import MAX_PROOF_BYTES, TensorProof
from protocol.reader import COUNT_BYTES, Reader
from protocol.records import Record, Signed, open_record

FAULT_FILE = "fault.umm"
DOMAIN = b"umm/fault"
VERSION = 1

MAX_FAULT_BYTES = 16 * 2**20

MAX_TENSORS_EACH = 16
"""Tensors of one model that one tensor of the output is merged from."""

MIN_PROOF_BYTES = 4
"""The shortest tensor proof in a list; there are no more of them than there are bytes left."""

WHAT = "a fault proof"
RULE = "fault"
"""``RuleError.rule`` of a proof of something that is no fault."""

R = TypeVar("R", bound=Record)


def begun(kind: int) -> list[bytes]:
    """The first parts of a file."""
    return [field(DOMAIN), number(VERSION, 1), number(kind, 1)]


def opened(data: bytes) -> tuple[Reader, int]:
    """A file behind its first parts, and its kind."""
    reader = Reader(data, WHAT, MAX_FAULT_BYTES)
    reader.domain(DOMAIN)
    reader.version(VERSION)
    return reader, reader.number(1)


def signed(reader: Reader, kind: type[R]) -> Signed[R]:
    """A record in its envelope, verified."""
    data = reader.field(MAX_ENVELOPE_BYTES, "record")
    envelope = Envelope.parse(data)
    if envelope.encode() != data:
        raise MalformedError(f"{WHAT} has a record that is not in the one spelling of an envelope")
    return open_record(envelope, kind)


def tensor_proof(reader: Reader) -> TensorProof:
    """One tensor of somebody's model."""
    return TensorProof.parse(reader.field(MAX_PROOF_BYTES, "tensor proof"))


def tensor_proofs(reader: Reader) -> tuple[TensorProof, ...]:
    """Some tensors of a model."""
    count = reader.count(MAX_TENSORS_EACH, MIN_PROOF_BYTES, "tensor proofs")
    return tuple(tensor_proof(reader) for _ in range(count))


def encoded(tensors: Iterable[TensorProof]) -> bytes:
    """What ``tensor_proofs`` reads."""
    parts = [field(tensor.encode()) for tensor in tensors]
    return number(len(parts), COUNT_BYTES) + b"".join(parts)
