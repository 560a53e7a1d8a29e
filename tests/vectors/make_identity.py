"""Golden names, files and signatures of keys, computed without the code of ``protocol``.

The first key and its signatures over ``sample`` and ``test`` are those of RFC 6979, A.2.5.
"""

import hashlib

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from protocol.identity.names import ADJECTIVES, ANIMALS

SCALARS = [0xC9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721, 1, 2, 3, 2**200 + 5]
DATA = [b"sample", b"test", b"", b"\x00\xff" * 40]
DOMAIN = b"umm/example/1"
ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def vectors() -> dict[str, object]:
    """The content of ``identity.json``."""
    return {
        "adjectives": list(ADJECTIVES),
        "animals": list(ANIMALS),
        "domain": DOMAIN.hex(),
        "keys": [described(scalar) for scalar in SCALARS],
    }


def described(scalar: int) -> dict[str, object]:
    """Everything that follows from one private number."""
    private = ec.derive_private_key(scalar, ec.SECP256R1())
    numbers = private.public_key().public_numbers()
    x, y = numbers.x.to_bytes(32, "big"), numbers.y.to_bytes(32, "big")
    der = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200") + b"\x04" + x + y
    identity = hashlib.sha256(bytes.fromhex("0803125b") + der).digest()
    peer_id = base58(b"\x12\x20" + identity)
    sec1 = private.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    return {
        "scalar": f"{scalar:064x}",
        "point": (bytes([2 + y[-1] % 2]) + x).hex(),
        "der": der.hex(),
        "id": identity.hex(),
        "peer_id": peer_id,
        "name": name(identity),
        "identity_file": (bytes.fromhex("08031279") + sec1).hex(),
        "signatures": [
            {"data": data.hex(), "raw": signature(private, data), "in_domain": signature(private, framed(data))}
            for data in DATA
        ],
    }


def name(identity: bytes) -> str:
    """Two words and a number."""
    return f"{ADJECTIVES[identity[0]]}-{ANIMALS[identity[1]]}-{10 + (identity[2] + 256 * identity[3]) % 990}"


def base58(data: bytes) -> str:
    """Digits to base 58 by long division of bytes."""
    digits: list[int] = []
    for byte in data:
        carry = byte
        for i, digit in enumerate(digits):
            carry, digits[i] = divmod(digit * 256 + carry, 58)
        while carry:
            carry, digit = divmod(carry, 58)
            digits.append(digit)
    return "".join(ALPHABET[digit] for digit in reversed(digits))


def framed(data: bytes) -> bytes:
    """``field(domain) data``."""
    return len(DOMAIN).to_bytes(4, "little") + DOMAIN + data


def signature(private: ec.EllipticCurvePrivateKey, data: bytes) -> str:
    """RFC 6979, DER, hexadecimal."""
    return private.sign(data, ec.ECDSA(SHA256(), deterministic_signing=True)).hex()
