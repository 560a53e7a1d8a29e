"""What of an unfinished output is done: one line that names the work, then one for every finished tensor.

The journal is only a hint. Nothing in it is believed before the bytes on disk have been hashed again, so it
needs no sync of its own and a torn last line costs one tensor.
"""

import json
import os
import threading
from collections.abc import Mapping
from pathlib import Path

from umm.checkpoint.disk import blaming_the_machine

VERSION = 1
DIGEST_BYTES = 32


class Journal:
    """The journal of one output folder, open for adding from any thread; ``fd`` is the caller's to close."""

    def __init__(self, path: Path, identity: str) -> None:
        """Continue the journal at ``path``, or begin one for the work called ``identity``."""
        self.path = path
        self._lock = threading.Lock()
        with blaming_the_machine("write", path):
            if not path.exists():
                _begin(path, identity)
            self.fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
            os.write(self.fd, b"\n")  # ends a line that may have been torn; empty ones are skipped

    def add(self, name: str, digest: bytes) -> None:
        """Note that a tensor's bytes are all written and have this digest."""
        line = json.dumps({"tensor": name, "leaf": digest.hex()}) + "\n"
        with self._lock, blaming_the_machine("write", self.path):
            os.write(self.fd, line.encode())


def journalled_identity(path: Path) -> str | None:
    """The work that the journal at ``path`` belongs to, or None if there is no journal to speak of."""
    lines = _lines(path)
    identity = lines[0].get("identity") if lines else None
    return identity if isinstance(identity, str) and lines[0].get("version") == VERSION else None


def journalled_leaves(path: Path) -> Mapping[str, bytes]:
    """The tensors that the journal claims to be done, with their digests; malformed lines are skipped."""
    found: dict[str, bytes] = {}
    for line in _lines(path)[1:]:
        name, leaf = line.get("tensor"), line.get("leaf")
        if isinstance(name, str) and isinstance(leaf, str):
            digest = _unhex(leaf)
            if len(digest) == DIGEST_BYTES:
                found[name] = digest
    return found


def _begin(path: Path, identity: str) -> None:
    """Write the first line under another name, so that a journal always has it whole."""
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps({"version": VERSION, "identity": identity}) + "\n", encoding="utf-8")
    fresh.replace(path)


def _lines(path: Path) -> list[dict[str, object]]:
    if not path.is_file():
        return []
    parsed = [_object(line) for line in path.read_bytes().split(b"\n")]
    return [line for line in parsed if line is not None]


def _object(line: bytes) -> dict[str, object] | None:
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _unhex(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        return b""
