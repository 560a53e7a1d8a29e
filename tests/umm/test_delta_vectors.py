"""Golden packed tensors and norms: bytes made from the chapter alone come out right, and ours are the same bytes."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from blake3 import blake3

from tests.umm.deltas import delta, model, tensors_of
from tests.umm.handmade import Values
from tests.vectors.make_delta import CODES, packed
from tests.vectors.make_digest import pattern
from umm.checkpoint.folder import Folder
from umm.checkpoint.reader import Weights
from umm.delta import decode, encode, measure
from umm.delta.head import CODES as OURS
from umm.delta.head import width

VECTORS: dict[str, Any] = json.loads((Path(__file__).parent.parent / "vectors" / "delta.json").read_text())


def named(golden: dict[str, Any]) -> str:
    return str(golden["name"])


def tensor(dtype: str, data: bytes) -> Values:
    return {"w": (dtype, (len(data) // CODES[dtype][1],), data)}


def decoded(folder: Path, dtype: str, base: bytes, golden: dict[str, Any]) -> bytes:
    """The tensor that a golden packed tensor makes of a base."""
    old = model(folder / "base", tensor(dtype, base))
    decode(old, delta(folder / "delta", {"w": bytes.fromhex(golden["packed"])}), folder / "expert")
    return tensors_of(folder / "expert")["w"][2]


@pytest.mark.must("DLT-6")
def test_the_numbers_of_dtypes_are_golden() -> None:
    assert {name: (OURS[name], width(name)) for name in OURS} == CODES


@pytest.mark.must("DLT-4", "DLT-5", "DLT-8", "DLT-9", "DLT-10")
@pytest.mark.parametrize("golden", VECTORS["small"], ids=named)
def test_a_small_tensor_is_golden_both_ways(tmp_path: Path, golden: dict[str, Any]) -> None:
    before, after = bytes.fromhex(golden["base"]), bytes.fromhex(golden["expert"])
    assert decoded(tmp_path, golden["dtype"], before, golden) == after
    expert = model(tmp_path / "again", tensor(golden["dtype"], after))
    encode(tmp_path / "base", expert, tmp_path / "ours")
    with Weights.called("delta", Folder.of(tmp_path / "ours")) as ours:
        assert b"".join(ours.blocks("w")).hex() == golden["packed"]


@pytest.mark.must("DLT-10", "DLT-11", "DLT-12")
@pytest.mark.parametrize("golden", VECTORS["frames"], ids=named)
def test_every_kind_of_frame_is_read(tmp_path: Path, golden: dict[str, Any]) -> None:
    assert decoded(tmp_path, "U8", bytes.fromhex(golden["base"]), golden).hex() == golden["expert"]


@pytest.mark.must("DLT-9")
@pytest.mark.parametrize("golden", VECTORS["blocks"], ids=named)
def test_a_tensor_of_several_blocks_is_golden(tmp_path: Path, golden: dict[str, Any]) -> None:
    base = pattern(golden["step"], golden["size"])
    expert = decoded(tmp_path, "I8", base, golden)
    assert blake3(expert).hexdigest() == golden["expert"]


@pytest.mark.must("DLT-14")
@pytest.mark.parametrize("golden", VECTORS["norms"], ids=lambda g: f"{g['dtype']}-{len(g['base'])}")
def test_a_norm_is_golden_to_the_last_bit(tmp_path: Path, golden: dict[str, Any]) -> None:
    before, after = (tensor(golden["dtype"], bytes.fromhex(golden[key])) for key in ("base", "expert"))
    base, expert = model(tmp_path / "base", before), model(tmp_path / "expert", after)
    report = encode(base, expert, tmp_path / "delta")
    assert report.norm.hex() == golden["norm"]
    assert report.norms == {"w": report.norm}
    assert measure(base, tmp_path / "delta").norm.hex() == golden["norm"]


def test_the_generator_packs_as_we_do(tmp_path: Path) -> None:
    base = np.arange(12, dtype="<u4").tobytes()
    expert = model(tmp_path / "expert", tensor("U32", bytes([1]) + base[1:]))
    encode(model(tmp_path / "base", tensor("U32", base)), expert, tmp_path / "delta")
    with Weights.called("delta", Folder.of(tmp_path / "delta")) as ours:
        assert b"".join(ours.blocks("w")) == packed("U32", 12, [[bytes([2]) + bytes(11), b"", b"", b""]])
