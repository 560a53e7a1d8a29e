"""Deltas from strangers: what is refused, by which words, and that nothing is left behind."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.umm.deltas import BASE, EXPERT, delta, listing, model, tensors_of
from tests.umm.handmade import safetensors_file, tensor_file
from tests.vectors.make_delta import changes, packed, plane, repeated
from umm.delta import decode, measure
from umm.errors import CheckpointError, MismatchError, UmmError

NUMBERS = changes("BF16", BASE["w"][2], EXPERT["w"][2])
GOOD = packed("BF16", 6, [[plane(NUMBERS, 0), plane(NUMBERS, 1)]])
BOMB = packed("BF16", 6, [[b"", b"\x28\xb5\x2f\xfd\xa0"]])

Make = Callable[[Path], Path]


def refused(folder: Path, made: Path, base: Path | None = None) -> CheckpointError:
    """The error that both measuring and decoding a delta end with, after which there is nothing new."""
    base = base or model(folder / "base", BASE)
    with pytest.raises(CheckpointError) as measured:
        measure(base, made)
    with pytest.raises(CheckpointError) as decoded:
        decode(base, made, folder / "out")
    assert str(measured.value) == str(decoded.value)
    assert {path.name for path in folder.iterdir()} <= {"base", "delta", "elsewhere"}
    return decoded.value


PACKED = {
    "empty": (b"", "does not begin with umm/delta"),
    "values_as_they_are": (EXPERT["w"][2], "does not begin with umm/delta"),
    "of_another_dtype": (packed("F16", 6, [[bytes(5) + b"\1", b""]]), "is of F16; the base's tensor is BF16"),
    "of_another_length": (packed("BF16", 7, [[bytes(6) + b"\1", b""]]), "claims 7 elements"),
    "a_block_too_many": (packed("BF16", 6, [[b"\1" * 6, b""], [b"\1" * 6, b""]]), "behind its head"),
    "a_plane_too_many": (packed("F32", 6, [[b"\1" * 6, b"", b"", b""]]), "is of F32"),
    "no_change": (packed("BF16", 6, [[b"", b""]]), "changes nothing"),
    "a_frame_that_is_none": (packed("BF16", 6, [[b"abcde", b""]]), "plane 0 of block 0 does not begin as a frame"),
    "a_frame_cut_short": (BOMB, "plane 1 of block 0 ends in the middle of a frame"),
    "frames_overlap": (
        packed("BF16", 6, [[b"\1" * 6, b"\1" * 6]])[:-6],
        "has 6 bytes behind its head; its frames claim 12",
    ),
    "trailing_bytes": (GOOD + bytes(9), "has 21 bytes behind its head"),
    "sizes_wrap_around": (GOOD[:24] + b"\xff" * 8 + GOOD[32:], "claims 4294967295 bytes for plane 0"),
    "elements_wrap_around": (GOOD[:16] + (6 + 2**63).to_bytes(8, "little") + GOOD[24:], "elements; the base's"),
}


@pytest.mark.must("DLT-5", "DLT-6", "DLT-7", "DLT-10", "DLT-11")
@pytest.mark.parametrize("fault", PACKED)
def test_a_packed_tensor_that_lies_is_refused_by_name(tmp_path: Path, fault: str) -> None:
    data, reason = PACKED[fault]
    error = refused(tmp_path, delta(tmp_path / "delta", {"w": data}))
    assert "tensor 'w'" in str(error)
    assert reason in str(error)


@pytest.mark.must("DLT-11")
def test_a_bomb_in_a_long_tensor_is_refused(tmp_path: Path) -> None:
    base = model(tmp_path / "base", {"w": ("U8", (1000,), bytes(1000))})
    for bomb in (repeated(1, 1 << 25, window=16), repeated(1, 1 << 25)):
        made = delta(tmp_path / "delta", {"w": packed("U8", 1000, [[bomb[:900]]])})
        assert "tensor 'w': plane 0 of block 0" in str(refused(tmp_path, made, base))


@pytest.mark.must("DLT-1")
def test_a_tensor_that_the_base_lacks_is_a_mismatch(tmp_path: Path) -> None:
    error = refused(tmp_path, delta(tmp_path / "delta", {"w": GOOD, "x": GOOD}))
    assert isinstance(error, MismatchError)
    assert "changes 'x', which the base" in str(error)


@pytest.mark.must("DLT-1")
@pytest.mark.parametrize(
    ("dtype", "shape"), [("I8", (len(GOOD),)), ("U8", (1, len(GOOD))), ("BF16", (len(GOOD) // 2,))]
)
def test_a_packed_tensor_is_bytes_in_one_dimension(tmp_path: Path, dtype: str, shape: tuple[int, ...]) -> None:
    made = delta(tmp_path / "delta", {})
    (made / "delta.safetensors").write_bytes(tensor_file({"w": (dtype, shape, GOOD)}))
    assert "tensor 'w' is" in str(refused(tmp_path, made))


def linked(folder: Path) -> Path:
    made = delta(folder / "delta", {"w": GOOD})
    (folder / "elsewhere").write_text("{}")
    (made / "tokenizer.json").symlink_to(folder / "elsewhere")
    return made


def linked_weights(folder: Path) -> Path:
    made = delta(folder / "delta", {})
    (folder / "elsewhere").write_bytes(tensor_file({"w": ("U8", (len(GOOD),), GOOD)}))
    (made / "delta.safetensors").unlink()
    (made / "delta.safetensors").symlink_to(folder / "elsewhere")
    return made


def without_weights(folder: Path) -> Path:
    made = delta(folder / "delta", {})
    (made / "delta.safetensors").rename(made / "model.safetensors")
    return made


FOLDERS: dict[str, tuple[Make, str]] = {
    "link_out": (linked, "is a link out of its model folder"),
    "weights_are_a_link_out": (linked_weights, "is a link out of its model folder"),
    "no_delta": (without_weights, "holds no delta"),
    "config_is_not_json": (lambda f: delta(f / "delta", {"w": GOOD}, {"config.json": b"{"}), "is not valid JSON"),
    "config_is_a_list": (lambda f: delta(f / "delta", {"w": GOOD}, {"config.json": b"[]"}), "must hold a JSON object"),
    "header_overlaps": (
        lambda f: delta(
            f / "delta",
            {},
            {
                "delta.safetensors": safetensors_file(
                    {
                        "w": {"dtype": "U8", "shape": [9], "data_offsets": [0, 9]},
                        "v": {"dtype": "U8", "shape": [9], "data_offsets": [8, 17]},
                    },
                    bytes(17),
                )
            },
        ),
        "has tensors that overlap",
    ),
    "name_leads_out": (
        lambda f: delta(
            f / "delta",
            {},
            {
                "delta.safetensors": b"",
                "delta.safetensors.index.json": json.dumps({"weight_map": {"w": "../elsewhere.safetensors"}}).encode(),
            },
        ),
        "too short for a safetensors file",
    ),
    "name_steers_a_terminal": (lambda f: delta(f / "delta", {"w\x1b[2J": GOOD}), "has a control character"),
}


@pytest.mark.must("DLT-3")
@pytest.mark.parametrize("fault", FOLDERS)
def test_a_folder_that_lies_is_refused(tmp_path: Path, fault: str) -> None:
    make, reason = FOLDERS[fault]
    assert reason in str(refused(tmp_path, make(tmp_path)))


def test_files_that_no_model_has_are_not_copied(tmp_path: Path) -> None:
    base = model(tmp_path / "base", BASE)
    strange = {"modeling_evil.py": b"import os", ".bashrc": b"evil", "model.safetensors": b"evil"}
    decode(base, delta(tmp_path / "delta", {"w": GOOD}, strange), tmp_path / "out")
    assert set(listing(tmp_path / "out")) == {"config.json", "model.safetensors"}
    assert tensors_of(tmp_path / "out")["w"] == EXPERT["w"]


def outcome(folder: Path, base: Path, data: bytes) -> str:
    """What becomes of a packed tensor: an error of ours, or an expert."""
    delta(folder / "delta", {"w": data})
    try:
        measure(base, folder / "delta", threads=1)
    except UmmError as error:
        return "refused" if "tensor 'w'" in str(error) else str(error)
    return "read"


@pytest.mark.must("DLT-7")
def test_every_cut_is_refused(tmp_path: Path) -> None:
    base = model(tmp_path / "base", BASE)
    shrunk = packed("BF16", 6, [[plane(NUMBERS, 0), b"\x28\xb5\x2f\xfd"[:5]]])
    for whole in (GOOD, shrunk):
        assert {outcome(tmp_path, base, whole[:size]) for size in range(len(whole))} == {"refused"}
    assert outcome(tmp_path, base, GOOD) == "read"


def test_every_flipped_bit_in_a_head_is_refused(tmp_path: Path) -> None:
    base = model(tmp_path / "base", BASE)
    for place in range(8 * 32):
        bad = bytearray(GOOD)
        bad[place // 8] ^= 1 << place % 8
        assert outcome(tmp_path, base, bytes(bad)) == "refused", place


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=40), st.integers(0, len(GOOD)))
def test_bytes_of_any_kind_give_an_expert_or_an_error_of_ours(tmp_path: Path, data: bytes, keep: int) -> None:
    base = model(tmp_path / "base", BASE)
    assert outcome(tmp_path, base, GOOD[:keep] + data) in ("read", "refused")
