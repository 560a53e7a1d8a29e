"""Golden records of every kind, computed from their description without the code of ``protocol``."""

import base64
import json
from hashlib import sha256
from typing import Any

from blake3 import blake3
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from tests.vectors.make_digest import blob_id
from tests.vectors.make_envelope import point

CONVENER, CONTRIBUTOR, OTHER = 1, 21, 22
STEWARDS = (11, 12, 13, 14)
START, HOUR = 1_800_000_000, 3_600

Plain = dict[str, Any]


def vectors() -> dict[str, object]:
    """The content of ``records.json``."""
    records = _records()
    ids = sorted(bytes.fromhex(digest(name)) for name in ("a", "b", "c"))
    votes = sorted(
        (_described("vote", 11, _vote(records["round"]["id"], roster)) for roster in ("one", "other")),
        key=lambda said: str(said["id"]),
    )
    lists = [ids[:0], ids[:1], ids]
    return {
        "records": records,
        "commitment_digest": commitment_digest(records["round"]["id"], records["contribution"]["id"]),
        "rosters": [{"bytes": b"".join(n).hex(), "id": blob_id(b"".join(n)).hex()} for n in lists],
        "equivocation": (_field(b"umm/equivocation/1") + b"".join(_field(_envelope(v)) for v in votes)).hex(),
    }


def digest(name: str) -> str:
    """32 bytes for a name."""
    return sha256(name.encode()).hexdigest()


def public(number: int) -> str:
    """The point of the key with this private number."""
    return point(ec.derive_private_key(number, ec.SECP256R1()))


def commitment_digest(round_id: str, contribution_id: str) -> str:
    """What the contributor's commitment states."""
    hidden = (bytes.fromhex(part) for part in (round_id, public(CONTRIBUTOR), contribution_id))
    return blake3(b"".join(map(_field, [b"umm/commitment/1", *hidden]))).hexdigest()


def _records() -> dict[str, Plain]:
    made = {"round": _described("round", CONVENER, _round())}
    here = {"round": made["round"]["id"]}
    made["contribution"] = _described("contribution", CONTRIBUTOR, here | _delta())
    made["distributions"] = _described("contribution", OTHER, here | _distributions())
    offer = made["contribution"]["id"]
    hidden = {"digest": commitment_digest(here["round"], offer)}
    taken_back = {"contribution": offer, "reason": "licence unclear"}
    refused = {"contribution": offer, "fault": "values", "reason": "tensor lm_head.weight has a NaN"}
    ballot = {"revision": 0, "attempt": 0, "count": 2, "roster": digest("roster")}
    made["commitment"] = _described("commitment", CONTRIBUTOR, here | hidden)
    made["withdrawal"] = _described("withdrawal", CONTRIBUTOR, here | taken_back)
    made["refusal"] = _described("refusal", 11, here | refused)
    made["ballot"] = _described("ballot", 11, here | ballot)
    ids = sorted(digest(name) for name in "abc")
    proposal = {"revision": 0, "attempt": 1, "roster": digest("roster")}
    proposal |= {"ballots": [made["ballot"]["id"]], "timeouts": ids}
    votes = _endorsed("vote", _vote(here["round"], "roster"), (11, 12, 13))
    lock = {"attempt": 0, "roster": digest("roster"), "votes": votes}
    made["proposal"] = _described("proposal", 11, here | proposal)
    made["vote"] = _described("vote", 11, _vote(here["round"], "roster"))
    made["timeout"] = _described("timeout", 11, here | {"revision": 0, "attempt": 1, "lock": lock})
    made["attestation"] = _described("attestation", 11, here | _merged("merged", 0))
    made["result"] = _described("result", 11, _outcome(here["round"], "merged", 0, (11, 12, 13)))
    revision = _outcome(here["round"], "revised", 1, STEWARDS) | {
        "revision": 1,
        "previous": made["result"]["id"],
        "removed": [_described("contribution", CONTRIBUTOR, here | _delta(plain=True))["id"]],
        "reason": "the contributor withdrew it",
    }
    made["revision"] = _described("revision", 12, revision)
    return made


