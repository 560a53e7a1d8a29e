"""What cannot become a delta, and folders that are not written into."""

import os
from pathlib import Path

import pytest

from tests.umm.deltas import BASE, EXPERT, delta, listing, model, pair, tensors_of
from tests.umm.handmade import Values
from tests.vectors.make_delta import changes, packed, plane
from umm.checkpoint.disk import hold
from umm.delta import decode, encode, measure
from umm.delta.head import BLOCK
from umm.digest import checkpoint_leaves
from umm.errors import CheckpointError, EnvironmentFault, MismatchError, NotFiniteError


@pytest.mark.must("DLT-2")
@pytest.mark.parametrize(
    ("expert", "reason"),
    [
        ({k: v for k, v in EXPERT.items() if k != "v"}, "'v' is missing"),
        ({**EXPERT, "more": ("U8", (1,), b"x")}, "'more' is not in the base"),
        ({**EXPERT, "w": ("BF16", (3, 2), EXPERT["w"][2])}, r"'w' is BF16 \[3, 2\], in the base BF16 \[2, 3\]"),
        ({**EXPERT, "w": ("F16", (2, 3), EXPERT["w"][2])}, r"'w' is F16 \[2, 3\], in the base BF16"),
    ],
    ids=["missing", "extra", "shape", "dtype"],
)
def test_another_architecture_is_refused(tmp_path: Path, expert: Values, reason: str) -> None:
    base, other = pair(tmp_path, BASE, expert)
    with pytest.raises(MismatchError, match=f"{reason}.*\n.*same names, dtypes and shapes"):
        encode(base, other, tmp_path / "delta")
    assert not (tmp_path / "delta").exists()


@pytest.mark.must("DLT-15")
@pytest.mark.parametrize("bits", ["c07f", "0180", "807f", "80ff"])
def test_values_that_are_not_numbers_are_refused(tmp_path: Path, bits: str) -> None:
    data = EXPERT["w"][2]
    base, expert = pair(tmp_path, BASE, {**EXPERT, "w": ("BF16", (2, 3), data[:-2] + bytes.fromhex(bits))})
    if bits == "0180":  # a number like any other: the smallest below zero
        encode(base, expert, tmp_path / "delta")
        return
    with pytest.raises(NotFiniteError, match="tensor 'w' has NaN or infinity"):
        encode(base, expert, tmp_path / "delta")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["base", "expert"]


@pytest.mark.must("DLT-15")
def test_measuring_names_the_tensors_that_bring_no_numbers(tmp_path: Path) -> None:
    base = model(tmp_path / "base", BASE)
    after = bytes.fromhex("c07f") + BASE["w"][2][2:]
    numbers = changes("BF16", BASE["w"][2], after)
    bad = delta(tmp_path / "delta", {"w": packed("BF16", 6, [[plane(numbers, 0), plane(numbers, 1)]])})
    assert measure(base, bad).not_finite == ("w",)
    decode(base, bad, tmp_path / "back")  # exact all the same: refusing is the business of who measures
    assert tensors_of(tmp_path / "back")["w"][2] == after


@pytest.mark.must("DLT-7")
def test_an_expert_that_is_the_base_has_no_delta(tmp_path: Path) -> None:
    base, expert = pair(tmp_path, BASE, BASE)
    with pytest.raises(CheckpointError, match="nothing was learned"):
        encode(base, expert, tmp_path / "delta")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["base", "expert"]


def test_a_folder_that_is_there_is_left_alone(tmp_path: Path) -> None:
    base, expert = pair(tmp_path)
    encode(base, expert, tmp_path / "delta")
    before = listing(base)
    for out in (base, tmp_path / "delta", base / "config.json"):
        with pytest.raises(EnvironmentFault, match="choose another one"):
            encode(base, expert, out)
        with pytest.raises(EnvironmentFault, match="choose another one"):
            decode(base, tmp_path / "delta", out)
    assert listing(base) == before


def test_two_processes_do_not_write_the_same_folder(tmp_path: Path) -> None:
    base, expert = pair(tmp_path)
    (tmp_path / ".delta.umm-partial").mkdir()
    held = hold(tmp_path / ".delta.umm-partial")
    with pytest.raises(EnvironmentFault, match="another"):
        encode(base, expert, tmp_path / "delta")
    os.close(held)
    encode(base, expert, tmp_path / "delta")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["base", "delta", "expert"]


def test_a_base_that_shrinks_meanwhile_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    large = bytes(6 * BLOCK)
    tensors: Values = {name: ("U8", (len(large),), large) for name in ("a", "b")}
    base, expert = pair(tmp_path, tensors, {**tensors, "b": ("U8", (len(large),), b"\1" * len(large))})
    weights = base / "model.safetensors"

    def shrink(_: int) -> None:
        os.truncate(weights, 8 * BLOCK)

    with pytest.raises(CheckpointError, match="changed while being read"):
        encode(base, expert, tmp_path / "delta", threads=1, progress=shrink)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["base", "expert"]


def test_an_empty_folder_is_used(tmp_path: Path) -> None:
    base, expert = pair(tmp_path)
    (tmp_path / "delta").mkdir()
    encode(base, expert, tmp_path / "delta")
    assert checkpoint_leaves(base)[0].keys() == {"ids", "v", "w"}
    assert set(listing(tmp_path / "delta")) == {"delta.safetensors"}
