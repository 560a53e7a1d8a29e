"""Keys and model folders for the tests of signatures."""

from collections.abc import Mapping
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from protocol.identity import Key


def fixed_key(number: int) -> Key:
    """The same key in every run; for tests only."""
    return Key(ec.derive_private_key(number, ec.SECP256R1()))


KEY = fixed_key(0x0A5)
OTHER = fixed_key(0x0B6)

MODEL: Mapping[str, bytes] = {
    "README.md": b"# a model\n",
    "config.json": b"{}\n",
    "model.safetensors": bytes(range(256)) * 4099,  # more than one read, and not a multiple of it
    "nothing.txt": b"",
    "tokenizer/a.json": b"[]",
    "tokenizer.json": b"{}",  # sorted by component it comes behind tokenizer/a.json, by code point before it
    "é \U0001d11e.txt": b"not ASCII",
}


def write(folder: Path, files: Mapping[str, bytes] = MODEL) -> Path:
    """A folder with these files."""
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder
