"""The private half of a key: it signs, and can be written where p2pd and TLS read it."""

from typing import Self

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from protocol.errors import UsageError
from protocol.identity.public import PublicKey, signed_bytes


class Key:
    """An ECDSA key on P-256. Its signatures are deterministic (RFC 6979): the same bytes give the same signature."""

    __slots__ = ("_private", "public")

    def __init__(self, private: ec.EllipticCurvePrivateKey) -> None:
        if not isinstance(private.curve, ec.SECP256R1):
            raise UsageError(
                f"a node's key is on the curve P-256, not {private.curve.name}; create one with this program"
            )
        self._private = private
        self.public = PublicKey(private.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint))

    def __repr__(self) -> str:
        return f"<Key {self.public.name}>"

    @classmethod
    def generate(cls) -> Self:
        """A new key from the operating system's randomness."""
        return cls(ec.generate_private_key(ec.SECP256R1()))

    @property
    def private(self) -> ec.EllipticCurvePrivateKey:
        """The key as ``cryptography`` has it, for formats that it writes itself."""
        return self._private

    def sign(self, domain: bytes, data: bytes) -> bytes:
        """A signature over ``data`` that is good in this domain only."""
        return self.sign_raw(signed_bytes(domain, data))

    def sign_raw(self, data: bytes) -> bytes:
        """A signature over exactly ``data``; for formats that bring their own domain."""
        return self._private.sign(data, ec.ECDSA(SHA256(), deterministic_signing=True))

    def pkcs8_pem(self) -> bytes:
        """The key without any protection, as TLS and the key file have it."""
        return self._private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def sec1_der(self) -> bytes:
        """The key without any protection in the form of SEC 1, as libp2p has it: 121 bytes."""
        return self._private.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption())
