"""A fault proof against a contributor: what it signed holds a value that is no finite number.

It proves itself, offline and to the end: the signed record has a root, under it lies the tensor, in it the chunk, and
the chunk is in the file. Only kinds whose blobs are plain values can be shown so; a delta is packed.
"""

from dataclasses import dataclass
from typing import ClassVar, Self

from node.verify.fault import RULE, WHAT, begun, signed, tensor_proof
from protocol.blobs.chunks import CHUNK_BYTES
from protocol.blobs.tensor import byte_size
from protocol.errors import ForgedError, MalformedError, RuleError
from protocol.field import field, number
from protocol.proofs import MAX_PROOF_BYTES, ChunkProof, TensorProof
from protocol.reader import Reader
from protocol.records import Contribution, Kind, Signed
from protocol.strict import shown

OFFSET_BYTES = 4

PLAIN = (Kind.ADAPTER, Kind.CHECKPOINT)
"""Kinds whose blobs are values as they lie in a safetensors file."""

WIDTHS = {"BF16": 2, "F16": 2, "F32": 4, "F64": 8}
"""Bytes of a value. Chunks end where values do."""

ONES = {"BF16": (0x7F, 0x80), "F16": (0x7C, 0x00), "F32": (0x7F, 0x80), "F64": (0x7F, 0xF0)}
"""The exponent's bits in the last byte of a value and in the one before: where all are set, it is no finite number."""


@dataclass(frozen=True)
class ValuesFault:
    """A chunk of a contribution's tensor, and where in it the value lies."""

    KIND: ClassVar[int] = 2
    """Its number in a file."""

    offer: Signed[Contribution]
    published: TensorProof
    place: ChunkProof
    offset: int
    """Bytes from the beginning of the chunk."""
    chunk: bytes

    @property
    def tensor(self) -> str:
        """The name of the tensor."""
        return self.published.name

    @property
    def value(self) -> bytes:
        """The value itself."""
        return self.chunk[self.offset : self.offset + WIDTHS.get(self.published.dtype, 0)]

    @classmethod
    def read(cls, reader: Reader) -> Self:
        """What ``encode`` wrote behind the first parts, the signature verified. ``check`` says whether it holds."""
        offer, published = signed(reader, Contribution), tensor_proof(reader)
        place = ChunkProof.parse(reader.field(MAX_PROOF_BYTES, "chunk proof"))
        offset, chunk = reader.number(OFFSET_BYTES), reader.field(CHUNK_BYTES, "chunk")
        reader.end()
        return cls(offer, published, place, offset, chunk)

    def encode(self) -> bytes:
        """The bytes of the file."""
        parts = [*begun(self.KIND), field(self.offer.envelope.encode()), field(self.published.encode())]
        return b"".join([*parts, field(self.place.encode()), number(self.offset, OFFSET_BYTES), field(self.chunk)])

    def check(self) -> None:
        """Refuse a proof that does not show such a value; nothing else is needed."""
        record, tensor = self.offer.record, self.published
        if record.kind not in PLAIN:
            raise RuleError(RULE, f"{WHAT} about a {record.kind.value}, whose values are packed")
        if tensor.dtype not in WIDTHS:
            raise RuleError(RULE, f"{WHAT} about {tensor.dtype}, in which every value is a number")
        tensor.check(record.root)
        self.place.check(tensor.blob_id)
        if self.place.size != byte_size(tensor.dtype, tensor.shape, WHAT):
            raise ForgedError(
                f"{WHAT} about a blob of {self.place.size} bytes, which is not that of {shown(tensor.name)}"
            )
        self.place.check_chunk(self.chunk)
        width = WIDTHS[tensor.dtype]
        if self.offset % width or self.offset + width > len(self.chunk):
            raise MalformedError(f"{WHAT} names byte {self.offset} of a chunk, where no value begins")
        if first_not_finite(tensor.dtype, self.chunk[self.offset : self.offset + width]) is None:
            raise ForgedError(f"{WHAT} names a value of {shown(tensor.name)} that is a finite number: that is no fault")


def first_not_finite(dtype: str, chunk: bytes) -> int | None:
    """Where in a chunk the first value lies that is no finite number."""
    if dtype not in WIDTHS:
        return None
    width, (high, low) = WIDTHS[dtype], ONES[dtype]
    last = _marked(chunk[width - 1 :: width], high)
    if 1 not in last:  # of most chunks, all
        return None
    marks = int.from_bytes(last, "big") & int.from_bytes(_marked(chunk[width - 2 :: width], low), "big")
    found = marks.to_bytes(len(last), "big").find(1)
    return None if found < 0 else found * width


def _marked(data: bytes, ones: int) -> bytes:
    """A 1 for each byte that has all of these bits, else a 0: in time that grows with the length alone."""
    return data.translate(bytes(byte & ones == ones for byte in range(256)))
