"""The certificate of a node's direct road: a self-signed envelope that carries the node key through TLS.

Nothing is trusted for being in a certificate. TLS proves that the other side holds the key; ``public_key_of`` says
which key that is, and the caller compares it with the node that it meant to reach. Dates matter only to TLS libraries,
so they are wide enough for clocks that are wrong.

Reading takes the DER apart by itself: a general parser is lazy, warns on standard error about what a stranger wrote,
and knows many spellings of the same thing.
"""

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from protocol.errors import ForgedError, MalformedError, TooLargeError
from protocol.identity.key import Key
from protocol.identity.public import PublicKey

TLS_NAME = "umm-node"
"""The one host name in every certificate, for TLS libraries that insist on comparing one."""

VALID_BEFORE = timedelta(days=30)
VALID_AFTER = timedelta(days=3650)

MAX_CERTIFICATE_BYTES = 2048
"""Ours have about 420."""

SERIAL_BYTES = 19
"""Taken from the key's id, behind a byte of 1: RFC 5280 wants a positive number of at most 20 bytes."""

_VERSION_3 = bytes.fromhex("a003020102")
_ECDSA_WITH_SHA256 = bytes.fromhex("300a06082a8648ce3d040302")
_SEQUENCE, _BITS, _EXTENSIONS = 0x30, 0x03, 0xA3


def certificate(key: Key, now: float) -> tuple[bytes, bytes]:
    """The certificate and the private key, both PEM; the same key and ``now`` (in seconds) give the same bytes."""
    name = _name(key.public)
    moment = datetime.fromtimestamp(int(now), UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.private.public_key())
        .serial_number(int.from_bytes(b"\x01" + key.public.id[:SERIAL_BYTES], "big"))
        .not_valid_before(moment - VALID_BEFORE)
        .not_valid_after(moment + VALID_AFTER)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(TLS_NAME)]), critical=False)
    )
    made = builder.sign(key.private, SHA256(), ecdsa_deterministic=True)
    return made.public_bytes(Encoding.PEM), key.pkcs8_pem()


def public_key_of(cert_der: bytes) -> PublicKey:
    """The node key that signed this certificate for itself; anything else is refused."""
    if len(cert_der) > MAX_CERTIFICATE_BYTES:
        raise TooLargeError(f"the certificate has {len(cert_der)} bytes; at most {MAX_CERTIFICATE_BYTES} are allowed")
    signed, algorithm, signature = _parts(_only(cert_der, _SEQUENCE), 3)
    version, _, inner, issuer, _, subject, der, extensions = _parts(_body(signed, _SEQUENCE), 8)
    key = PublicKey.from_der(der)
    if version != _VERSION_3 or extensions[0] != _EXTENSIONS:
        raise MalformedError("the certificate is not one of X.509 version 3 with extensions")
    if not algorithm == inner == _ECDSA_WITH_SHA256:
        raise MalformedError("the certificate is not signed with ECDSA and SHA-256")
    if not subject == issuer == _name(key).public_bytes():
        raise ForgedError(f"the certificate names its subject or issuer other than its key, {key.peer_id}")
    bits = _body(signature, _BITS)
    if not bits.startswith(b"\x00"):
        raise MalformedError("the certificate has a signature that is not whole bytes")
    key.verify_raw(bits[1:], signed)
    return key


def _name(key: PublicKey) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, key.peer_id)])


def _only(data: bytes, tag: int) -> bytes:
    """The body of the one element that is all of ``data``."""
    (element,) = _parts(data, 1)
    return _body(element, tag)


def _parts(data: bytes, count: int) -> list[bytes]:
    """The elements side by side in ``data``, each with its tag and length."""
    found: list[bytes] = []
    rest = data
    while rest and len(found) <= count:
        size = sum(_extent(rest))
        found.append(rest[:size])
        rest = rest[size:]
    if len(found) != count:
        raise _not_der(f"has other than {count} parts where it should have as many")
    return found


def _body(element: bytes, tag: int) -> bytes:
    if element[0] != tag:
        raise _not_der(f"has a part of kind {element[0]:02x} where {tag:02x} belongs")
    return element[_extent(element)[0] :]


def _extent(data: bytes) -> tuple[int, int]:
    """The bytes of the first element's tag and length, and those of its body."""
    head, size = 2, data[1] if len(data) > 1 else 0x80
    if size in (0x81, 0x82):
        head += size - 0x80
        size = int.from_bytes(data[2:head], "big")
        if size < (128, 256)[head - 3]:
            raise _not_der("spells a length in more bytes than it needs")
    elif size >= 0x80:
        raise _not_der("has a length that is none")
    if head + size > len(data):
        raise _not_der("is cut short")
    return head, size


def _not_der(what: str) -> MalformedError:
    return MalformedError(f"the certificate cannot be parsed: it {what}")
