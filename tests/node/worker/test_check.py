"""What a steward finds out about a contribution before it goes into the merge of all."""

import json
import os
import shutil
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from node.worker.checking import MAX_RANK, check
from node.worker.jobs import Check, read_answer
from protocol.records.contribution import Fault
from tests.umm.checkpoints import adapter, numbers, plain, shapes, stored, values
from tests.umm.handmade import tensor_file
from tests.umm.tokenizers_made import byte_level
from umm.errors import CheckpointError

Verdict = Mapping[str, Any]
EXTRA = {"model.mask": ("BOOL", (3,), b"\1\0\1"), "model.ids": ("I64", (1,), bytes(8))}
Q = "model.layers.0.self_attn.q_proj"


def judged(base: Path, contribution: Path, kind: str, max_norm: str | None = None) -> Verdict:
    """The verdict, in the form that the parent takes."""
    heard: list[tuple[str, int, int]] = []
    job = Check(base=base, contribution=contribution, kind=kind, max_norm=max_norm, threads=2)
    verdict = read_answer(Check, check(job, lambda *told: heard.append(told)))
    assert verdict["ok"] is (verdict["fault"] is None) is (verdict["reason"] is None)
    if verdict["ok"]:
        assert heard[-1][1] == heard[-1][2]
    return verdict


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return plain(tmp_path / "base", vocab=300, extra=EXTRA, files={"tokenizer.json": byte_level(290).encode()})


def expert(tmp_path: Path, **changes: Any) -> Path:
    made = {"vocab": 300, "extra": EXTRA, "files": {"tokenizer.json": byte_level(290).encode()}, **changes}
    return plain(tmp_path / "expert", "a", **made)


# -- checkpoints -----------------------------------------------------------------------------------------------


def test_a_fine_tune_is_accepted_and_its_distance_told(tmp_path: Path, base: Path) -> None:
    verdict = judged(base, expert(tmp_path), "checkpoint")
    of = shapes(vocab=300)
    ours, theirs = values("base", of), values("a", of)
    exact = 0.0
    for name in of:
        cut = [(v.view(np.uint32) >> 16 << 16).view(np.float32).astype(np.float64) for v in (ours[name], theirs[name])]
        exact += float(((cut[1] - cut[0]) ** 2).sum())
    assert verdict["ok"]
    assert float(verdict["norm"]) == pytest.approx(exact**0.5, rel=1e-12)


def test_the_base_itself_is_no_distance_away(base: Path) -> None:
    assert judged(base, base, "checkpoint")["norm"] == "0"


def test_the_norm_is_compared_with_what_the_round_takes(tmp_path: Path, base: Path) -> None:
    here = expert(tmp_path)
    norm = Decimal(judged(base, here, "checkpoint")["norm"])
    assert judged(base, here, "checkpoint", f"{norm + 1:f}")["ok"]
    verdict = judged(base, here, "checkpoint", "0.5")
    assert verdict["fault"] == "norm"
    assert verdict["reason"].startswith(f"it is {norm} away from the base and this round takes at most 0.5;")


def _poisoned(folder: Path, bits: int) -> None:
    data = bytearray((folder / "model.safetensors").read_bytes())
    size = int.from_bytes(data[:8], "little")
    start = 8 + size + json.loads(data[8 : 8 + size])["model.norm.weight"]["data_offsets"][0]
    data[start + 2 : start + 4] = bits.to_bytes(2, "little")
    (folder / "model.safetensors").write_bytes(data)


