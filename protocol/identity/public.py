"""The public half of a node's key: what it is called, and whether it signed something.

Rules:

1. A key is a point of the curve P-256 other than infinity, in one spelling: 33 bytes compressed, or the 91 bytes of its
   SubjectPublicKeyInfo with the uncompressed point.
2. A signature is ECDSA with SHA-256 in DER, strictly: two positive integers, shortest form, nothing behind them.
3. Of the two values of ``s`` that verify, either is accepted, as every standard we share keys with does. Whoever sees a
   signature can write the other one, so nothing is ever identified by its signature.
4. What is signed for us begins with a domain. Formats that fix their own bytes (DSSE, OMS, signed notes) go through
   ``verify_raw``: none of them begins with a length from 1 to ``MAX_DOMAIN_BYTES`` in 4 bytes little-endian.
"""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from protocol.errors import ForgedError, MalformedError, UsageError
from protocol.field import field as framed
from protocol.identity import libp2p
from protocol.identity.names import name_of

POINT_BYTES = 33
"""A compressed point: which half of the curve, then x."""

DER_BYTES = 91

MAX_SIGNATURE_BYTES = 72
"""Two integers below 2^256 in DER."""

MAX_DOMAIN_BYTES = 64

_DER_HEAD = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200")
"""SEQUENCE, the algorithm id-ecPublicKey with prime256v1, BIT STRING of 65 bytes."""

_COMPRESSED = (2, 3)
_UNCOMPRESSED = 4


@dataclass(frozen=True)
class PublicKey:
    """A point of P-256; two are equal when their points are."""

    point: bytes
    _curve_key: ec.EllipticCurvePublicKey = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if len(self.point) != POINT_BYTES or self.point[0] not in _COMPRESSED:
            raise MalformedError(
                f"a public key is {POINT_BYTES} bytes that begin with 02 or 03, not {_shown(self.point)}"
            )
        try:
            key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), self.point)
        except ValueError:
            raise MalformedError(f"{_shown(self.point)} is not a point of the curve P-256") from None
        if key.public_bytes(Encoding.X962, PublicFormat.CompressedPoint) != self.point:
            raise MalformedError(f"{_shown(self.point)} is not the one spelling of its point")
        object.__setattr__(self, "_curve_key", key)

    @classmethod
    def from_point(cls, point: bytes) -> Self:
        """The key with this compressed point."""
        return cls(point)

    @classmethod
    def from_der(cls, der: bytes) -> Self:
        """The key in a SubjectPublicKeyInfo, of which only one spelling is accepted."""
        if len(der) != DER_BYTES or not der.startswith(_DER_HEAD) or der[len(_DER_HEAD)] != _UNCOMPRESSED:
            raise MalformedError("these bytes are not the SubjectPublicKeyInfo of an uncompressed P-256 point")
        found = cls(bytes([2 + (der[-1] & 1)]) + der[-64:-32])
        if found.der != der:
            raise MalformedError("the SubjectPublicKeyInfo holds two numbers that are not a point of the curve P-256")
        return found

    @cached_property
    def der(self) -> bytes:
        """SubjectPublicKeyInfo, 91 bytes."""
        return self._curve_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    @cached_property
    def id(self) -> bytes:
        """32 bytes: the SHA-256 digest inside the peer id."""
        return libp2p.peer_digest(self.der)

    @cached_property
    def peer_id(self) -> str:
        """What libp2p calls the node: ``Qm…``."""
        return libp2p.peer_id_of(self.id)

    @cached_property
    def name(self) -> str:
        """What people call the node: ``brave-otter-41``. Not unique, so never a key to anything."""
        return name_of(self.id)

    def verify(self, signature: bytes, domain: bytes, data: bytes) -> None:
        """Nothing if this key signed ``data`` in this domain, or a :class:`ForgedError`."""
        self.verify_raw(signature, signed_bytes(domain, data))

    def verify_raw(self, signature: bytes, data: bytes) -> None:
        """Nothing if this key signed exactly ``data``, or a :class:`ForgedError`."""
        if not _is_strict(signature):
            raise ForgedError(f"what should be a signature of {self.name} is not one: {_shown(signature)}")
        try:
            self._curve_key.verify(signature, data, ec.ECDSA(SHA256()))
        except InvalidSignature:
            raise ForgedError(f"the signature is not by {self.name} ({self.peer_id}) or not over these bytes") from None


def signed_bytes(domain: bytes, data: bytes) -> bytes:
    """What a signature in a domain covers: ``field(domain)`` and then the data."""
    if not 0 < len(domain) <= MAX_DOMAIN_BYTES:
        raise UsageError(f"a domain has 1 to {MAX_DOMAIN_BYTES} bytes, not {len(domain)}")
    return framed(domain) + data


def _is_strict(signature: bytes) -> bool:
    if len(signature) > MAX_SIGNATURE_BYTES:
        return False
    try:
        return encode_dss_signature(*decode_dss_signature(signature)) == signature
    except ValueError:
        return False


def _shown(data: bytes) -> str:
    return data.hex() if len(data) <= MAX_SIGNATURE_BYTES else f"{len(data)} bytes"
