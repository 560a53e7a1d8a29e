"""Golden notes and proofs of a log, made from their description alone, with a key whose secret number is ``SECRET``."""

import base64

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.vectors.make_merkle import path, proof, sha256_hash, tree

SECRET = 0x5EED
KEY = ec.derive_private_key(SECRET, ec.SECP256R1())
DER = KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

ROUND = sha256_hash(b"round")
IDS = [sha256_hash(b"record %d" % i) for i in range(7)]
OTHER_IDS = [*IDS[:2], sha256_hash(b"another record"), *IDS[3:]]
SIZES = [0, 1, 4, 7]
INCLUSIONS = [(0, 1), (2, 4), (6, 7)]
GROWTHS = [(0, 4), (1, 4), (4, 7), (7, 7)]
FORKS = [(3, 7), (4, 7), (7, 7)]


def vectors() -> dict[str, object]:
    """The content of ``log.json``."""
    return {
        "secret": SECRET,
        "key": DER.hex(),
        "round": ROUND.hex(),
        "vkey": f"{origin()}+{key_id().hex()}+{_base64(bytes([2]) + DER)}",
        "ids": [record_id.hex() for record_id in IDS],
        "other_ids": [record_id.hex() for record_id in OTHER_IDS],
        "checkpoints": [{"size": n, "note": checkpoint(IDS[:n])} for n in SIZES],
        "inclusions": [{"index": i, "size": n, "proof": inclusion(i, n)} for i, n in INCLUSIONS],
        "growths": [{"old": m, "size": n, "proof": growth(m, n)} for m, n in GROWTHS],
        "forks": [{"old": m, "size": n, "proof": fork(m, n).hex()} for m, n in FORKS],
    }


def origin() -> str:
    """The name of the log: the round, and the SHA-256 of the keeper's key as libp2p's protobuf has it."""
    libp2p_key = bytes([0x08, 3, 0x12, len(DER)]) + DER
    return f"umm/round/{ROUND.hex()}/{sha256_hash(libp2p_key).hex()}"


def key_id() -> bytes:
    """For ECDSA the digest of the key alone, without its name."""
    return sha256_hash(DER)[:4]


def checkpoint(ids: list[bytes]) -> str:
    """A signed checkpoint."""
    text = f"{origin()}\n{len(ids)}\n{_base64(tree(ids, sha256_hash))}\n"
    signature = KEY.sign(text.encode(), ec.ECDSA(SHA256(), deterministic_signing=True))
    return f"{text}\n— {origin()} {_base64(key_id() + signature)}\n"


def inclusion(index: int, size: int) -> str:
    """A tlog-proof."""
    hashes = "".join(f"{_base64(node)}\n" for node in path(index, IDS[:size], sha256_hash))
    return f"c2sp.org/tlog-proof@v1\nindex {index}\n{hashes}\n{checkpoint(IDS[:size])}"


def growth(old: int, size: int) -> str:
    """What a witness is sent."""
    hashes = "".join(f"{_base64(node)}\n" for node in (proof(old, IDS[:size], sha256_hash) if old else []))
    return f"old {old}\n{hashes}\n{checkpoint(IDS[:size])}"


def fork(old: int, size: int) -> bytes:
    """The first ``old`` records told one way, all of ``size`` another."""
    older, newer = checkpoint(IDS[:old]).encode(), checkpoint(OTHER_IDS[:size]).encode()
    hashes = proof(old, OTHER_IDS[:size], sha256_hash)
    if old != size and old & (old - 1) == 0:
        hashes.insert(0, tree(OTHER_IDS[:old], sha256_hash))
    return _field(b"umm/log-fork") + b"\x01" + _field(older) + _field(newer) + b"".join(hashes)


def _field(data: bytes) -> bytes:
    return len(data).to_bytes(4, "little") + data


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
