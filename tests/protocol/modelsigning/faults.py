"""The hostile corpus: bundles and claims with one fault each, and the answer that each must get.

``python -m tests.protocol.modelsigning.faults`` writes ``tests/protocol/hostile/{bundle,claims}`` anew. Where the fault
is in the statement, the bundle is signed properly by ``KEY``: the signer is the attacker.
"""

import base64
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from protocol.claims import MAX_CLAIMS
from protocol.envelope import Envelope, pae
from protocol.errors import ForgedError, MalformedError, PeerError, TooLargeError, TooNewError, TooOldError
from protocol.modelsigning.bundle import PAYLOAD_TYPE, Bundle
from protocol.modelsigning.statement import Statement
from tests.protocol.modelsigning.folders import KEY, OTHER

HOSTILE = Path(__file__).parent.parent / "hostile"

Fault = tuple[bytes, type[PeerError], str]
"""The bytes, the class of the answer, and a part of its text."""

ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Of P-256: with (r, s), (r, ORDER - s) is a signature too."""

Json = dict[str, Any]
STATEMENT = Statement.of("m", [("a.txt", bytes(32)), ("b/c.txt", b"\1" * 32)], [".git", "model.sig"])
GOOD = Bundle.sign(STATEMENT.payload(), KEY)
CLAIM = Envelope.sign("application/vnd.umm.test+json; v=1", b"{}", KEY)


@cache
def bundles() -> dict[str, Fault]:
    """Bundles by fault."""
    whole = GOOD.encode()
    return {
        "empty": (b"", MalformedError, "not JSON"),
        "list": (b"[]", MalformedError, "not a JSON object"),
        "two-documents": (whole + whole, MalformedError, "not JSON"),
        "key-twice": (b'{"mediaType":"x",' + whole[1:], MalformedError, "a key twice"),
        "deep": (b'{"dsseEnvelope":' + b"[" * 5000, MalformedError, "nested deeper"),
        "unknown-member": (
            _outer(lambda b: b.update(messageSignature={})),
            MalformedError,
            "'messageSignature' is wrong",
        ),
        "no-envelope": (_outer(lambda b: b.pop("dsseEnvelope")), MalformedError, "'dsseEnvelope' is wrong"),
        "media-type-old": (_media("application/vnd.dev.sigstore.bundle+json;version=0.2"), TooOldError, "version 0.2"),
        "media-type-new": (_media("application/vnd.dev.sigstore.bundle.v0.4+json"), TooNewError, "version 0.4"),
        "media-type-nonsense": (_media("application/json"), MalformedError, "media type"),
        "certificate": (_material({"certificate": {"rawBytes": "AA=="}}), MalformedError, "with a certificate"),
        "log-entries": (_material({"tlogEntries": [{}]}), MalformedError, "transparency log"),
        "timestamps": (_material({"timestampVerificationData": {}}), MalformedError, "'timestampVerificationData'"),
        "no-key": (_outer(lambda b: b.update(verificationMaterial={})), MalformedError, "'publicKey' is wrong"),
        "raw-key": (_material({"publicKey": {"rawBytes": "AA=="}}), TooOldError, "before version 1.1"),
        "hint-upper-case": (_material({"publicKey": {"hint": GOOD.hint.upper()}}), MalformedError, "key hint"),
        "hint-of-another-key": (_bundle(Bundle.sign(GOOD.payload, OTHER)), ForgedError, "another key"),
        "hint-exchanged": (_bundle(Bundle(GOOD.hint, GOOD.payload, _other())), ForgedError, "signature is not by"),
        "payload-type": (_envelope(payloadType="text/plain"), MalformedError, "'text/plain'"),
        "payload-exchanged": (_envelope(payload=_code(GOOD.payload + b" ")), ForgedError, "signature is not by"),
        "payload-nonsense-unsigned": (_envelope(payload=_code(b"[")), ForgedError, "signature is not by"),
        "payload-not-base64": (_envelope(payload="*"), MalformedError, "is not base64"),
        "payload-loose-base64": (_envelope(payload="AB=="), MalformedError, "one spelling"),
        "no-signature": (_envelope(signatures=[]), MalformedError, "no signature"),
        "two-signatures": (_envelope(signatures=[_sig(), _sig()]), TooLargeError, "2 signatures"),
        "signature-empty": (_envelope(signatures=[{"sig": ""}]), MalformedError, "0 bytes"),
        "signature-huge": (_envelope(signatures=[{"sig": "A" * 4000}]), TooLargeError, "4000 characters"),
        "signature-trailing": (
            _envelope(signatures=[{"sig": _code(GOOD.signature + b"\0")}]),
            ForgedError,
            "is not one",
        ),
        "signature-unknown-member": (_envelope(signatures=[_sig() | {"cert": ""}]), MalformedError, "'cert' is wrong"),
        "keyid-number": (_envelope(signatures=[_sig() | {"keyid": 1}]), MalformedError, "keyid"),
        **statements(),
    }


def statements() -> dict[str, Fault]:
    """Properly signed bundles whose statement has a fault."""
    digests_v01 = "https://model_signing/Digests/v0.1"
    return {
        "statement-not-json": (_signed(b"model"), MalformedError, "not JSON"),
        "statement-float": (_signed(GOOD.payload[:-1] + b',"x":1.5}'), MalformedError, "1.5"),
        "statement-type": (
            _inner(lambda s: s.update(_type="https://in-toto.io/Statement/v0.1")),
            MalformedError,
            "v0.1",
        ),
        "predicate-old": (_inner(lambda s: s.update(predicateType=digests_v01)), TooOldError, "before version 1.0"),
        "predicate-new": (_predicate("https://model_signing/signature/v2.0"), TooNewError, "v2.0"),
        "predicate-unknown": (_predicate("https://slsa.dev/provenance/v1"), MalformedError, "not a model signature"),
        "predicate-unknown-member": (_inner(lambda s: s["predicate"].update(x=1)), MalformedError, "'x' is wrong"),
        "predicate-list": (_inner(lambda s: s.update(predicate=[])), MalformedError, "not a JSON object"),
        "no-subject": (_inner(lambda s: s.update(subject=[])), MalformedError, "subject is missing"),
        "two-subjects": (_inner(lambda s: s.update(subject=s["subject"] * 2)), TooLargeError, "2 subjects"),
        "subject-nameless": (_inner(lambda s: s["subject"][0].update(name="")), MalformedError, "name of the model"),
        "subject-digest-missing": (_inner(lambda s: s["subject"][0].update(digest={})), MalformedError, "'sha256'"),
        "root-wrong": (_root("ff" * 32), ForgedError, "contradicts itself"),
        "resources-none": (_resources([]), MalformedError, "lists no file"),
        "resources-too-many": (_resources([0] * 8193), TooLargeError, "8193 resources"),
        "resources-not-a-list": (_resources({}), MalformedError, "not a list"),
        "order-wrong": (_change(lambda r: r.reverse()), MalformedError, "in order"),
        "name-twice": (_change(lambda r: r[1].update(name="a.txt")), MalformedError, "'a.txt' twice"),
        "name-missing": (_change(lambda r: r[0].pop("name")), MalformedError, "name is not text"),
        "name-empty": (_name(""), MalformedError, "plain path"),
        "name-absolute": (_name("/etc/passwd"), MalformedError, "plain path"),
        "name-parent": (_name("a/../../b"), MalformedError, "plain path"),
        "name-dot": (_name("./a"), MalformedError, "plain path"),
        "name-folder": (_name("a/"), MalformedError, "plain path"),
        "name-backslash": (_name("..\\a"), MalformedError, "plain path"),
        "name-control": (_name("a\x1b[2J"), MalformedError, "control character"),
        "name-surrogate": (_signed(GOOD.payload.replace(b"a.txt", b"\\ud800")), MalformedError, "surrogate"),
        "name-too-long": (_name("a" * 1025), TooLargeError, "1025 bytes"),
        "name-too-deep": (_name("a/" * 32 + "a"), TooLargeError, "33 levels"),
        "digest-short": (_change(lambda r: r[0].update(digest="00")), MalformedError, "64 lower-case"),
        "digest-upper-case": (_change(lambda r: r[0].update(digest="AA" * 32)), MalformedError, "64 lower-case"),
        "algorithm-unknown": (_change(lambda r: r[0].update(algorithm="md5")), MalformedError, "'md5'"),
        "hash-blake3": (_how(hash_type="blake3"), MalformedError, "'blake3'"),
        "method-shards": (_how(method="shards", shard_size=1_000_000_000), MalformedError, "in shards"),
        "method-unknown": (_how(method="tar"), MalformedError, "'tar'"),
        "symlinks-allowed": (_how(allow_symlinks=True), MalformedError, "links were followed"),
        "symlinks-one": (_how(allow_symlinks=1), MalformedError, "links were followed"),
        "serialization-unknown-member": (_how(shard_size=1), MalformedError, "'shard_size' is wrong"),
        "ignored-parent": (_how(ignore_paths=[".."]), MalformedError, "plain path"),
        "ignored-everything": (_how(ignore_paths=["*"]), MalformedError, "pattern"),
        "ignored-too-many": (_how(ignore_paths=[f"{i}" for i in range(257)]), TooLargeError, "257 ignore_paths"),
    }


@cache
def claims() -> dict[str, Fault]:
    """Claims files by fault."""
    line = CLAIM.encode() + b"\n"
    forged = line.replace(KEY.public.point.hex().encode(), OTHER.public.point.hex().encode())
    spaced = b" ".join([line[:1], line[1:]])
    return {
        "empty-line": (line + b"\n", MalformedError, "claim 2: "),
        "carriage-return": (line[:-1] + b"\r\n", MalformedError, "one spelling"),
        "cut-short": (line[:-1], MalformedError, "middle of a line"),
        "forged": (line + forged, ForgedError, "claim 2: the signature is not by"),
        "not-json": (b"claim\n", MalformedError, "claim 1: "),
        "other-spelling": (spaced, MalformedError, "one spelling"),
        "twice": (line + line, MalformedError, "the same claim twice"),
        "twice-signed-anew": (line + _malleated(CLAIM) + b"\n", MalformedError, "the same claim twice"),
        "line-too-long": (b"x" * 32769 + b"\n", TooLargeError, "32769 bytes"),
        "too-many": (b"\n" * (MAX_CLAIMS + 1), TooLargeError, "513 claims"),
    }


def _malleated(claim: Envelope) -> bytes:
    """The claim with the other signature that anybody can write from the first."""
    r, s = decode_dss_signature(claim.sig)
    return claim.encode().replace(_code(claim.sig).encode(), _code(encode_dss_signature(r, ORDER - s)).encode())


def _outer(change: Callable[[Json], object]) -> bytes:
    found: Json = json.loads(GOOD.encode())
    change(found)
    return json.dumps(found).encode()


def _media(kind: str) -> bytes:
    return _outer(lambda b: b.update(mediaType=kind))


def _material(material: Json) -> bytes:
    return _outer(lambda b: b["verificationMaterial"].update(material))


def _envelope(**members: object) -> bytes:
    return _outer(lambda b: b["dsseEnvelope"].update(members))


def _bundle(bundle: Bundle) -> bytes:
    return bundle.encode()


def _signed(payload: bytes) -> bytes:
    return Bundle.sign(payload, KEY).encode()


def _inner(change: Callable[[Json], object]) -> bytes:
    found: Json = json.loads(GOOD.payload)
    change(found)
    return _signed(json.dumps(found, separators=(",", ":")).encode())


def _predicate(kind: str) -> bytes:
    return _inner(lambda s: s.update(predicateType=kind))


def _root(digest: str) -> bytes:
    return _inner(lambda s: s["subject"][0].update(digest={"sha256": digest}))


def _resources(listed: object) -> bytes:
    return _inner(lambda s: s["predicate"].update(resources=listed))


def _change(change: Callable[[list[Json]], object]) -> bytes:
    return _inner(lambda s: change(s["predicate"]["resources"]))


def _name(name: str) -> bytes:
    return _change(lambda r: r[0].update(name=name))


def _how(**members: object) -> bytes:
    return _inner(lambda s: s["predicate"]["serialization"].update(members))


def _sig() -> Json:
    return {"keyid": "", "sig": _code(GOOD.signature)}


def _other() -> bytes:
    return OTHER.sign_raw(pae(PAYLOAD_TYPE, GOOD.payload))


def _code(data: bytes) -> str:
    return base64.b64encode(data).decode()


def files() -> dict[Path, bytes]:
    """The corpus as it should lie on disk."""
    made = {HOSTILE / "bundle" / f"{name}.json": fault[0] for name, fault in bundles().items()}
    return made | {HOSTILE / "claims" / f"{name}.bin": fault[0] for name, fault in claims().items()}


def main() -> None:
    """Write the files that differ."""
    for path, data in files().items():
        if not path.is_file() or path.read_bytes() != data:
            path.write_bytes(data)


if __name__ == "__main__":
    main()
