"""What a node shows in TLS: a certificate for a key of its own, for which the node key vouches.

The node key itself stays out of TLS. A server that speaks TLS 1.2 signs what begins with 32 bytes of the client's
choice, and gRPC has no setting for 1.3 alone: no record should have to be safe from that.

Rules:

1. The **TLS key** is a P-256 key made when the process starts. It is never written anywhere.
2. The certificate is for the TLS key and has one extension of ours, ``VOUCHER``: the node's compressed point (33
   bytes), then the node's signature over the SubjectPublicKeyInfo of the TLS key, domain ``umm/tls/1``.
3. Whoever proves in TLS to hold the TLS key is the node in the voucher. Nothing else in a certificate is believed.
4. It is issued by the **open issuer**, a P-256 key whose private half everybody knows: it is the number 1. gRPC for
   Python accepts a client certificate only if some root signed it, and strangers must be able to come in; so there is
   a root with which everybody signs for himself.
"""

import warnings
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from protocol.errors import MalformedError, TooLargeError
from protocol.identity import Key, PublicKey
from protocol.identity.public import MAX_SIGNATURE_BYTES, POINT_BYTES

DOMAIN = b"umm/tls/1"

VOUCHER = x509.ObjectIdentifier("2.25.232783074531934093287686731256613392657")
"""UUID af2063ae-5386-56db-866c-bfd625d55111: numbers under 2.25 need no registration."""

ISSUER_NAME = "umm open issuer"
ISSUER_KEY = 1

TLS_NAME = "umm-node"
"""The one host name in every certificate, for TLS libraries that insist on comparing one."""

VALID_BEFORE = timedelta(days=30)
VALID_AFTER = timedelta(days=3650)
"""Dates matter only to TLS libraries, so they are wide enough for clocks that are wrong."""

MAX_CERTIFICATE_BYTES = 2048
"""Ours have about 540."""

UNREADABLE = (
    ValueError, TypeError, Warning, UnsupportedAlgorithm,
    x509.DuplicateExtension, x509.InvalidVersion, x509.UnsupportedGeneralNameType,
)  # fmt: skip
"""What ``cryptography`` raises for bytes that are no certificate; the last ones are plain exceptions of its own."""


@dataclass(frozen=True)
class Credentials:
    """A certificate and its private key, PEM."""

    certificate: bytes
    private_key: bytes = field(repr=False)


def credentials(key: Key, now: float) -> Credentials:
    """A new TLS key that ``key`` vouches for, good for years around ``now`` in unix seconds."""
    tls = Key.generate()
    moment = datetime.fromtimestamp(int(now), UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(TLS_NAME))
        .issuer_name(_name(ISSUER_NAME))
        .public_key(tls.private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(moment - VALID_BEFORE)
        .not_valid_after(moment + VALID_AFTER)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(TLS_NAME)]), critical=False)
        .add_extension(x509.UnrecognizedExtension(VOUCHER, voucher(key, tls.public.der)), critical=False)
    )
    made = builder.sign(_issuer(), SHA256(), ecdsa_deterministic=True)
    return Credentials(made.public_bytes(Encoding.PEM), tls.pkcs8_pem())


def open_root(now: float) -> bytes:
    """The open issuer as a root for TLS libraries, PEM. Only its name and key matter."""
    moment = datetime.fromtimestamp(int(now), UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(ISSUER_NAME))
        .issuer_name(_name(ISSUER_NAME))
        .public_key(_issuer().public_key())
        .serial_number(1)
        .not_valid_before(moment - VALID_BEFORE - timedelta(days=1))
        .not_valid_after(moment + 2 * VALID_AFTER)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    )
    return builder.sign(_issuer(), SHA256(), ecdsa_deterministic=True).public_bytes(Encoding.PEM)


def voucher(key: Key, tls_der: bytes) -> bytes:
    """The extension by which ``key`` vouches for the TLS key with this SubjectPublicKeyInfo."""
    return key.public.point + key.sign(DOMAIN, tls_der)


def node_key(certificate: bytes) -> PublicKey:
    """The node that vouches for the key of a certificate (DER); anything doubtful is refused."""
    if len(certificate) > MAX_CERTIFICATE_BYTES:
        raise TooLargeError(f"a certificate of {len(certificate)} bytes; at most {MAX_CERTIFICATE_BYTES} are allowed")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # what cryptography still lets pass with a warning, we do not
            found = x509.load_der_x509_certificate(certificate)
            extension = found.extensions.get_extension_for_oid(VOUCHER).value
            der = found.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except UNREADABLE as error:
        raise MalformedError("the certificate cannot be parsed") from error
    except x509.ExtensionNotFound:
        raise MalformedError("no node key vouches for the certificate: the other side is not a node of ours") from None
    PublicKey.from_der(der)  # P-256, as everything here
    return _vouching(extension, der)


def _vouching(extension: x509.ExtensionType, der: bytes) -> PublicKey:
    value = extension.value if isinstance(extension, x509.UnrecognizedExtension) else b""
    if not POINT_BYTES < len(value) <= POINT_BYTES + MAX_SIGNATURE_BYTES:
        raise MalformedError(f"a voucher of {len(value)} bytes; it is a point and a signature")
    node = PublicKey.from_point(value[:POINT_BYTES])
    node.verify(value[POINT_BYTES:], DOMAIN, der)
    return node


def _issuer() -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(ISSUER_KEY, ec.SECP256R1())


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
