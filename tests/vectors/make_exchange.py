"""Golden messages and certificates of the direct road, written from their description alone.

Protocol Buffers by hand: a field is its number and type in one varint, then its value; bytes follow their length.
"""

from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

ID_A, ID_B = bytes(range(32)), bytes(range(32, 64))

NODE, TLS, ISSUER = 5, 6, 1
"""Private scalars."""

VOUCHER = x509.ObjectIdentifier("2.25.232783074531934093287686731256613392657")
DOMAIN = b"umm/tls/1"


def vectors() -> dict[str, object]:
    """The content of ``exchange.json``."""
    node, tls = private(NODE), private(TLS)
    proof = point(node) + node.sign(
        len(DOMAIN).to_bytes(4, "little") + DOMAIN + spki(tls), ec.ECDSA(SHA256(), deterministic_signing=True)
    )
    return {
        "records_requests": [
            {"ids": [ID_A.hex()], "data": blob(1, ID_A).hex()},
            {"ids": [ID_B.hex(), ID_A.hex()], "data": (blob(1, ID_B) + blob(1, ID_A)).hex()},
        ],
        "chunk_list_requests": [{"blob": ID_A.hex(), "data": blob(1, ID_A).hex()}],
        "chunks_requests": [
            {"blob": ID_A.hex(), "indices": [0], "data": (blob(1, ID_A) + blob(2, varint(0))).hex()},
            {
                "blob": ID_A.hex(),
                "indices": [1, 127, 128, 1_048_575],
                "data": (blob(1, ID_A) + blob(2, b"".join(map(varint, (1, 127, 128, 1_048_575))))).hex(),
            },
        ],
        "records": [{"envelope": b"{}".hex(), "data": blob(1, b"{}").hex()}],
        "chunk_list_parts": [{"part": bytes(8).hex(), "data": blob(1, bytes(8)).hex()}],
        "pieces": [
            {"index": 0, "size": 4, "bytes": b"tail".hex(), "data": (number(2, 4) + blob(3, b"tail")).hex()},
            {
                "index": 300,
                "size": 1_048_576,
                "bytes": b"begin".hex(),
                "data": (number(1, 300) + number(2, 1_048_576) + blob(3, b"begin")).hex(),
            },
            {"index": 7, "size": 0, "bytes": "", "data": number(1, 7).hex()},
        ],
        "vouchers": [{"node": point(node).hex(), "tls": spki(tls).hex(), "voucher": proof.hex()}],
        "certificates": [{"node": point(node).hex(), "certificate": certificate(tls, proof).hex()}],
    }


def varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first; the high bit says that more follow."""
    out = b""
    while value > 127:
        out += bytes([128 | value & 127])
        value >>= 7
    return out + bytes([value])


def number(field: int, value: int) -> bytes:
    """A field with a number."""
    return varint(field << 3) + varint(value)


def blob(field: int, value: bytes) -> bytes:
    """A field with bytes."""
    return varint(field << 3 | 2) + varint(len(value)) + value


def private(scalar: int) -> ec.EllipticCurvePrivateKey:
    """The key with this private scalar."""
    return ec.derive_private_key(scalar, ec.SECP256R1())


def point(key: ec.EllipticCurvePrivateKey) -> bytes:
    """33 bytes."""
    return key.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)


def spki(key: ec.EllipticCurvePrivateKey) -> bytes:
    """91 bytes."""
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def certificate(tls: ec.EllipticCurvePrivateKey, proof: bytes | None) -> bytes:
    """A certificate of the open issuer, DER; without a voucher if there is no proof."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(name("umm-node"))
        .issuer_name(name("umm open issuer"))
        .public_key(tls.public_key())
        .serial_number(1)
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2049, 1, 1, tzinfo=UTC))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("umm-node")]), critical=False)
    )
    if proof is not None:
        builder = builder.add_extension(x509.UnrecognizedExtension(VOUCHER, proof), critical=False)
    return builder.sign(private(ISSUER), SHA256(), ecdsa_deterministic=True).public_bytes(Encoding.DER)


def name(text: str) -> x509.Name:
    """A name of one part."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