def _round() -> Plain:
    hours = ("commit_opens", "commit_closes", "reveal_closes", "roster_closes", "merge_closes")
    return {
        "title": "A reasoning model for everybody",
        "description": "What your GPU learned, merged.",
        "base": {"root": digest("base"), "manifest": digest("base manifest"), "locations": ["hf://umm/base@v1.0"]},
        "recipe": {"text": '{"merge_method":"ties"}'},
        "seed": digest("seed"),
        "kinds": ["adapter", "checkpoint", "delta", "distributions"],
        "prompts": digest("prompts"),
        "stewards": sorted(public(number) for number in STEWARDS),
        "schedule": {name: START + i * HOUR for i, name in enumerate(hours)},
        "admission": {
            "contributions_per_key": 2,
            "contributions": 10,
            "bytes_each": 1 << 32,
            "bytes_total": 1 << 36,
        },
    }


def _delta(plain: bool = False) -> Plain:
    about = {
        "kind": "delta",
        "manifest": digest("a delta manifest"),
        "root": digest("a delta root"),
        "size": 1 << 20,
        "base": digest("base"),
        "norm": "1.5",
        "domain": "mathematics",
        "licence": "Apache-2.0",
        "salt": digest("a delta salt"),
    }
    more = {
        "title": "Mathematics with worked steps",
        "claims": [{"suite": "GSM8K test", "metric": "exact-match", "score": "0.615", "items": 1319}],
        "derived_from": [digest("another contribution")],
        "training": digest("training"),
        "locations": ["https://example.org/delta/"],
    }
    return about if plain else about | more


def _distributions() -> Plain:
    return {
        "kind": "distributions",
        "manifest": digest("distributions manifest"),
        "root": digest("distributions root"),
        "size": 1 << 20,
        "prompts": digest("prompts"),
        "domain": "mathematics",
        "licence": "Apache-2.0",
        "salt": digest("distributions salt"),
    }


def _vote(round_id: str, roster: str) -> Plain:
    return {"round": round_id, "revision": 0, "attempt": 0, "stage": "lock", "roster": digest(roster)}


def _merged(root: str, revision: int) -> Plain:
    recipe = digest("locked recipe")
    return {"revision": revision, "roster": digest("roster"), "root": digest(root), "recipe": recipe}


def _outcome(round_id: str, root: str, revision: int, stewards: tuple[int, ...]) -> Plain:
    said = {"round": round_id} | _merged(root, revision)
    return {
        "round": round_id,
        "roster": digest("roster"),
        "root": digest(root),
        "manifest": digest(f"{root} manifest"),
        "recipe": {"blob": digest("locked recipe")},
        "endorsements": _endorsed("attestation", said, stewards),
    }


def _endorsed(kind: str, said: Plain, stewards: tuple[int, ...]) -> list[Plain]:
    signatures = {n: _described(kind, n, said)["signature"] for n in stewards}
    return sorted(
        ({"author": public(n), "signature": signature} for n, signature in signatures.items()),
        key=lambda one: str(one["author"]),
    )


def _described(kind: str, author: int, said: Plain) -> Plain:
    """A record: its payload, its id and its author's signature."""
    payload_type = f"application/vnd.umm.{kind}+json; v=1"
    payload = json.dumps(said | {"author": public(author)}, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return {
        "payload_type": payload_type,
        "payload": payload,
        "id": blake3(_field(b"umm/record/1") + _field(payload_type.encode()) + payload.encode()).hexdigest(),
        "author": public(author),
        "signature": _signature(author, payload_type.encode(), payload.encode()),
    }


def _signature(author: int, kind: bytes, payload: bytes) -> str:
    signed = b" ".join([b"DSSEv1", str(len(kind)).encode(), kind, str(len(payload)).encode(), payload])
    private = ec.derive_private_key(author, ec.SECP256R1())
    return private.sign(signed, ec.ECDSA(SHA256(), deterministic_signing=True)).hex()


def _envelope(record: Plain) -> bytes:
    signature = {"keyid": record["author"], "sig": base64.b64encode(bytes.fromhex(record["signature"])).decode()}
    document = {
        "payload": base64.b64encode(record["payload"].encode()).decode(),
        "payloadType": record["payload_type"],
        "signatures": [signature],
    }
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def _field(data: bytes) -> bytes:
    return len(data).to_bytes(4, "little") + data
