"""The golden log: one keeper, seven records, and a second story about the third of them."""

import json
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from protocol.identity import Key
from protocol.log import Log, log_key

TESTS = Path(__file__).parents[2]
VECTORS: dict[str, Any] = json.loads((TESTS / "vectors" / "log.json").read_text(encoding="utf-8"))
HOSTILE = TESTS / "protocol" / "hostile" / "checkpoint"

KEY = Key(ec.derive_private_key(VECTORS["secret"], ec.SECP256R1()))
ROUND = bytes.fromhex(VECTORS["round"])
TRUSTED = log_key(ROUND, KEY.public)
IDS = [bytes.fromhex(record_id) for record_id in VECTORS["ids"]]
OTHER_IDS = [bytes.fromhex(record_id) for record_id in VECTORS["other_ids"]]

STRANGER = Key(ec.derive_private_key(VECTORS["secret"] + 1, ec.SECP256R1()))


def log(size: int = len(IDS), ids: list[bytes] = IDS) -> Log:
    """The log at a size."""
    return Log(TRUSTED, ids[:size])


def signed(size: int = len(IDS), ids: list[bytes] = IDS) -> bytes:
    """Its checkpoint."""
    return log(size, ids).sign(KEY)
