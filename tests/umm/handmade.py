"""Model folders made byte by byte, for tests of reading and writing."""

import json
from collections.abc import Mapping
from pathlib import Path

CONFIG = {"model_type": "llama", "num_hidden_layers": 2, "vocab_size": 8}

Values = Mapping[str, tuple[str, tuple[int, ...], bytes]]
"""Dtype, shape and bytes of each tensor."""


def safetensors_file(header: object, data: bytes = b"", *, length: int | None = None) -> bytes:
    """A file with this header (JSON value or bytes), whatever it says."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + data


def tensor_file(values: Values) -> bytes:
    """A well-formed file that holds these tensors in the order given."""
    header: dict[str, object] = {}
    data = b""
    for name, (dtype, shape, content) in values.items():
        offsets = [len(data), len(data) + len(content)]
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": offsets}
        data += content
    return safetensors_file(header, data)


def model_folder(folder: Path, files: Mapping[str, bytes], config: object = CONFIG) -> Path:
    """A folder with these files and a config."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


def index(weight_map: object) -> bytes:
    """An index that maps tensors to files."""
    return json.dumps({"metadata": {}, "weight_map": weight_map}).encode()
