"""``python -m tests.protocol.hostile.make_equivocation``: proofs of double-signing that prove nothing, named by why."""

from dataclasses import replace
from pathlib import Path

from protocol.envelope import Envelope
from protocol.errors import ForgedError, MalformedError, PeerError, TooLargeError
from protocol.field import field
from protocol.ledger import Equivocation
from protocol.ledger.equivocation import EQUIVOCATION_DOMAIN, MAX_EQUIVOCATION_BYTES
from protocol.records import Record, Signed, sign
from tests.protocol.keys import key
from tests.protocol.records.examples import SIGNED_ROUND, commitment, contribution, digest, vote

FOLDER = Path(__file__).with_name("equivocation")

ONE, OTHER = vote(11, digest("one")), vote(11, digest("other"))
DOMAIN = field(EQUIVOCATION_DOMAIN)


def pair(*said: Signed[Record]) -> bytes:
    """The bytes of a proof made of two records, in the order of their ids."""
    return DOMAIN + b"".join(field(s.envelope.encode()) for s in sorted(said, key=lambda s: s.id))


def faults() -> dict[str, tuple[bytes, type[PeerError]]]:
    """Every fault: the bytes, and the error they meet."""
    good = Equivocation.of(ONE, OTHER).encode()
    first, second = sorted((ONE, OTHER), key=lambda s: s.id)
    elsewhere = sign(replace(ONE.record, round=digest("another round")), key(11))
    forged = Envelope.sign(second.record.payload_type, second.record.payload(), key(12))
    return {
        "same-record-twice": (pair(ONE, ONE), MalformedError),
        "wrong-order": (DOMAIN + field(second.envelope.encode()) + field(first.envelope.encode()), MalformedError),
        "two-attempts": (pair(ONE, vote(11, digest("other"), attempt=1)), ForgedError),
        "two-authors": (pair(ONE, vote(12, digest("other"))), ForgedError),
        "two-rounds": (pair(ONE, elsewhere), ForgedError),
        "two-commitments": (pair(*(commitment(contribution(11, name), 11) for name in "ab")), ForgedError),
        "signed-by-another": (DOMAIN + field(first.envelope.encode()) + field(forged.encode()), ForgedError),
        "signature-moved": (
            DOMAIN + field(first.envelope.encode()) + field(swapped(second, first)),
            ForgedError,
        ),
        "not-of-a-round": (pair(SIGNED_ROUND, SIGNED_ROUND), MalformedError),
        "one-record": (DOMAIN + field(ONE.envelope.encode()), MalformedError),
        "not-envelopes": (DOMAIN + field(b"{}") + field(b"{}"), MalformedError),
        "byte-behind": (good + b"\0", MalformedError),
        "cut-short": (good[:-1], MalformedError),
        "cut-short-in-a-length": (DOMAIN + b"\x01\x00", MalformedError),
        "length-beyond-the-end": (DOMAIN + b"\xff" * 4, MalformedError),
        "another-domain": (good.replace(b"umm/equivocation/1", b"umm/equivocation/2"), MalformedError),
        "empty": (b"", MalformedError),
        "too-large": (bytes(MAX_EQUIVOCATION_BYTES + 1), TooLargeError),
    }


def swapped(of: Signed[Record], by: Signed[Record]) -> bytes:
    """An envelope that carries the signature of another."""
    before, marker, _ = of.envelope.encode().partition(b'"sig":"')
    return before + marker + by.envelope.encode().partition(marker)[2]


def main() -> None:
    """Write the files."""
    for name, (data, _) in faults().items():
        (FOLDER / f"{name}.bin").write_bytes(data)


if __name__ == "__main__":
    main()
