"""``python -m tests.protocol.hostile.make_envelope``: envelopes with one fault each, named by it."""

import base64
import json
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from protocol.envelope import MAX_ENVELOPE_BYTES, MAX_PAYLOAD_BYTES, MAX_TYPE_BYTES, pae
from tests.protocol.keys import key

FOLDER = Path(__file__).with_name("envelope")
KIND = "application/vnd.umm.round+json; v=1"
PAYLOAD = b'{"a":1}'
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def text(data: bytes) -> str:
    """Base64."""
    return base64.b64encode(data).decode()


def signature(number: int, kind: str = KIND, payload: bytes = PAYLOAD) -> dict[str, Any]:
    """A good signature of the key with this number."""
    return {"keyid": key(number).public.point.hex(), "sig": text(key(number).sign_raw(pae(kind, payload)))}


def envelope(**changed: Any) -> bytes:
    """A good envelope, but for what is changed."""
    document = {"payload": text(PAYLOAD), "payloadType": KIND, "signatures": [signature(1)], **changed}
    return json.dumps({k: v for k, v in document.items() if v is not ...}).encode()


def signed(kind: str, payload: bytes) -> bytes:
    """An envelope with other content and a good signature over it."""
    return envelope(payloadType=kind, payload=text(payload), signatures=[signature(1, kind, payload)])


def resigned(**changed: Any) -> bytes:
    """A good envelope, but for what is changed in its signature."""
    entry = {k: v for k, v in {**signature(1), **changed}.items() if v is not ...}
    return envelope(signatures=[entry])


def other_s() -> dict[str, Any]:
    """The signature of the first key that anyone can make of a good one."""
    r, s = decode_dss_signature(key(1).sign_raw(pae(KIND, PAYLOAD)))
    return {**signature(1), "sig": text(encode_dss_signature(r, ORDER - s))}


def faults() -> dict[str, bytes]:
    """Every fault and the envelope that has it."""
    good = envelope()
    sig = base64.b64decode(signature(1)["sig"])
    point = key(1).public.point
    return {
        "empty": b"",
        "cut-short": good[:-1],
        "bytes-behind": good + b"{}",
        "two-in-one": good + b"\n" + good,
        "a-list": b"[" + good + b"]",
        "too-large": good + b" " * (MAX_ENVELOPE_BYTES + 1 - len(good)),
        "payload-missing": envelope(payload=...),
        "payload-twice": good.replace(b'"payload":', b'"payload":"","payload":', 1),
        "payload-a-number": envelope(payload=1),
        "payload-an-object": envelope(payload={"a": 1}),
        "payload-too-large": signed(KIND, bytes(MAX_PAYLOAD_BYTES + 1)),
        "payload-not-base64": envelope(payload="{a:1}"),
        "payload-without-padding": envelope(payload=text(PAYLOAD).rstrip("=")),
        "payload-padded-twice": envelope(payload=text(PAYLOAD) + "===="),
        "payload-with-white-space": envelope(payload=text(PAYLOAD)[:4] + " " + text(PAYLOAD)[4:]),
        "payload-with-loose-bits": envelope(payload=text(b"\x00").replace("A=", "B=")),
        "payload-url-safe": envelope(
            payload=base64.urlsafe_b64encode(b"\xff\xff\xfe").decode(),
            signatures=[signature(1, payload=b"\xff\xff\xfe")],
        ),
        "payload-changed": envelope(payload=text(b'{"a":2}')),
        "type-missing": envelope(payloadType=...),
        "type-null": envelope(payloadType=None),
        "type-empty": signed("", PAYLOAD),
        "type-too-long": signed("t" * (MAX_TYPE_BYTES + 1), PAYLOAD),
        "type-with-space-at-its-end": signed(KIND + " ", PAYLOAD),
        "type-with-a-newline": signed(KIND + "\n", PAYLOAD),
        "type-beyond-ascii": signed("application/é", PAYLOAD),
        "type-changed": envelope(payloadType=KIND.replace("round", "ballot")),
        "type-moved-into-payload": envelope(payloadType=KIND[:-1], payload=text(b"1" + PAYLOAD)),
        "signatures-missing": envelope(signatures=...),
        "signatures-an-object": envelope(signatures=signature(1)),
        "signatures-none": envelope(signatures=[]),
        "signatures-two": envelope(signatures=[signature(1), signature(2)]),
        "signatures-thirty-three": envelope(signatures=[signature(n) for n in range(1, 34)]),
        "signatures-of-one-key-twice": envelope(signatures=[signature(1), other_s()]),
        "signature-null": envelope(signatures=[None]),
        "signature-with-more": resigned(cert="x"),
        "key-missing": resigned(keyid=...),
        "key-a-number": resigned(keyid=1),
        "key-in-upper-case": resigned(keyid=point.hex().upper()),
        "key-uncompressed": resigned(keyid=f"04{key(1).public.der[-64:].hex()}"),
        "key-short": resigned(keyid=point.hex()[:-2]),
        "key-with-white-space": resigned(keyid=" ".join([point.hex()[:64], point.hex()[65:]])),
        "key-on-no-curve": resigned(keyid="02" + "ff" * 32),
        "key-of-another": resigned(keyid=key(2).public.point.hex()),
        "sig-missing": resigned(sig=...),
        "sig-null": resigned(sig=None),
        "sig-empty": resigned(sig=""),
        "sig-too-large": resigned(sig=text(bytes(73))),
        "sig-not-base64": resigned(sig="?" * 96),
        "sig-changed": resigned(sig=text(sig[:-1] + bytes([sig[-1] ^ 1]))),
        "sig-with-a-byte-behind": resigned(sig=text(sig + b"\x00")),
        "sig-over-the-payload-alone": resigned(sig=text(key(1).sign_raw(PAYLOAD))),
        "sig-in-a-domain": resigned(sig=text(key(1).sign(b"umm/record/1", PAYLOAD))),
        "one-good-and-one-bad": envelope(signatures=[signature(1), {**signature(2), "sig": signature(3)["sig"]}]),
        "unknown-key": envelope(version=1),
        "control-character": good.replace(b'"payloadType"', b'"payload\\u0000Type"'),
    }


def main() -> None:
    """Write the files anew."""
    FOLDER.mkdir(exist_ok=True)
    for old in FOLDER.iterdir():
        old.unlink()
    for name, data in faults().items():
        (FOLDER / f"{name}.json").write_bytes(data)


if __name__ == "__main__":
    main()
