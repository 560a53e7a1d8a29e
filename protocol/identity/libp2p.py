"""Keys and names as libp2p writes them, byte by byte: two protobuf fields and a base58 number.

A key is ``08 03`` (type: ECDSA) ``12 n`` and then n bytes of DER; n is below 128 for every P-256 key, so its varint is
one byte. A peer id is the SHA-256 multihash of the public one: ``12 20`` and 32 bytes, in base58.
"""

import hashlib
from typing import TYPE_CHECKING

from protocol.errors import MalformedError

if TYPE_CHECKING:
    from protocol.identity.key import Key

ID_BYTES = 32

PEER_ID_CHARACTERS = 46
"""34 bytes that begin with 0x12 have this many digits to base 58."""

_KEY = b"\x08\x03\x12"
_MULTIHASH = b"\x12\x20"
_DIGITS = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def identity_file_bytes(key: "Key") -> bytes:
    """What p2pd reads as its identity: a protobuf ``PrivateKey`` around the key in SEC 1 form."""
    return _protobuf(key.sec1_der())


def peer_digest(der: bytes) -> bytes:
    """The 32 bytes in the peer id of a public key (SubjectPublicKeyInfo)."""
    return hashlib.sha256(_protobuf(der)).digest()


def peer_id_of(digest: bytes) -> str:
    """The peer id that holds these 32 bytes."""
    number = int.from_bytes(_MULTIHASH + digest, "big")
    text = ""
    while number:
        number, digit = divmod(number, 58)
        text = _DIGITS[digit] + text
    return text


def parse_peer_id(text: str) -> bytes:
    """The 32 bytes in a peer id; an id of any other kind of key is refused."""
    number = 0
    if len(text) != PEER_ID_CHARACTERS or not set(text) <= set(_DIGITS):
        raise _no_peer_id(text)
    for character in text:
        number = number * 58 + _DIGITS.index(character)
    if number >> 8 * ID_BYTES != int.from_bytes(_MULTIHASH, "big"):
        raise _no_peer_id(text)
    return (number & (1 << 8 * ID_BYTES) - 1).to_bytes(ID_BYTES, "big")


def _protobuf(der: bytes) -> bytes:
    return _KEY + bytes([len(der)]) + der


def _no_peer_id(text: str) -> MalformedError:
    shown = ascii(text[: PEER_ID_CHARACTERS + 1])
    return MalformedError(
        f"{shown} is not the peer id of a node; one has {PEER_ID_CHARACTERS} characters and begins with Qm"
    )
