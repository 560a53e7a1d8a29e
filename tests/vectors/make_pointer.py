"""Golden pointers and where they lie, made from the description in `docs/protocol/swarm.md` alone.

Only the signature, deterministic by RFC 6979, is made by `cryptography`, with the private keys 1, 2 and 3.
"""

import hashlib

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

POINTERS = [
    {"key": 1, "kind": 3, "slot": 0, "size": 1234, "expiration": 1_800_000_000, "address": ""},
    {"key": 2, "kind": 12, "slot": 7, "size": 32 * 1024 * 1024, "expiration": 2**40, "address": "[2001:db8::1]:65535"},
    {"key": 3, "kind": 1, "slot": 3, "size": 1, "expiration": 1, "address": "a" * 64},
]
ROUND_ID, RECORD_ID = bytes(range(32)), bytes(range(32, 64))


def vectors() -> dict[str, object]:
    """The content of ``pointer.json``."""
    return {
        "round_id": ROUND_ID.hex(),
        "record_id": RECORD_ID.hex(),
        "pointers": [described | _made(**described) for described in POINTERS],  # type: ignore[arg-type]
    }


def _made(key: int, kind: int, slot: int, size: int, expiration: int, address: str) -> dict[str, object]:
    private = ec.derive_private_key(key, ec.SECP256R1())
    point = private.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    der = private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    body = bytes([1, kind, slot, len(address)]) + ROUND_ID + RECORD_ID
    body += size.to_bytes(4, "little") + expiration.to_bytes(8, "little") + point + address.encode("ascii")
    signature = private.sign(_field(b"umm/pointer/1") + body, ec.ECDSA(SHA256(), deterministic_signing=True))
    author_id = hashlib.sha256(b"\x08\x03\x12\x5b" + der).digest()
    return {
        "point": point.hex(),
        "author_id": author_id.hex(),
        "bytes": (body + signature).hex(),
        "subkey": (point + bytes([slot])).hex(),
        "locations": {str(bits): _location(kind, bits, author_id).hex() for bits in (0, 4, 8, 256)},
        "node_id": hashlib.sha1(author_id, usedforsecurity=False).hexdigest(),
    }


def _location(kind: int, bits: int, author_id: bytes) -> bytes:
    digits = "".join(f"{byte:08b}" for byte in author_id)[:bits]
    prefix = int(digits or "0", 2).to_bytes((bits + 7) // 8, "big")
    name = _field(b"umm/swarm/1") + ROUND_ID + bytes([kind]) + bits.to_bytes(2, "little") + prefix
    return hashlib.sha1(name, usedforsecurity=False).digest()


def _field(data: bytes) -> bytes:
    return len(data).to_bytes(4, "little") + data
