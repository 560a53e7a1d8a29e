"""A key sealed with a passphrase: PKCS#8's EncryptedPrivateKeyInfo with scrypt and AES-256 in CBC mode.

``cryptography`` writes this format too, with 2048 rounds of PBKDF2: a stolen backup could be tried against billions of
passphrases in a day. scrypt (RFC 7914) costs each guess 16 MiB and about a third of a second. Reading is left to
``cryptography``, which knows both, as OpenSSL does; a larger N would go beyond the memory that OpenSSL allows here.
"""

import base64
import os
import textwrap

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from cryptography.hazmat.primitives.padding import PKCS7

SCRYPT_N = 2**14
SCRYPT_R = 8
SCRYPT_P = 8

SALT_BYTES = 16
KEY_BYTES = 32
BLOCK_BYTES = 16

_PBES2 = bytes.fromhex("06092a864886f70d01050d")
_SCRYPT = bytes.fromhex("06092b06010401da47040b")
_AES256_CBC = bytes.fromhex("060960864801650304012a")
_INTEGER, _OCTETS, _SEQUENCE = 0x02, 0x04, 0x30


def sealed_pem(pkcs8_der: bytes, secret: bytes) -> bytes:
    """The key in PEM, readable with the secret only; different bytes each time."""
    salt, first = os.urandom(SALT_BYTES), os.urandom(BLOCK_BYTES)
    costs = b"".join(_tlv(_INTEGER, _number(n)) for n in (SCRYPT_N, SCRYPT_R, SCRYPT_P))
    derivation = _tlv(_SEQUENCE, _SCRYPT + _tlv(_SEQUENCE, _tlv(_OCTETS, salt) + costs))
    cipher = _tlv(_SEQUENCE, _AES256_CBC + _tlv(_OCTETS, first))
    scheme = _tlv(_SEQUENCE, _PBES2 + _tlv(_SEQUENCE, derivation + cipher))
    sealed = _encrypt(pkcs8_der, Scrypt(salt, KEY_BYTES, SCRYPT_N, SCRYPT_R, SCRYPT_P).derive(secret), first)
    lines = textwrap.fill(base64.b64encode(_tlv(_SEQUENCE, scheme + _tlv(_OCTETS, sealed))).decode("ascii"), 64)
    return f"-----BEGIN ENCRYPTED PRIVATE KEY-----\n{lines}\n-----END ENCRYPTED PRIVATE KEY-----\n".encode("ascii")


def _encrypt(data: bytes, key: bytes, first: bytes) -> bytes:
    padding = PKCS7(8 * BLOCK_BYTES).padder()
    encryptor = Cipher(AES256(key), CBC(first)).encryptor()
    return encryptor.update(padding.update(data) + padding.finalize()) + encryptor.finalize()


def _number(value: int) -> bytes:
    return value.to_bytes(value.bit_length() // 8 + 1, "big")


def _tlv(tag: int, body: bytes) -> bytes:
    """DER: tag, length in its shortest form, body."""
    size = len(body)
    if size < 128:
        return bytes([tag, size]) + body
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + body
