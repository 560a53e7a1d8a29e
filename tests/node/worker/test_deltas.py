"""Exact deltas through child processes: packed, checked, unpacked; and those that would harm the merge of all."""

import asyncio
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from node.errors import UserError
from node.worker import run_job
from node.worker.checking import check
from node.worker.deltas import decode, encode
from node.worker.jobs import Check, Decode, Encode, read_answer
from protocol.records.contribution import Fault
from tests.umm.checkpoints import content, plain
from tests.umm.handmade import tensor_file
from tests.umm.tokenizers_made import byte_level
from umm.delta import encode as pack
from umm.digest import checkpoint_leaves, checkpoint_root
from umm.errors import CheckpointError, MismatchError

EXTRA = {"model.mask": ("BOOL", (3,), b"\1\0\1")}


def nobody(*_: object) -> None:
    """Does not listen."""


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return plain(tmp_path / "base", vocab=300, extra=EXTRA, files={"tokenizer.json": byte_level(290).encode()})


def packed(tmp_path: Path, base: Path, **changes: Any) -> Path:
    """The delta of an expert."""
    made = {"vocab": 300, "extra": EXTRA, "files": {"tokenizer.json": byte_level(290).encode()}, **changes}
    expert = plain(tmp_path / "expert", "a", **made)
    encode(Encode(base=base, expert=expert, out=tmp_path / "delta", threads=1), nobody)
    return tmp_path / "delta"


def judged(base: Path, contribution: Path, kind: str = "delta", max_norm: str | None = None) -> Mapping[str, Any]:
    return read_answer(Check, check(Check(base=base, contribution=contribution, kind=kind, max_norm=max_norm), nobody))


def run(job: Mapping[str, Any], heard: list[tuple[str, int, int]]) -> Mapping[str, Any]:
    listen: Callable[[str, int, int], None] = lambda *told: heard.append(told)  # noqa: E731
    return asyncio.run(run_job(job, memory_bytes=4 * 10**9, seconds=100, progress=listen))


def test_a_delta_makes_the_expert_again_in_child_processes(tmp_path: Path, base: Path) -> None:
    expert = plain(tmp_path / "expert", "a", vocab=300, extra=EXTRA)
    heard: list[tuple[str, int, int]] = []
    there = run({"job": "encode", "base": str(base), "expert": str(expert), "out": str(tmp_path / "delta")}, heard)
    assert there["packed_bytes"] > 0
    assert there["raw_bytes"] == heard[-1][1] == heard[-1][2]
    back = run(
        {"job": "decode", "base": str(base), "delta": str(tmp_path / "delta"), "out": str(tmp_path / "again")}, heard
    )
    assert back == {}
    assert {what for what, _, _ in heard} == {"encode", "decode"}
    assert checkpoint_leaves(tmp_path / "again")[0] == checkpoint_leaves(expert)[0]
    answer = run({"job": "check", "base": str(base), "contribution": str(tmp_path / "delta"), "kind": "delta"}, [])
    assert answer == {"ok": True, "fault": None, "reason": None, "norm": there["norm"]}


def test_a_delta_is_as_far_away_as_the_checkpoint_that_it_makes(tmp_path: Path, base: Path) -> None:
    delta = packed(tmp_path, base)
    assert judged(base, delta) == judged(base, tmp_path / "expert", "checkpoint")
    verdict = judged(base, delta, max_norm="0.1")
    assert (verdict["fault"], verdict["norm"]) == ("norm", None)


def test_only_some_tensors_are_unpacked_when_no_more_are_wanted(tmp_path: Path, base: Path) -> None:
    name = "model.norm.weight"
    delta = packed(tmp_path, base)
    decode(Decode(base=base, delta=delta, out=tmp_path / "part", only=frozenset({name})), nobody)
    whole, part = content(tmp_path / "expert"), content(tmp_path / "part")
    size = int.from_bytes(part["model.safetensors"][:8], "little")
    entries = json.loads(part["model.safetensors"][8 : 8 + size])
    begin, end = (8 + size + at for at in entries[name]["data_offsets"])
    assert part["model.safetensors"][begin:end] in whole["model.safetensors"]
    assert not any(part["model.safetensors"][8 + size : begin] + part["model.safetensors"][end:])


