"""A contribution with a value that is no finite number: found when it is merged again, proven without anything else."""

import asyncio
import math
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from node.verify import fault_file
from node.verify.accusing import accuse_values
from node.verify.remerge import NotFiniteError
from node.verify.report import FAILED, OK, What
from node.verify.scanning import find_strange
from node.verify.values_fault import WIDTHS, ValuesFault, first_not_finite
from node.verify.verifying import Means, verify_proof
from protocol.blobs.chunks import CHUNK_BYTES
from protocol.blobs.folder import manifest_of_folder
from protocol.errors import ForgedError, MalformedError, PeerError, ProtocolError, RuleError, TooLargeError
from protocol.offer import size_of
from protocol.records import Kind
from tests.node.verify import rounds
from tests.node.verify.steps import a_round, an_offer
from tests.protocol.blobs.folders import model_folder
from tests.protocol.records.examples import digest

TENSOR = "model.layers.1.mlp.up_proj.weight"
FORMATS = {"F16": "<e", "F32": "<f", "F64": "<d"}
BAD = (math.nan, math.inf, -math.inf)


def packed(dtype: str, number: float) -> bytes:
    return struct.pack("<f", number)[2:] if dtype == "BF16" else struct.pack(FORMATS[dtype], number)


def made(folder: Path, dtype: str = "BF16", number: float = math.nan) -> ValuesFault:
    """A contribution of two chunks, the second one with such a value at byte 24."""
    width, at = WIDTHS[dtype], CHUNK_BYTES + 24
    data = bytearray(packed(dtype, 1.5) * ((CHUNK_BYTES + 4096) // width))
    data[at : at + width] = packed(dtype, number)
    model = model_folder(folder, {"w": (dtype, (len(data) // width,), bytes(data)), "x": ("F32", (1,), bytes(4))})
    manifest = manifest_of_folder(model)
    offer = an_offer(a_round(), 21, manifest=manifest.id, root=manifest.root, size=size_of(manifest))
    strange = find_strange(model, manifest, frozenset({"w"}))
    assert strange is not None
    return accuse_values(NotFiniteError(offer, manifest, strange))


@pytest.fixture(scope="module")
def proof(tmp_path_factory: pytest.TempPathFactory) -> ValuesFault:
    return made(tmp_path_factory.mktemp("values") / "model")


@pytest.mark.must("FLT-10", "FLT-11")
@pytest.mark.parametrize("dtype", WIDTHS)
@pytest.mark.parametrize("number", BAD)
def test_infinities_and_no_numbers_of_every_dtype_are_proven(dtype: str, number: float, tmp_path: Path) -> None:
    found = made(tmp_path / "model", dtype, number)
    assert (found.place.index, found.offset, found.value) == (1, 24, packed(dtype, number))
    read = fault_file.parse(found.encode())
    assert read == found
    read.check()


@pytest.mark.must("FLT-11")
def test_such_a_proof_is_confirmed_with_nothing_else_at_hand(proof: ValuesFault, tmp_path: Path) -> None:
    (tmp_path / "fault.umm").write_bytes(proof.encode())
    report = asyncio.run(verify_proof(tmp_path / "fault.umm", Means(lambda: 0.0)))
    assert (report.code, report.findings) == (OK, ())
    assert "which is no finite number" in report.checks[0].summary


CHANGES: dict[str, tuple[Callable[[ValuesFault], dict[str, Any]], type[PeerError], str]] = {
    "a finite value": (lambda p: {"offset": p.offset + 2}, ForgedError, "that is no fault"),
    "within a value": (lambda p: {"offset": p.offset + 1}, MalformedError, "where no value begins"),
    "behind the chunk": (lambda p: {"offset": len(p.chunk)}, MalformedError, "where no value begins"),
    "other bytes": (lambda p: {"chunk": bytes(len(p.chunk))}, ForgedError, "does not hash to"),
    "fewer bytes": (lambda p: {"chunk": p.chunk[:-2]}, ForgedError, "in place of"),
    "another tensor": (
        lambda p: {"published": replace(p.published, name="x")},
        ForgedError,
        "does not lead from tensor",
    ),
    "another blob": (lambda p: {"published": replace(p.published, blob_id=digest("b"))}, ForgedError, "does not lead"),
    "another chunk": (lambda p: {"place": replace(p.place, index=0)}, ForgedError, "does not lead from chunk 0"),
    "a contribution of another root": (lambda _: {"offer": an_offer(a_round(), 21)}, ForgedError, "to the root"),
    "a delta": (lambda _: {"offer": an_offer(a_round(), 21, kind=Kind.DELTA)}, RuleError, "values are packed"),
    "integers": (
        lambda p: {"published": replace(p.published, dtype="I16")},
        RuleError,
        "in which every value is a number",
    ),
}


@pytest.mark.must("FLT-10", "FLT-11")
@pytest.mark.parametrize("name", CHANGES)
def test_a_proof_that_shows_no_such_value_is_refused(name: str, proof: ValuesFault, tmp_path: Path) -> None:
    changes, kind, message = CHANGES[name]
    wrong = replace(proof, **changes(proof))
    with pytest.raises(kind) as refused:
        wrong.check()
    assert message in str(refused.value)
    (tmp_path / "fault.umm").write_bytes(wrong.encode())
    report = asyncio.run(verify_proof(tmp_path / "fault.umm", Means(lambda: 0.0)))
    assert (report.code, report.findings[0].what) == (FAILED, What.PROOF_BROKEN)


@pytest.mark.must("FLT-1", "FLT-3")
def test_broken_bytes_are_refused(proof: ValuesFault) -> None:
    data = proof.encode()
    for broken, kind, message in (
        (data[:-1], MalformedError, "ends within a field"),
        (data + b"\0", MalformedError, "1 bytes after its end"),
        (replace(proof, chunk=bytes(CHUNK_BYTES + 1)).encode(), TooLargeError, "chunk of 1048577 bytes"),
    ):
        with pytest.raises(kind, match=message):
            fault_file.parse(broken)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_change_of_a_byte_is_refused(proof: ValuesFault, data: st.DataObject) -> None:
    good = proof.encode()
    at, bit = data.draw(st.integers(0, len(good) - 1)), data.draw(st.integers(0, 7))
    with pytest.raises(ProtocolError):
        fault_file.parse(good[:at] + bytes([good[at] ^ 1 << bit]) + good[at + 1 :]).check()


@given(st.sampled_from(sorted(FORMATS)), st.lists(st.floats(width=16) | st.sampled_from(BAD), min_size=1, max_size=40))
def test_the_first_one_is_found_where_it_is(dtype: str, numbers: list[float]) -> None:
    chunk = b"".join(packed(dtype, number) for number in numbers)
    where = [i for i, number in enumerate(numbers) if not math.isfinite(number)]
    assert first_not_finite(dtype, chunk) == (where[0] * WIDTHS[dtype] if where else None)


@given(st.lists(st.integers(0, 2**16 - 1), min_size=1, max_size=40))
def test_of_bfloat16_too(patterns: list[int]) -> None:
    chunk = b"".join(pattern.to_bytes(2, "little") for pattern in patterns)
    numbers = [struct.unpack("<f", bytes(2) + pattern.to_bytes(2, "little"))[0] for pattern in patterns]
    where = [i for i, number in enumerate(numbers) if not math.isfinite(number)]
    assert first_not_finite("BF16", chunk) == (where[0] * 2 if where else None)


def test_integers_have_no_such_values_and_an_empty_chunk_neither() -> None:
    assert first_not_finite("U8", b"\xff" * 64) is None
    assert first_not_finite("F8_E5M2", b"\xff" * 64) is None
    assert first_not_finite("F32", b"") is None


def test_a_merged_contribution_with_such_a_value_is_found_and_proven(tmp_path: Path) -> None:
    def spoil(folder: Path) -> None:
        path, start, _ = rounds.place_of(folder, TENSOR)
        with path.open("r+b") as file:
            file.seek(start + 8)
            file.write(packed("BF16", math.inf))

    world = rounds.make(tmp_path / "round", spoil=spoil)
    verified = world.verified(recompute=True)
    assert verified.report.code == FAILED
    assert [finding.what for finding in verified.report.checks[3].findings] == [What.VALUES_STRANGE]
    assert isinstance(verified.proof, ValuesFault)
    assert (verified.proof.tensor, verified.proof.offset) == (TENSOR, 8)
    verified.proof.check()
