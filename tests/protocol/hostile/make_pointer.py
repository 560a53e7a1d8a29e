"""``python -m tests.protocol.hostile.make_pointer``: pointers with one fault each, named by it."""

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from protocol.identity import Key
from protocol.pointer import DOMAIN, MAX_EXPIRATION, MAX_LOG_BYTES, MAX_RECORD_BYTES
from tests.protocol.keys import key

FOLDER = Path(__file__).with_name("pointer")
NOT_A_POINT = b"\x02" + b"\xff" * 32


def signed(body: bytes, by: Key | None = None) -> bytes:
    """With a good signature over whatever it is."""
    return body + (by or key(1)).sign(DOMAIN, body)


def body(
    version: int = 1,
    kind: int = 3,
    slot: int = 0,
    length: int | None = None,
    size: int = 1000,
    expiration: int = 1_800_000_000,
    author: bytes = b"",
    address: bytes = b"192.0.2.7:7400",
) -> bytes:
    """A good one, but for what is given."""
    return (
        bytes([version, kind, slot, len(address) if length is None else length])
        + bytes(range(64))
        + size.to_bytes(4, "little")
        + expiration.to_bytes(8, "little")
        + (author or key(1).public.point)
        + address
    )


def faults() -> dict[str, bytes]:
    """Every file."""
    good = signed(body())
    return {
        "address-control": signed(body(address=b"a\x1b[2J")),
        "address-not-ascii": signed(body(address="é".encode())),
        "address-space": signed(body(address=b"a b")),
        "address-too-long": signed(body(address=b"a" * 65)),
        "address-longer-than-said": signed(body(length=3)),
        "address-shorter-than-said": signed(body(length=40)),
        "author-another": body() + key(2).sign(DOMAIN, body()),
        "author-exchanged": body(author=key(2).public.point) + good[len(body()) :],
        "author-infinity": signed(body(author=bytes(33))),
        "author-not-a-point": signed(body(author=NOT_A_POINT)),
        "bit-flipped-in-the-record-id": good[:40] + bytes([good[40] ^ 1]) + good[41:],
        "domain-another": body() + key(1).sign(b"umm/record/1", body()),
        "domain-none": body() + key(1).sign_raw(body()),
        "empty": b"",
        "expiration-0": signed(body(expiration=0)),
        "expiration-beyond": signed(body(expiration=MAX_EXPIRATION + 1)),
        "json": b'{"kind":3}',
        "kind-0": signed(body(kind=0)),
        "kind-14": signed(body(kind=14)),
        "log-too-large": signed(body(kind=12, size=MAX_LOG_BYTES + 1)),
        "record-too-large": signed(body(size=MAX_RECORD_BYTES + 1)),
        "signature-another-length": body() + b"\x30\x81" + good[len(body()) + 1 :],
        "signature-empty": body(address=b""),
        "signature-negative": body() + bytes.fromhex("30060201010201ff"),
        "signature-one-byte": body() + b"\x30",
        "signature-trailing": good + b"\x00",
        "signature-zero": body() + encode_dss_signature(0, 0),
        "size-0": signed(body(size=0)),
        "slot-8": signed(body(slot=8)),
        "slot-255": signed(body(slot=255)),
        "too-long": good + bytes(250),
        "truncated-in-the-author": good[:100],
        "version-0": signed(body(version=0)),
        "version-2": signed(body(version=2)),
    }


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for old in FOLDER.glob("*.bin"):
        old.unlink()
    for name, data in faults().items():
        (FOLDER / f"{name}.bin").write_bytes(data)
