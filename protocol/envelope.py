"""Signed bytes: a DSSE envelope around a payload that nobody has parsed yet.

Rules:

1. An envelope is a DSSE v1 JSON object: ``payload`` and ``sig`` in base64 (standard alphabet, padded, one spelling),
   ``payloadType``, and for the signature a ``keyid``: the signer's compressed point in lower-case hexadecimal. Nothing
   else is in it.
2. There is **exactly one** signature, and it verifies over ``pae``. DSSE allows more; nobody here needs them, and each
   would cost its receiver a verification before the first word is read.
3. The payload is kept as the bytes that came. Only who holds an ``Envelope`` may parse them.
4. ``id`` is the digest of type and payload. The signature is not part of it: ECDSA allows two for every one, and a
   record is the same record however it is signed.
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
"""The JSON; the largest payload needs about 22 KiB, the rest is for other spellings."""

MAX_TYPE_BYTES = 128

RECORD_DOMAIN = b"umm/record/1"

_PAYLOAD_TYPE = re.compile(r"[!-~](?:[ -~]*[!-~])?")
"""Printable ASCII, no space at either end."""

_KEY_ID = re.compile(rf"[0-9a-f]{{{2 * POINT_BYTES}}}")
_WHAT = "the envelope"


def pae(payload_type: str, payload: bytes) -> bytes:
    """What the signature covers: DSSE's pre-authentication encoding."""
    kind = payload_type.encode("utf-8")
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


@dataclass(frozen=True)
class Envelope:
    """A payload, who signed it, and the signature in DER; once built, it is verified."""

    payload_type: str
    payload: bytes
    public: PublicKey
    sig: bytes

    def __post_init__(self) -> None:
        _check_content(self.payload_type, self.payload)
        self.public.verify_raw(self.sig, pae(self.payload_type, self.payload))

    @classmethod
    def sign(cls, payload_type: str, payload: bytes, key: Key) -> Self:
        """An envelope signed by this key."""
        _check_content(payload_type, payload)
        return cls(payload_type, payload, key.public, key.sign_raw(pae(payload_type, payload)))

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """The envelope in this JSON, its signature verified."""
        found = parse_object(data, MAX_ENVELOPE_BYTES, _WHAT)
        _check_keys(found, {"payload", "payloadType", "signatures"}, _WHAT)
        kind, listed = found["payloadType"], found["signatures"]
        if not isinstance(kind, str):
            raise MalformedError(f"{_WHAT} has a payloadType that is not text")
        if not isinstance(listed, list):
            raise MalformedError(f"{_WHAT} has signatures that are not a list")
        if len(listed) != 1:
            raise MalformedError(f"{_WHAT} has {len(listed)} signatures; there must be exactly one")
        payload = _bytes(found["payload"], MAX_PAYLOAD_BYTES, "payload")
        _check_content(kind, payload)
        return cls(kind, payload, *_signature(listed[0]))

    def encode(self) -> bytes:
        """The one JSON that we write: keys sorted, no spaces."""
        signature = {"keyid": self.public.point.hex(), "sig": _text(self.sig)}
        return canonical({"payload": _text(self.payload), "payloadType": self.payload_type, "signatures": [signature]})

    @cached_property
    def id(self) -> bytes:
        """What records call this one: 32 bytes over the type and the payload."""
        return blake3(field(RECORD_DOMAIN) + field(self.payload_type.encode("utf-8")) + self.payload).digest()


def _check_content(payload_type: str, payload: bytes) -> None:
    if len(payload_type) > MAX_TYPE_BYTES or not _PAYLOAD_TYPE.fullmatch(payload_type):
        raise MalformedError(
            f"{_WHAT} has the payload type {payload_type[:MAX_TYPE_BYTES]!a}; one is 1 to {MAX_TYPE_BYTES} "
            "printable ASCII characters"
        )
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise _too_large("payload", len(payload), MAX_PAYLOAD_BYTES)


def _check_keys(found: dict[str, Any], expected: set[str], what: str) -> None:
    if found.keys() != expected:
        names = ", ".join(sorted(expected))
        raise MalformedError(f"{what} must have exactly the keys {names}, not {ascii(sorted(found))[:200]}")


def _signature(entry: object) -> tuple[PublicKey, bytes]:
    if not isinstance(entry, dict):
        raise MalformedError(f"{_WHAT} has a signature that is not an object")
    _check_keys(entry, {"keyid", "sig"}, "a signature")
    key_id = entry["keyid"]
    if not isinstance(key_id, str) or not _KEY_ID.fullmatch(key_id):
        raise MalformedError(f"{_WHAT} has a keyid that is not {2 * POINT_BYTES} lower-case hexadecimal digits")
    return PublicKey.from_point(bytes.fromhex(key_id)), _bytes(entry["sig"], MAX_SIGNATURE_BYTES, "sig")


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