def _config(**changes: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(
            json.dumps({k: v for k, v in {**config, **changes}.items() if v is not None})
        )

    return change


def _weights(data: bytes) -> Callable[[Path], object]:
    return lambda folder: (folder / "model.safetensors").write_bytes(data)


def _headed(header: object) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text


def nothing(_: Path) -> None:
    """The folder is bad enough as it was made."""


def _without(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def _linked(folder: Path) -> None:
    (folder / "config.json").unlink()
    (folder / "config.json").symlink_to("/etc/passwd")


def _elsewhere(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text('{"weight_map": {"a": "../x.safetensors"}}')


HOSTILE: dict[str, tuple[Mapping[str, Any], Callable[[Path], object], Fault, str]] = {
    "a layer too many": ({"layers": 3}, nothing, Fault.ARCHITECTURE, "tensors that the base lacks: 'model.layers.2"),
    "no head": ({"head": False}, nothing, Fault.ARCHITECTURE, "it lacks tensors of the base: 'lm_head.weight'"),
    "other shapes": ({"width": 16}, nothing, Fault.ARCHITECTURE, "BF16 [300, 16], in the base BF16 [300, 8]"),
    "another dtype": ({"dtype": "float32"}, nothing, Fault.ARCHITECTURE, "is F32 [300, 8], in the base BF16"),
    "another mask": (
        {"extra": {**EXTRA, "model.mask": ("BOOL", (3,), b"\0\0\1")}}, nothing, Fault.ARCHITECTURE,
        "it changes 'model.mask', which holds BOOL",
    ),
    "NaN": ({}, lambda f: _poisoned(f, 0x7FC0), Fault.VALUES, "'model.norm.weight' holds NaN or infinity"),
    "infinity": ({}, lambda f: _poisoned(f, 0xFF80), Fault.VALUES, "'model.norm.weight' holds NaN or infinity"),
    "huge values": ({}, lambda f: _poisoned(f, 0x7F00), Fault.NORM, "not the outcome of any training"),
    "another model type": ({}, _config(model_type="mistral"), Fault.ARCHITECTURE, "has another model_type"),
    "another tie": ({}, _config(tie_word_embeddings=True), Fault.ARCHITECTURE, "has another tie_word_embeddings"),
    "no tie said": ({}, _config(tie_word_embeddings=None), Fault.ARCHITECTURE, "has another tie_word_embeddings"),
    "fewer layers said": ({}, _config(num_hidden_layers=1), Fault.ARCHITECTURE, "has another num_hidden_layers"),
    "a text section": ({}, _config(text_config={"vocab_size": 1}), Fault.ARCHITECTURE, "text_config.vocab_size"),
    "more tokens": (
        {"files": {"tokenizer.json": byte_level(295).encode()}}, nothing, Fault.ARCHITECTURE,
        "its tokenizer has tokens that the base's lacks",
    ),
    "a broken tokenizer": ({"files": {"tokenizer.json": b"{}"}}, nothing, Fault.MANIFEST, "there is no vocabulary"),
    "no config": ({}, _without("config.json"), Fault.MANIFEST, "the contribution has no config.json"),
    "config of nonsense": ({}, lambda f: (f / "config.json").write_text("["), Fault.MANIFEST, "is not valid JSON"),
    "config nested deep": (
        {}, lambda f: (f / "config.json").write_text('{"a":' * 5000 + "1" + "}" * 5000), Fault.MANIFEST,
        "nested deeper",
    ),
    "no weights": ({}, _without("model.safetensors"), Fault.MANIFEST, "has no weights"),
    "pickled weights": (
        {}, lambda f: (f / "model.safetensors").rename(f / "pytorch_model.bin"), Fault.MANIFEST, "pytorch_model.bin"
    ),
    "weights cut off": ({}, lambda f: os.truncate(f / "model.safetensors", 3000), Fault.MANIFEST, "cut off|truncated"),
    "a bomb of a header": ({}, _weights((2**62).to_bytes(8, "little") + b"{"), Fault.MANIFEST, "claims a header of"),
    "a shape beyond reason": (
        {}, _weights(_headed({"a": {"dtype": "F32", "shape": [2**40, 2**40], "data_offsets": [0, 4]}})), Fault.MANIFEST,
        "impossible shape",
    ),
    "a name that steers the terminal": (
        {}, _weights(tensor_file({"\x1b[2J": stored(numbers("x", (1,)), "float32")})), Fault.MANIFEST,
        "control character",
    ),
    "a link to a secret": (
        {}, _linked, Fault.MANIFEST, "is a link out of its model folder"
    ),
    "an index of another folder": (
        {}, _elsewhere, Fault.MANIFEST, "not the name of a .safetensors file in the same folder"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_checkpoint_that_would_harm_the_merge_is_refused_with_the_reason(
    tmp_path: Path, base: Path, name: str
) -> None:
    changes, spoil, fault, reason = HOSTILE[name]
    here = expert(tmp_path, **changes)
    spoil(here)
    verdict = judged(base, here, "checkpoint")
    assert verdict["fault"] == fault
    assert any(part in verdict["reason"] for part in reason.split("|")), verdict["reason"]
    assert str(tmp_path) not in verdict["reason"].replace("/etc/passwd", "")


def test_a_tokenizer_that_the_base_has_not_is_left_out(tmp_path: Path) -> None:
    bare = plain(tmp_path / "base", vocab=300)
    verdict = judged(bare, expert(tmp_path, extra={}), "checkpoint")
    assert (verdict["fault"], verdict["reason"]) == (
        "architecture", "it brings a tokenizer.json, which the base has not; leave it out"
    )  # fmt: skip
    (tmp_path / "expert" / "tokenizer.json").unlink()
    assert judged(bare, tmp_path / "expert", "checkpoint")["ok"]


@pytest.mark.parametrize("spoil", [lambda f: _poisoned(f, 0x7FC0), lambda f: (f / "config.json").unlink()])
def test_what_is_wrong_with_the_base_is_nobody_elses_fault(
    tmp_path: Path, base: Path, spoil: Callable[[Path], object]
) -> None:
    here = expert(tmp_path)
    spoil(base)
    with pytest.raises(CheckpointError, match=r"base holds NaN or infinity|base has no config\.json"):
        judged(base, here, "checkpoint")


# -- adapters --------------------------------------------------------------------------------------------------


def lora(folder: Path, rank: int = 2, module: str = Q, **settings: Any) -> Path:
    factors = {
        f"{module}.lora_A.weight": numbers("A", (rank, 8)), f"{module}.lora_B.weight": numbers("B", (8, rank))
    }  # fmt: skip
    return adapter(folder, factors, **{"r": rank, **settings})


def test_an_adapter_is_as_far_away_as_what_it_adds(tmp_path: Path, base: Path) -> None:
    verdict = judged(base, lora(tmp_path / "lora"), "adapter")
    product = 2 * numbers("B", (8, 2)).astype(np.float64) @ numbers("A", (2, 8)).astype(np.float64)
    assert verdict["ok"]
    assert float(verdict["norm"]) == pytest.approx(float(np.linalg.norm(product)), rel=1e-5)
    assert judged(base, tmp_path / "lora", "adapter", "0.001")["fault"] == "norm"


def _changed(change: Callable[[Path], object]) -> Callable[[Path], None]:
    """A good adapter, changed."""

    def make(folder: Path) -> None:
        lora(folder)
        change(folder)

    return make


def _holding(name: str, count: int) -> Callable[[Path], None]:
    """An adapter that holds one tensor of this name."""
    data = tensor_file({name: stored(numbers("x", (count,)), "float32")})
    return _changed(lambda folder: (folder / "adapter_model.safetensors").write_bytes(data))


def _filled(a: float, b: float) -> Callable[[Path], object]:
    """Factors of one value each."""
    factors = {
        f"{Q}.lora_A.weight": np.full((2, 8), a, np.float32), f"{Q}.lora_B.weight": np.full((8, 2), b, np.float32)
    }  # fmt: skip
    return lambda folder: adapter(folder, factors)


ADAPTERS: dict[str, tuple[Callable[[Path], object], Fault, str]] = {
    "an unknown module": (lambda f: lora(f, module="model.layers.7.x"), Fault.ARCHITECTURE, "has no such weight"),
    "a name that leaves": (lambda f: lora(f, module="../../etc/passwd"), Fault.ARCHITECTURE, "has no such weight"),
    "factors of another rank": (lambda f: lora(f, 2, r=3), Fault.ARCHITECTURE, "the rank in adapter_config.json is 3"),
    "a rank beyond the weight": (lambda f: lora(f, 9), Fault.SIZE, "have the rank 9, of which at most 8 is of use"),
    "another method": (lambda f: lora(f, peft_type="IA3"), Fault.MANIFEST, "only LORA adapters can be merged"),
    "DoRA": (lambda f: lora(f, use_dora=True), Fault.MANIFEST, "use_dora is set"),
    "a scale of infinity": (lambda f: lora(f, lora_alpha=1e400), Fault.MANIFEST, "lora_alpha|not valid JSON"),
    "an expression that explodes": (
        lambda f: lora(f, rank_pattern={"(a|a)*{9}": 2}), Fault.MANIFEST, "which is not understood"
    ),
    "no settings": (_changed(_without("adapter_config.json")), Fault.MANIFEST, "missing"),
    "no weights": (_changed(_without("adapter_model.safetensors")), Fault.MANIFEST, "has no adapter_model"),
    "a tensor that is none of peft's": (_holding("evil", 1), Fault.MANIFEST, "this is not a peft adapter"),
    "a replaced mask": (
        _holding("base_model.model.model.mask", 3), Fault.ARCHITECTURE, "it changes 'model.mask', which holds BOOL"
    ),
    "NaN in a factor": (_filled(np.nan, 1), Fault.VALUES, f"'{Q}.weight' holds NaN or infinity"),
    "a product that overflows": (_filled(1e30, 1e30), Fault.VALUES, f"'{Q}.weight' holds NaN or infinity"),
}  # fmt: skip


@pytest.mark.parametrize("name", ADAPTERS)
def test_an_adapter_that_would_harm_the_merge_is_refused(tmp_path: Path, base: Path, name: str) -> None:
    make, fault, reason = ADAPTERS[name]
    make(tmp_path / "lora")
    verdict = judged(base, tmp_path / "lora", "adapter")
    assert verdict["fault"] == fault, verdict
    assert any(part in verdict["reason"] for part in reason.split("|")), verdict["reason"]


def test_an_adapter_may_not_add_what_the_bases_type_cannot_hold(tmp_path: Path) -> None:
    half = plain(tmp_path / "base", dtype="float16")
    factors = {
        f"{Q}.lora_A.weight": np.full((2, 8), 300, np.float32),
        f"{Q}.lora_B.weight": np.full((8, 2), 300, np.float32),
    }
    adapter(tmp_path / "lora", factors)
    assert judged(half, tmp_path / "lora", "adapter")["fault"] == "values"
    shutil.rmtree(half)
    plain(tmp_path / "base", dtype="bfloat16")
    assert judged(half, tmp_path / "lora", "adapter")["ok"]


def test_ranks_are_bounded() -> None:
    assert MAX_RANK == 1024
