"""Signed bytes: a DSSE envelope around a payload that nobody has parsed yet.

Rules:

1. An envelope is a DSSE v1 JSON object: ``payload`` and ``sig`` in base64 (standard alphabet, padded, one spelling),
   ``payloadType``, and for each signature a ``keyid``: the signer's compressed point in lower-case hexadecimal. Nothing
   else is in it.
2. There are 1 to ``MAX_SIGNATURES`` signatures, no two of one key, and **every one** verifies over ``pae``. One that
   does not makes the whole envelope worthless: it was tampered with.
3. The payload is kept as the bytes that came. Only who holds an ``Envelope`` may parse them.
4. ``id`` is the digest of type and payload. Signatures are not part of it: ECDSA allows two for every one, and a record
   is the same record whoever else signed it.
"""

import base64
import binascii
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

from blake3 import blake3

from protocol.errors import MalformedError, TooLargeError
from protocol.field import field
from protocol.identity import Key, PublicKey
from protocol.identity.public import MAX_SIGNATURE_BYTES, POINT_BYTES
from protocol.strict import canonical, parse_object

MAX_PAYLOAD_BYTES = 16 * 1024
"""Anything larger is a blob that a record points to."""

MAX_ENVELOPE_BYTES = 32 * 1024
"""The JSON; the largest payload with all signatures needs about 28 KiB."""

MAX_SIGNATURES = 32

MAX_TYPE_BYTES = 128

RECORD_DOMAIN = b"umm/record/1"

_PAYLOAD_TYPE = re.compile(r"[!-~](?:[ -~]*[!-~])?")
"""Printable ASCII, no space at either end."""

_KEY_ID = re.compile(rf"[0-9a-f]{{{2 * POINT_BYTES}}}")
_WHAT = "the envelope"


def pae(payload_type: str, payload: bytes) -> bytes:
    """What every signature covers: DSSE's pre-authentication encoding."""
    kind = payload_type.encode("utf-8")
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


@dataclass(frozen=True)
class Signature:
    """Who signed, and the signature in DER."""

    public: PublicKey
    sig: bytes


@dataclass(frozen=True)
class Envelope:
    """Payload and signatures; once built, every signature is verified. They lie in the order of their keys."""

    payload_type: str
    payload: bytes
    signatures: tuple[Signature, ...]

    def __post_init__(self) -> None:
        _check_content(self.payload_type, self.payload)
        _check_signers(self.signatures)
        signed = pae(self.payload_type, self.payload)
        for signature in self.signatures:
            signature.public.verify_raw(signature.sig, signed)
        object.__setattr__(self, "signatures", tuple(sorted(self.signatures, key=lambda s: s.public.point)))

    @classmethod
    def sign(cls, payload_type: str, payload: bytes, key: Key, *others: Key) -> Self:
        """An envelope signed by these keys."""
        _check_content(payload_type, payload)
        signed = pae(payload_type, payload)
        return cls(payload_type, payload, tuple(Signature(k.public, k.sign_raw(signed)) for k in (key, *others)))

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """The envelope in this JSON, its signatures verified."""
        found = parse_object(data, MAX_ENVELOPE_BYTES, _WHAT)
        _check_keys(found, {"payload", "payloadType", "signatures"}, _WHAT)
        kind, listed = found["payloadType"], found["signatures"]
        if not isinstance(kind, str):
            raise MalformedError(f"{_WHAT} has a payloadType that is not text")
        if not isinstance(listed, list):
            raise MalformedError(f"{_WHAT} has signatures that are not a list")
        payload = _bytes(found["payload"], MAX_PAYLOAD_BYTES, "payload")
        _check_content(kind, payload)
        _check_count(len(listed))
        return cls(kind, payload, tuple(_signature(entry) for entry in listed))

    def encode(self) -> bytes:
        """The one JSON that we write: keys sorted, no spaces, signatures in the order of their keys."""
        signatures = [{"keyid": s.public.point.hex(), "sig": _text(s.sig)} for s in self.signatures]
        return canonical({"payload": _text(self.payload), "payloadType": self.payload_type, "signatures": signatures})

    @cached_property
    def id(self) -> bytes:
        """What records call this one: 32 bytes over the type and the payload."""
        return blake3(field(RECORD_DOMAIN) + field(self.payload_type.encode("utf-8")) + self.payload).digest()

    @property
    def signers(self) -> tuple[PublicKey, ...]:
        """Who signed, in the order of the keys."""
        return tuple(signature.public for signature in self.signatures)


def _check_content(payload_type: str, payload: bytes) -> None:
    if len(payload_type) > MAX_TYPE_BYTES or not _PAYLOAD_TYPE.fullmatch(payload_type):
        raise MalformedError(
            f"{_WHAT} has the payload type {payload_type[:MAX_TYPE_BYTES]!a}; one is 1 to {MAX_TYPE_BYTES} "
            "printable ASCII characters"
        )
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise _too_large("payload", len(payload), MAX_PAYLOAD_BYTES)


def _check_signers(signatures: tuple[Signature, ...]) -> None:
    _check_count(len(signatures))
    if len({signature.public.point for signature in signatures}) != len(signatures):
        raise MalformedError(f"{_WHAT} has two signatures of one key")


def _check_count(signatures: int) -> None:
    if not signatures:
        raise MalformedError(f"{_WHAT} is not signed by anyone")
    if signatures > MAX_SIGNATURES:
        raise TooLargeError(f"{_WHAT} has {signatures} signatures; at most {MAX_SIGNATURES} are allowed")


def _check_keys(found: dict[str, Any], expected: set[str], what: str) -> None:
    if found.keys() != expected:
        names = ", ".join(sorted(expected))
        raise MalformedError(f"{what} must have exactly the keys {names}, not {ascii(sorted(found))[:200]}")


def _signature(entry: object) -> Signature:
    if not isinstance(entry, dict):
        raise MalformedError(f"{_WHAT} has a signature that is not an object")
    _check_keys(entry, {"keyid", "sig"}, "a signature")
    key_id = entry["keyid"]
    if not isinstance(key_id, str) or not _KEY_ID.fullmatch(key_id):
        raise MalformedError(f"{_WHAT} has a keyid that is not {2 * POINT_BYTES} lower-case hexadecimal digits")
    return Signature(PublicKey.from_point(bytes.fromhex(key_id)), _bytes(entry["sig"], MAX_SIGNATURE_BYTES, "sig"))


def _bytes(text: object, limit: int, name: str) -> bytes:
    if not isinstance(text, str):
        raise MalformedError(f"{_WHAT} has a {name} that is not text")
    if len(text) > 4 * -(-limit // 3):
        raise _too_large(name, 3 * len(text) // 4, limit)
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        data = b""
    if _text(data) != text:
        raise MalformedError(f"{_WHAT} has a {name} that is not base64 (standard alphabet, padded, no white space)")
    if len(data) > limit:
        raise _too_large(name, len(data), limit)
    return data


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _too_large(name: str, size: int, limit: int) -> TooLargeError:
    return TooLargeError(f"{_WHAT} has a {name} of {size} bytes; at most {limit} are allowed")