REFUSED: dict[str, tuple[Mapping[str, Any], str]] = {
    "a layer too many": ({"layers": 3}, "it has tensors that the base lacks"),
    "another mask": ({"extra": {"model.mask": ("BOOL", (3,), b"\0\0\0")}}, "it changes 'model.mask', which holds BOOL"),
    "another type": ({"config": {"model_type": "mistral"}}, "its config.json has another model_type"),
    "more tokens": (
        {"files": {"tokenizer.json": byte_level(295).encode()}},
        "its tokenizer has tokens that the base's",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_a_steward_would_refuse_is_not_packed(tmp_path: Path, base: Path, name: str) -> None:
    changes, reason = REFUSED[name]
    with pytest.raises(MismatchError, match=reason):
        packed(tmp_path, base, **changes)
    assert not (tmp_path / "delta").exists()


def test_a_contributor_hears_in_time_what_a_steward_would_say(tmp_path: Path, base: Path) -> None:
    expert = plain(tmp_path / "expert", "a", vocab=300, extra=EXTRA, config={"model_type": "mistral"})
    with pytest.raises(UserError, match=r"expert cannot be contributed: its config\.json has another model_type"):
        run({"job": "encode", "base": str(base), "expert": str(expert), "out": str(tmp_path / "delta")}, [])


def _mask(folder: Path) -> None:
    """A delta that changes a mask, as one who packs by hand can make it."""
    (folder / "delta.safetensors").write_bytes(tensor_file({"model.mask": ("U8", (8,), bytes(8))}))


def _garbage(folder: Path) -> None:
    data = (folder / "delta.safetensors").read_bytes()
    (folder / "delta.safetensors").write_bytes(data[:-40] + bytes(40))


def _set(folder: Path, bits: int) -> None:
    """Put these bits in the place of one number."""
    data = bytearray((folder / "model.safetensors").read_bytes())
    size = int.from_bytes(data[:8], "little")
    start = 8 + size + json.loads(data[8 : 8 + size])["model.norm.weight"]["data_offsets"][0]
    data[start : start + 2] = bits.to_bytes(2, "little")
    (folder / "model.safetensors").write_bytes(data)


def test_a_delta_that_makes_infinity_of_this_base_is_refused(tmp_path: Path, base: Path) -> None:
    other = plain(tmp_path / "other", vocab=300, extra=EXTRA)
    expert = plain(tmp_path / "expert", vocab=300, extra=EXTRA)
    _set(other, 0x0080)
    _set(expert, 0x7F00)
    with pytest.raises(CheckpointError, match="not the outcome of any training"):
        encode(Encode(base=other, expert=expert, out=tmp_path / "delta"), nobody)
    pack(other, expert, tmp_path / "delta")
    _set(base, 0x0100)  # 0x0100 + 0x7f00 - 0x0080 is infinity
    verdict = judged(base, tmp_path / "delta")
    assert verdict["fault"] == "values"
    assert verdict["reason"].startswith("'model.norm.weight' holds NaN or infinity")


HOSTILE: dict[str, tuple[Callable[[Path], object], Fault, str]] = {
    "no weights": (lambda f: (f / "delta.safetensors").unlink(), Fault.MANIFEST, "holds no delta"),
    "rotten frames": (_garbage, Fault.MANIFEST, "the contribution"),
    "a changed mask": (_mask, Fault.ARCHITECTURE, "it changes 'model.mask', which holds BOOL"),
    "an unknown tensor": (
        lambda f: (f / "delta.safetensors").write_bytes(tensor_file({"evil": ("U8", (8,), bytes(8))})),
        Fault.ARCHITECTURE, "'evil', which the base the base does not have",
    ),
    "another config": (
        lambda f: (f / "config.json").write_text('{"model_type": "mistral"}'), Fault.ARCHITECTURE, "another model_type"
    ),
    "a tokenizer with more tokens": (
        lambda f: (f / "tokenizer.json").write_bytes(byte_level(295).encode()), Fault.ARCHITECTURE, "has tokens that"
    ),
    "a broken tokenizer": (lambda f: (f / "tokenizer.json").write_bytes(b"{"), Fault.MANIFEST, "is not valid JSON"),
    "a link for a file": (
        lambda f: (f / "generation_config.json").symlink_to("/etc/passwd"), Fault.MANIFEST, "is a link out of"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_delta_that_would_harm_the_merge_is_refused(tmp_path: Path, base: Path, name: str) -> None:
    spoil, fault, reason = HOSTILE[name]
    delta = packed(tmp_path, base)
    spoil(delta)
    before = content(delta) if name != "a link for a file" else {}
    verdict = judged(base, delta)
    assert verdict["fault"] == fault, verdict
    assert reason in verdict["reason"]
    assert str(tmp_path) not in verdict["reason"]
    assert before == {} or content(delta) == before
    assert checkpoint_root(base)
