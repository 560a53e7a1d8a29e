"""``python -m tests.protocol.hostile.make_exchange``: messages and certificates with one fault each, named by it.

A file's name begins with what it should have been.
"""

from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from protocol.identity import Key
from protocol.roads.grpc.certificate import VOUCHER, voucher
from tests.protocol.keys import key
from tests.vectors import make_exchange as good

FOLDER = Path(__file__).with_name("exchange")
BLOB = good.ID_A


def faults() -> dict[str, bytes]:
    """Every fault and the bytes that have it."""
    return {**requests(), **answers(), **certificates()}


def requests() -> dict[str, bytes]:
    """What no server accepts."""
    chunks = good.blob(1, BLOB)
    return {
        "records_request.nothing": b"",
        "records_request.cut-short": good.blob(1, BLOB)[:-1],
        "records_request.short-id": good.blob(1, BLOB[:31]),
        "records_request.long-id": good.blob(1, BLOB + b"\0"),
        "records_request.same-id-twice": 2 * good.blob(1, BLOB),
        "records_request.too-many-ids": b"".join(good.blob(1, n.to_bytes(32, "big")) for n in range(129)),
        "records_request.unknown-field": good.blob(1, BLOB) + good.number(2, 1),
        "records_request.too-large": good.blob(1, bytes(8192)),
        "records_request.length-beyond-the-end": b"\x0a\xff\xff\xff\xff\x0f",
        "chunk_list_request.nothing": b"",
        "chunk_list_request.short-blob-id": good.blob(1, BLOB[:31]),
        "chunk_list_request.unknown-field": good.blob(1, BLOB) + good.blob(9, b"x"),
        "chunks_request.no-index": chunks,
        "chunks_request.no-blob": good.blob(2, b"\0"),
        "chunks_request.descending": chunks + good.blob(2, b"\2\1"),
        "chunks_request.same-index-twice": chunks + good.blob(2, b"\1\1"),
        "chunks_request.too-many-indices": chunks + good.blob(2, bytes(range(65))),
        "chunks_request.index-beyond-any-blob": chunks + good.blob(2, good.varint(1_048_576)),
        "chunks_request.index-of-65-bits": chunks + good.blob(2, b"\xff" * 10 + b"\1"),
        "chunks_request.unknown-field": chunks + good.blob(2, b"\0") + good.number(3, 1),
    }


def answers() -> dict[str, bytes]:
    """What no client accepts."""
    return {
        "record.unknown-field": good.blob(1, b"{}") + good.number(2, 1),
        "record.cut-short": good.blob(1, b"{}")[:-1],
        "chunk_list_part.unknown-field": good.blob(1, b"x") + good.number(2, 1),
        "chunk_list_part.cut-short": good.blob(1, b"xyz")[:-1],
        "piece.cut-short": good.number(2, 4) + good.blob(3, b"tail")[:-1],
        "piece.unknown-field": good.number(2, 4) + good.blob(3, b"tail") + good.number(4, 1),
    }


def certificates() -> dict[str, bytes]:
    """What no side of a connection accepts."""
    tls, proof = good.private(good.TLS), voucher(key(good.NODE), good.spki(good.private(good.TLS)))
    fine = good.certificate(tls, proof)
    return {
        "certificate.nothing": b"",
        "certificate.cut-short": fine[:-1],
        "certificate.bytes-behind": fine + b"\0",
        "certificate.too-large": fine + bytes(2048),
        "certificate.negative-serial": fine.replace(b"\x02\x01\x01\x30", b"\x02\x01\x81\x30"),
        "certificate.version-86": fine.replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x55"),
        "certificate.no-voucher": good.certificate(tls, None),
        "certificate.voucher-empty": good.certificate(tls, b""),
        "certificate.voucher-without-signature": good.certificate(tls, proof[:33]),
        "certificate.voucher-too-long": good.certificate(tls, proof + bytes(72)),
        "certificate.voucher-for-another-tls-key": good.certificate(good.private(7), proof),
        "certificate.voucher-by-another-node": good.certificate(tls, key(8).public.point + proof[33:]),
        "certificate.voucher-of-no-point": good.certificate(tls, b"\x05" + proof[1:]),
        "certificate.voucher-in-another-domain": good.certificate(tls, in_another_domain()),
        "certificate.two-vouchers": twice(fine),
        "certificate.p-384": with_key(ec.derive_private_key(5, ec.SECP384R1())),
        "certificate.ed25519": with_key(ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32))),
    }


def in_another_domain() -> bytes:
    """Signed by the right key over the right bytes, as something else."""
    node: Key = key(good.NODE)
    return node.public.point + node.sign(b"umm/pointer/1", good.spki(good.private(good.TLS)))


def twice(certificate: bytes) -> bytes:
    """The same certificate with its last extension, the voucher, written once more."""
    oid = VOUCHER.dotted_string
    found = x509.load_der_x509_certificate(certificate)
    value = found.extensions.get_extension_for_oid(x509.ObjectIdentifier(oid)).value
    assert isinstance(value, x509.UnrecognizedExtension)
    other = x509.ObjectIdentifier(oid[:-1] + "8")
    built = (
        x509.CertificateBuilder(
            found.issuer, found.subject, found.public_key(), found.serial_number,
            found.not_valid_before_utc, found.not_valid_after_utc,
        )
        .add_extension(x509.UnrecognizedExtension(VOUCHER, value.value), critical=False)
        .add_extension(x509.UnrecognizedExtension(other, value.value), critical=False)
        .sign(good.private(good.ISSUER), SHA256(), ecdsa_deterministic=True)
        .public_bytes(Encoding.DER)
    )  # fmt: skip
    ours, others = der_of(VOUCHER), der_of(other)
    assert built.count(others) == 1
    return built.replace(others, ours)


def der_of(oid: x509.ObjectIdentifier) -> bytes:
    """The last bytes of an identifier, enough to find it by."""
    value, out = int(oid.dotted_string.split(".")[2]), b""
    while value:
        out = bytes([value & 127 | (128 if out else 0)]) + out
        value >>= 7
    return out


def with_key(other: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    """A certificate for a key of another kind."""
    name = good.name("umm-node")
    found = x509.load_der_x509_certificate(good.certificate(good.private(good.TLS), b""))
    return (
        x509.CertificateBuilder(
            good.name("umm open issuer"), name, other.public_key(), 1,
            found.not_valid_before_utc, found.not_valid_after_utc,
        )
        .add_extension(x509.UnrecognizedExtension(VOUCHER, bytes(100)), critical=False)
        .sign(good.private(good.ISSUER), SHA256(), ecdsa_deterministic=True)
        .public_bytes(Encoding.DER)
    )  # fmt: skip


def main() -> None:
    """Write all files."""
    FOLDER.mkdir(exist_ok=True)
    for fault, data in faults().items():
        (FOLDER / f"{fault}.bin").write_bytes(data)


if __name__ == "__main__":
    main()
