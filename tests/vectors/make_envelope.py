"""Golden envelopes, computed from their description without the code of ``protocol``."""

import base64
import json

from blake3 import blake3
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

CASES = [
    ("http://example.com/HelloWorld", b"hello world", 1),
    ("application/vnd.umm.round+json; v=1", b'{"a":1}', 2),
    ("x", b"", 7),
    ("application/octet-stream", bytes(range(256)), 5),
]
"""Payload type, payload, private number of the signer."""


def vectors() -> dict[str, object]:
    """The content of ``envelope.json``."""
    return {"envelopes": [described(*case) for case in CASES]}


def described(payload_type: str, payload: bytes, scalar: int) -> dict[str, object]:
    """One envelope and what follows from it."""
    kind = payload_type.encode()
    pae = b" ".join([b"DSSEv1", str(len(kind)).encode(), kind, str(len(payload)).encode(), payload])
    private = ec.derive_private_key(scalar, ec.SECP256R1())
    document = {
        "payload": base64.b64encode(payload).decode(),
        "payloadType": payload_type,
        "signatures": [{"keyid": point(private), "sig": signature(private, pae)}],
    }
    identity = b"".join(len(part).to_bytes(4, "little") + part for part in (b"umm/record/1", kind)) + payload
    return {
        "payload_type": payload_type,
        "payload": payload.hex(),
        "scalar": scalar,
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
