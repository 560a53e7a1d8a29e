"""Golden envelopes, computed from their description without the code of ``protocol``."""

import base64
import json

from blake3 import blake3
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

CASES = [
    ("http://example.com/HelloWorld", b"hello world", [1]),
    ("application/vnd.umm.round+json; v=1", b'{"a":1}', [1, 2, 3]),
    ("x", b"", [7]),
    ("application/octet-stream", bytes(range(256)), list(range(1, 6))),
]
"""Payload type, payload, private numbers of the signers."""


def vectors() -> dict[str, object]:
    """The content of ``envelope.json``."""
    return {"envelopes": [described(*case) for case in CASES]}


def described(payload_type: str, payload: bytes, scalars: list[int]) -> dict[str, object]:
    """One envelope and what follows from it."""
    kind = payload_type.encode()
    pae = b" ".join([b"DSSEv1", str(len(kind)).encode(), kind, str(len(payload)).encode(), payload])
    signers = sorted(
        (point(private), private) for private in (ec.derive_private_key(n, ec.SECP256R1()) for n in scalars)
    )
    document = {
        "payload": base64.b64encode(payload).decode(),
        "payloadType": payload_type,
        "signatures": [{"keyid": name, "sig": signature(private, pae)} for name, private in signers],
    }
    identity = b"".join(len(part).to_bytes(4, "little") + part for part in (b"umm/record/1", kind)) + payload
    return {
        "payload_type": payload_type,
        "payload": payload.hex(),
        "scalars": scalars,
        "pae": pae.hex(),
        "envelope": json.dumps(document, sort_keys=True, separators=(",", ":")),
        "id": blake3(identity).hexdigest(),
    }


def point(private: ec.EllipticCurvePrivateKey) -> str:
    """The compressed point in hexadecimal."""
    return private.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint).hex()


def signature(private: ec.EllipticCurvePrivateKey, data: bytes) -> str:
    """RFC 6979, DER, base64."""
    return base64.b64encode(private.sign(data, ec.ECDSA(SHA256(), deterministic_signing=True))).decode()
