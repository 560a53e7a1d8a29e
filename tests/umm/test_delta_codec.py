"""An expert to a delta and back: every bit, every dtype and shape, and what is left out or refused."""

import json
import tempfile
from math import prod
from pathlib import Path

import pytest
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.umm.deltas import BASE, EXPERT, listing, model, pair, tensors_of
from tests.umm.handmade import CONFIG, Values, index, model_folder, tensor_file
from umm.delta import decode, encode, measure
from umm.delta.head import BLOCK, CODES, width
from umm.digest import checkpoint_root


@st.composite
def models(draw: st.DrawFn) -> tuple[Values, Values]:
    """A base of any bits and an expert that differs somewhere; all of it integers, so that any bits are numbers."""
    base: dict[str, tuple[str, tuple[int, ...], bytes]] = {}
    expert = {}
    integers = sorted(CODES.keys() - {"BF16", "F16", "F32"})
    for i in range(draw(st.integers(1, 4))):
        dtype = draw(st.sampled_from(integers))
        shape = tuple(draw(st.lists(st.integers(0, 5), max_size=3)))
        size = prod(shape) * width(dtype)
        before = draw(st.binary(min_size=size, max_size=size))
        after = draw(st.one_of(st.just(before), st.binary(min_size=size, max_size=size)))
        base[f"t{i}"], expert[f"t{i}"] = (dtype, shape, before), (dtype, shape, after)
    base["always"], expert["always"] = ("U8", (), b"\0"), ("U8", (), b"\1")
    return base, expert


@pytest.mark.must("DLT-1", "DLT-4")
@settings(deadline=None, max_examples=30)
@given(models())
def test_any_expert_comes_back_with_the_same_root(made: tuple[Values, Values]) -> None:
    with tempfile.TemporaryDirectory() as there:
        base, expert = pair(Path(there), *made)
        report = encode(base, expert, Path(there) / "delta")
        decode(base, Path(there) / "delta", Path(there) / "back")
        assert tensors_of(Path(there) / "back") == dict(sorted(made[1].items()))
        assert checkpoint_root(Path(there) / "back") == checkpoint_root(expert)
        changed = {name for name in made[0] if made[0][name] != made[1][name]}
        assert (report.changed, report.unchanged) == (len(changed), len(made[0]) - len(changed))
        assert measure(base, Path(there) / "delta").changed == len(changed)


FLOATS = {"BF16": (0x7F80, 2), "F16": (0x7C00, 2), "F32": (0x7F800000, 4)}


@st.composite
def floats(draw: st.DrawFn) -> tuple[str, bytes, bytes]:
    """A dtype, any bits for the base, NaN with every payload among them, and finite ones for the expert."""
    dtype = draw(st.sampled_from(sorted(FLOATS)))
    exponent, size = FLOATS[dtype]
    any_bits = st.integers(0, 256**size - 1)
    special = st.sampled_from(
        [0, 1 << 8 * size - 1, exponent, exponent | 1, exponent | 1 << 8 * size - 1, exponent - 1]
    )
    base = draw(st.lists(any_bits | special, min_size=1, max_size=20))
    finite = (any_bits | special).filter(lambda bits: bits & exponent != exponent)
    expert = [draw(st.just(bits) | finite) for bits in base]
    expert[0] = base[0] ^ 1 if (base[0] ^ 1) & exponent != exponent else 0
    before, after = (b"".join(bits.to_bytes(size, "little") for bits in values) for values in (base, expert))
    return dtype, before, after


