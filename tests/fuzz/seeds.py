"""What a fuzzer begins with: the golden values and the broken ones that the tests have anyway.

Without them it would have to guess domains, lengths and digests, and would not get behind the first check.
"""

import json
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parents[1]

MAX_SEED_BYTES = 4096

VECTORS = {
    "chunklist": "chunks",
    "envelope": "envelope",
    "exchange": "exchange",
    "identity": "identity",
    "libp2p_frames": "libp2p_frames",
    "log": "log",
    "manifest": "manifest",
    "bundle": "modelsigning",
    "claims": "modelsigning",
    "pointer": "pointer",
    "proofs": "checkpoint_root",
    "records": "records",
    "strict": "records",
    "swarm": "pointer",
}
"""The file of golden values for a target."""

HOSTILE = {
    "libp2p_frames": ("libp2p_frame", "libp2p_request"),
    "proofs": ("proof",),
    "safetensors_header": ("safetensors",),
}
"""Folders of broken values, where they are called otherwise than the target."""


def seeds(target: str) -> Iterator[bytes]:
    """Every value to begin with."""
    vectors = TESTS / "vectors" / f"{VECTORS.get(target, target)}.json"
    if vectors.is_file():
        yield from _leaves(json.loads(vectors.read_bytes()))
    for name in HOSTILE.get(target, (target,)):
        folder = TESTS / "protocol" / "hostile" / name
        for path in sorted(folder.rglob("*")) if folder.is_dir() else ():
            if path.is_file() and path.stat().st_size <= MAX_SEED_BYTES:
                yield path.read_bytes()


def _leaves(value: object) -> Iterator[bytes]:
    """Texts of a document: as bytes where they are hexadecimal, else as they are."""
    if isinstance(value, dict):
        for inner in value.values():
            yield from _leaves(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(inner)
    elif isinstance(value, str) and value:
        try:
            data = bytes.fromhex(value)
        except ValueError:
            data = value.encode()
        if len(data) <= MAX_SEED_BYTES:
            yield data
