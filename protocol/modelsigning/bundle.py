"""A Sigstore bundle that holds one signature by one key: the file format of ``model.sig``. Strict and pure.

Rules, beyond those of JSON (``strict``):

1. Media type ``MEDIA_TYPE``; older and newer versions are named as such.
2. The verification material is a public key's hint and nothing else: the key itself is not in the bundle, whoever
   verifies must have it. No certificate, no transparency log entry: what we cannot check is not accepted.
3. A DSSE envelope with the payload type of in-toto and exactly one signature, over the payload's exact bytes.
4. Base64 in its one canonical spelling.
"""

import hashlib
import re
from dataclasses import dataclass

from protocol.envelope import pae
from protocol.errors import ForgedError, MalformedError, TooLargeError, TooNewError, TooOldError
from protocol.identity import Key, PublicKey
from protocol.modelsigning.statement import MAX_STATEMENT_BYTES, exactly, fields_of, items, text
from protocol.strict import JsonObject, canonical, from_base64, parse_object, shown, to_base64

MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
ANY_MEDIA_TYPE = re.compile(
    r"application/vnd\.dev\.sigstore\.bundle(?:\.v([0-9]{1,4})\.([0-9]{1,4})\+json|\+json;version=([0-9]{1,4})\.([0-9]{1,4}))"
)
VERSION = (0, 3)
PAYLOAD_TYPE = "application/vnd.in-toto+json"

MAX_BUNDLE_BYTES = 6 * 2**20
"""A statement in base64 and a little more."""

MAX_SIGNATURE_BYTES = 139
"""A signature of the largest curve that the specification knows, P-521, in DER; ``verify`` wants P-256."""

PEM_COLUMNS = 64
HINT = re.compile(r"[0-9a-f]{64}")
WHAT = "the signature bundle"


@dataclass(frozen=True)
class Bundle:
    """Signed bytes, one signature, and the hint that tells whose it is."""

    hint: str
    payload: bytes
    signature: bytes

    def __post_init__(self) -> None:
        if not HINT.fullmatch(self.hint):
            raise MalformedError(f"{WHAT} has a key hint that is not 64 lower-case hexadecimal digits")
        if len(self.payload) > MAX_STATEMENT_BYTES:
            raise TooLargeError(f"{WHAT} holds {len(self.payload)} bytes; at most {MAX_STATEMENT_BYTES} are allowed")
        if not 0 < len(self.signature) <= MAX_SIGNATURE_BYTES:
            raise MalformedError(
                f"{WHAT} has a signature of {len(self.signature)} bytes; one has 1 to {MAX_SIGNATURE_BYTES}"
            )

    @classmethod
    def sign(cls, payload: bytes, key: Key) -> "Bundle":
        """The payload, signed."""
        return cls(key_hint(key.public), payload, key.sign_raw(pae(PAYLOAD_TYPE, payload)))

    def verify(self, public: PublicKey) -> None:
        """Refuse unless this very key signed the payload."""
        if self.hint != key_hint(public):
            raise ForgedError(
                f"{WHAT} was made with another key (hint {self.hint[:16]}…) than {public.name}, which was to be trusted"
            )
        public.verify_raw(self.signature, pae(PAYLOAD_TYPE, self.payload))

    def encode(self) -> bytes:
        """The file's bytes."""
        signature = {"keyid": "", "sig": to_base64(self.signature)}
        bundle = {
            "dsseEnvelope": {
                "payload": to_base64(self.payload),
                "payloadType": PAYLOAD_TYPE,
                "signatures": [signature],
            },
            "mediaType": MEDIA_TYPE,
            "verificationMaterial": {"publicKey": {"hint": self.hint}, "tlogEntries": []},
        }
        return canonical(bundle)

    @classmethod
    def parse(cls, data: bytes) -> "Bundle":
        """A bundle from anybody; nothing is proven before ``verify``."""
        bundle = parse_object(data, MAX_BUNDLE_BYTES, WHAT)
        _check_media_type(bundle)
        exactly(bundle, {"mediaType", "verificationMaterial", "dsseEnvelope"}, WHAT)
        hint = _hint(bundle["verificationMaterial"])
        envelope = exactly(bundle["dsseEnvelope"], {"payload", "payloadType", "signatures"}, "the envelope")
        if envelope["payloadType"] != PAYLOAD_TYPE:
            raise MalformedError(f"the envelope holds {shown(envelope['payloadType'])}, not {PAYLOAD_TYPE}")
        payload = from_base64(text(envelope["payload"], "the payload"), "the payload", MAX_STATEMENT_BYTES)
        return cls(hint, payload, _signature(envelope["signatures"]))


def key_hint(public: PublicKey) -> str:
    """How a bundle names a key: the SHA-256 of its PEM text, in hexadecimal."""
    return hashlib.sha256(public_pem(public)).hexdigest()


def public_pem(public: PublicKey) -> bytes:
    """The file to give to ``model_signing verify key --public_key``."""
    code = to_base64(public.der).encode()
    lines = [code[i : i + PEM_COLUMNS] for i in range(0, len(code), PEM_COLUMNS)]
    return b"\n".join([b"-----BEGIN PUBLIC KEY-----", *lines, b"-----END PUBLIC KEY-----", b""])


def _check_media_type(bundle: JsonObject) -> None:
    found = text(bundle.get("mediaType"), "the media type")
    if found == MEDIA_TYPE:
        return
    known = ANY_MEDIA_TYPE.fullmatch(found)
    if not known:
        raise MalformedError(f"{WHAT} has the media type {shown(found)}, not {MEDIA_TYPE}")
    major, minor = (int(number) for number in known.groups() if number is not None)
    if (major, minor) > VERSION:
        raise TooNewError(f"{WHAT} is of version {major}.{minor}, which this program does not know; update it")
    raise TooOldError(f"{WHAT} is of version {major}.{minor}, which is no longer read; sign the model again")


def _hint(value: object) -> str:
    material = dict(fields_of(value, "the verification material"))
    if material.pop("tlogEntries", []) != []:
        raise MalformedError("the verification material has transparency log entries, which are not verified here")
    if certificates := sorted(material.keys() & {"certificate", "x509CertificateChain"}):
        raise MalformedError(
            f"the model was signed with a certificate ({certificates[0]}), not with a key; "
            "use `model_signing verify certificate` or `model_signing verify sigstore`"
        )
    key = fields_of(exactly(material, {"publicKey"}, "the verification material")["publicKey"], "the public key")
    if "rawBytes" in key:
        raise TooOldError("the signature is of model_signing before version 1.1; sign the model again")
    return text(exactly(key, {"hint"}, "the public key")["hint"], "the key hint")


def _signature(value: object) -> bytes:
    signatures = items(value, 1, "signatures")
    if not signatures:
        raise MalformedError("the envelope has no signature")
    signature = dict(fields_of(signatures[0], "a signature"))
    keyid = signature.pop("keyid", None)
    if keyid is not None and not isinstance(keyid, str):
        raise MalformedError("a signature has a keyid that is not text")
    exactly(signature, {"sig"}, "a signature")
    return from_base64(text(signature["sig"], "a signature"), "a signature", MAX_SIGNATURE_BYTES)