@pytest.mark.must("DLT-4", "DLT-15")
@settings(deadline=None, max_examples=40)
@given(floats())
def test_floats_come_back_whatever_bits_the_base_has(made: tuple[str, bytes, bytes]) -> None:
    dtype, before, after = made
    with tempfile.TemporaryDirectory() as there:
        shape = (len(before) // width(dtype),)
        base, expert = pair(Path(there), {"w": (dtype, shape, before)}, {"w": (dtype, shape, after)})
        report = encode(base, expert, Path(there) / "delta")
        decode(base, Path(there) / "delta", Path(there) / "back")
        assert tensors_of(Path(there) / "back")["w"][2] == after
        measured = measure(base, Path(there) / "delta")
        assert (measured.norm, measured.norms, measured.not_finite) == (report.norm, report.norms, ())


@pytest.mark.must("DLT-9")
@pytest.mark.parametrize("threads", [1, 3])
def test_tensors_of_several_blocks_come_back_on_any_number_of_threads(tmp_path: Path, threads: int) -> None:
    before = bytes(range(256)) * (2 * BLOCK // 128) + b"rest"
    after = bytearray(before)
    after[0], after[-1], after[2 * BLOCK + 1] = 9, 9, 9
    base, expert = pair(
        tmp_path,
        {"w": ("U16", (2 * BLOCK + 2,), before), "v": ("I8", (3,), b"abc")},
        {"w": ("U16", (2 * BLOCK + 2,), bytes(after)), "v": ("I8", (3,), b"abd")},
    )
    heard: list[int] = []
    report = encode(base, expert, tmp_path / "delta", threads=threads, progress=heard.append)
    assert sum(heard) == report.raw_bytes == len(before) + 3
    decode(base, tmp_path / "delta", tmp_path / "back", threads=threads)
    assert checkpoint_root(tmp_path / "back") == checkpoint_root(expert)


def test_the_same_delta_comes_out_of_any_number_of_threads(tmp_path: Path) -> None:
    base, expert = pair(tmp_path)
    encode(base, expert, tmp_path / "one", threads=1)
    encode(base, expert, tmp_path / "four", threads=4)
    assert listing(tmp_path / "one") == listing(tmp_path / "four")


def test_a_report_says_what_was_packed(tmp_path: Path) -> None:
    base, expert = pair(tmp_path)
    report = encode(base, expert, tmp_path / "delta")
    assert (report.changed, report.unchanged, report.files, report.inherited) == (2, 1, (), ())
    assert report.raw_bytes == 12 + 8 + 8
    assert report.packed_bytes == (tmp_path / "delta" / "delta.safetensors").stat().st_size
    assert report.norms == {"w": report.norm}  # integers have no norm
    assert report.norm == (2.0**-14 + 2.0**-12 + 18.0**2) ** 0.5


def test_sharded_models_and_sharded_deltas_are_read(tmp_path: Path) -> None:
    files = {"a.safetensors": {"w": BASE["w"]}, "b.safetensors": {"v": BASE["v"], "ids": BASE["ids"]}}
    where = {"w": "a.safetensors", "v": "b.safetensors", "ids": "b.safetensors"}
    weights = {name: tensor_file(tensors) for name, tensors in files.items()}
    base = model_folder(tmp_path / "base", {**weights, "model.safetensors.index.json": index(where)})
    expert = model(tmp_path / "expert", EXPERT)
    encode(base, expert, tmp_path / "delta")
    from safetensors.numpy import load_file, save_file

    whole = load_file(tmp_path / "delta" / "delta.safetensors")
    (tmp_path / "parts").mkdir()
    for i, name in enumerate(sorted(whole)):
        save_file({name: whole[name]}, tmp_path / "parts" / f"delta-{i}.safetensors")
    parts = index({name: f"delta-{i}.safetensors" for i, name in enumerate(sorted(whole))})
    (tmp_path / "parts" / "delta.safetensors.index.json").write_bytes(parts)
    decode(base, tmp_path / "parts", tmp_path / "back")
    assert checkpoint_root(tmp_path / "back") == checkpoint_root(expert)


# -- files beside the weights ----------------------------------------------------------------------------------


@pytest.mark.must("DLT-3")
def test_files_that_differ_travel_and_all_others_are_the_bases(tmp_path: Path) -> None:
    old = {"tokenizer.json": b"{}", "vocab.json": b"{}", "generation_config.json": b"1", "README.md": b"old"}
    new = {"tokenizer.json": b"[]", "vocab.json": b"{}", "chat_template.jinja": b"hello", "README.md": b"new"}
    base = model(tmp_path / "base", BASE, old)
    expert = model(tmp_path / "expert", EXPERT, new, {**CONFIG, "more": 1})
    report = encode(base, expert, tmp_path / "delta")
    assert report.files == ("chat_template.jinja", "config.json", "tokenizer.json")
    assert report.inherited == ("generation_config.json",)
    assert set(listing(tmp_path / "delta")) == {"delta.safetensors", *report.files}
    decode(base, tmp_path / "delta", tmp_path / "back")
    found = listing(tmp_path / "back")
    assert {name: found[name] for name in found if name not in ("model.safetensors", "config.json")} == {
        "tokenizer.json": b"[]",
        "vocab.json": b"{}",
        "chat_template.jinja": b"hello",
        "generation_config.json": b"1",
    }
    assert json.loads(found["config.json"])["more"] == 1


def test_a_file_that_differs_in_its_last_byte_travels(tmp_path: Path) -> None:
    long = bytes(3 << 20)
    base = model(tmp_path / "base", BASE, {"vocab.txt": long, "merges.txt": long})
    expert = model(tmp_path / "expert", EXPERT, {"vocab.txt": long[:-1] + b"x", "merges.txt": long})
    assert encode(base, expert, tmp_path / "delta").files == ("vocab.txt",)


# -- parts -----------------------------------------------------------------------------------------------------


@pytest.mark.must("DLT-13")
def test_some_tensors_can_be_decoded_without_reading_the_others(tmp_path: Path) -> None:
    base, expert = pair(tmp_path)
    encode(base, expert, tmp_path / "delta")
    decode(base, tmp_path / "delta", tmp_path / "whole")
    for folder, name in ((base, "v"), (base, "ids"), (tmp_path / "delta", "ids")):  # as if these were holes
        blot(folder, name)
    decode(base, tmp_path / "delta", tmp_path / "part", only=frozenset({"w"}))
    whole, part = listing(tmp_path / "whole"), listing(tmp_path / "part")
    assert {name: len(data) for name, data in part.items()} == {name: len(data) for name, data in whole.items()}
    assert part["config.json"] == whole["config.json"]
    expected = {
        n: (d, s, data if n == "w" else bytes(len(data))) for n, (d, s, data) in tensors_of(tmp_path / "whole").items()
    }
    assert tensors_of(tmp_path / "part") == expected


def blot(folder: Path, name: str) -> None:
    """Make a tensor's bytes zeros."""
    (path,) = folder.glob("*.safetensors")
    data = bytearray(path.read_bytes())
    size = int.from_bytes(data[:8], "little")
    begin, end = json.loads(data[8 : 8 + size])[name]["data_offsets"]
    data[8 + size + begin : 8 + size + end] = bytes(end - begin)
    path.write_bytes(data)


def test_a_part_of_a_large_model_takes_little_room(tmp_path: Path) -> None:
    large = bytes(8 * BLOCK)
    base, expert = pair(
        tmp_path,
        {"large": ("U8", (len(large),), large), "w": BASE["w"]},
        {"large": ("U8", (len(large),), large), "w": EXPERT["w"]},
    )
    encode(base, expert, tmp_path / "delta")
    decode(base, tmp_path / "delta", tmp_path / "part", only=frozenset({"w"}))
    status = (tmp_path / "part" / "model.safetensors").stat()
    assert status.st_size > len(large)
    assert status.st_blocks * 512 < BLOCK


def test_parts_that_no_model_has_are_a_mistake_of_the_caller(tmp_path: Path) -> None:
    base, expert = pair(tmp_path)
    encode(base, expert, tmp_path / "delta")
    with pytest.raises(ValueError, match="nowhere is not a tensor"):
        decode(base, tmp_path / "delta", tmp_path / "part", only=frozenset({"nowhere"}))


def test_a_header_has_room_for_tensors_that_all_changed(tmp_path: Path) -> None:
    base = {f"{i}": ("U8", (10**4,), bytes(10**4)) for i in range(40)}
    expert = {name: ("U8", (10**4,), blake3(bytes([i])).digest(10**4)) for i, name in enumerate(base)}
    old, new = pair(tmp_path, base, expert)
    assert encode(old, new, tmp_path / "delta").changed == 40
    decode(old, tmp_path / "delta", tmp_path / "back")
    assert tensors_of(tmp_path / "back") == tensors_of(new)
