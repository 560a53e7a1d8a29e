"""Golden signatures of model folders and golden claims, from their description alone: nothing of ``protocol`` is used.

A file longer than a line is given as (step, size): byte i is ``i * step % 251``.
"""

import base64
import hashlib
import json
from collections.abc import Mapping

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

SCALAR = int.from_bytes(hashlib.sha256(b"umm test key: model signing").digest(), "big")
PRIVATE = ec.derive_private_key(SCALAR, ec.SECP256R1())
IGNORED = [
    *(".git", ".gitattributes", ".github", ".gitignore"),
    *("claims.jsonl", "claims.jsonl.part", "model.sig", "model.sig.part"),
]

FOLDERS: dict[str, dict[str, str | list[int]]] = {
    "one-file": {"config.json": "7b7d0a"},
    "gemma-merged": {
        "config.json": "7b7d0a",
        "model.safetensors": [7, (1 << 20) + 17],
        "tokenizer.json": "7b7d",
        "tokenizer/vocab.txt": "610a",
        "Z": "",
        "é\U0001d11e.txt": "c3a9",
    },
}
CLAIMS = [
    ("application/vnd.umm.attestation+json; v=1", b'{"root":"aa"}'),
    ("text/plain", "é".encode()),
]


def vectors() -> dict[str, object]:
    """The content of ``modelsigning.json``."""
    public = PRIVATE.public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    hint = hashlib.sha256(pem).hexdigest()
    return {
        "key": {"scalar": SCALAR.to_bytes(32, "big").hex(), "pem": pem.decode(), "hint": hint},
        "folders": [{"name": name, "files": files, **_signed(name, files, hint)} for name, files in FOLDERS.items()],
        "claims": "".join(_line(kind, payload) for kind, payload in CLAIMS),
    }


def content(file: str | list[int]) -> bytes:
    """The bytes that a description stands for."""
    if isinstance(file, str):
        return bytes.fromhex(file)
    step, size = file
    return bytes(i * step % 251 for i in range(size))


def _signed(name: str, files: Mapping[str, str | list[int]], hint: str) -> dict[str, str]:
    digests = {path: hashlib.sha256(content(files[path])).digest() for path in sorted(files)}
    root = hashlib.sha256(b"".join(digests.values())).hexdigest()
    resources = [{"algorithm": "sha256", "digest": digest.hex(), "name": path} for path, digest in digests.items()]
    statement = {
        "_type": "https://in-toto.io/Statement/v1",
        "predicate": {
            "resources": resources,
            "serialization": {
                "allow_symlinks": False,
                "hash_type": "sha256",
                "ignore_paths": IGNORED,
                "method": "files",
            },
        },
        "predicateType": "https://model_signing/signature/v1.0",
        "subject": [{"digest": {"sha256": root}, "name": name}],
    }
    payload = _json(statement)
    kind = "application/vnd.in-toto+json"
    envelope = {
        "payload": _base64(payload),
        "payloadType": kind,
        "signatures": [{"keyid": "", "sig": _base64(_sign(kind, payload))}],
    }
    bundle = {
        "dsseEnvelope": envelope,
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": {"publicKey": {"hint": hint}, "tlogEntries": []},
    }
    return {"root": root, "payload": payload.decode(), "bundle": _json(bundle).decode()}


def _line(kind: str, payload: bytes) -> str:
    point = PRIVATE.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    signature = {"keyid": point.hex(), "sig": _base64(_sign(kind, payload))}
    return _json({"payload": _base64(payload), "payloadType": kind, "signatures": [signature]}).decode() + "\n"


def _sign(kind: str, payload: bytes) -> bytes:
    covered = b"DSSEv1 %d %b %d %b" % (len(kind), kind.encode(), len(payload), payload)
    return PRIVATE.sign(covered, ec.ECDSA(SHA256(), deterministic_signing=True))


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
