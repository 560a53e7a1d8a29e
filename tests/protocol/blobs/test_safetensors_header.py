"""Headers by the rules, and a corpus of those that break one."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.blobs.safetensors_header import Entry, header_length, parse_header
from protocol.blobs.tensor import byte_size
from protocol.blobs.weights_json import MAX_JSON_BYTES, MAX_MARKS
from protocol.errors import MalformedError, PeerError, TooLargeError
from tests.fuzz.fuzz_safetensors_header import one
from tests.protocol.blobs.folders import safetensors_file, tensor_file

HOSTILE = Path(__file__).parents[1] / "hostile" / "safetensors"

SHORT = "too short for a safetensors file"
OPENING = "its header does not begin with '{'"
ODD = "its header is not what it should be"
FIELDS = "must have exactly dtype, shape and data_offsets"
SHAPE = "has a shape that is not a list of natural numbers"

FAULTS: dict[str, tuple[type[PeerError], str]] = {
    "empty": (MalformedError, SHORT),
    "prefix_cut": (MalformedError, SHORT),
    "header_over_the_limit": (TooLargeError, "a header of 16777217 bytes; the limit is 16777216"),
    "header_of_all_ones": (TooLargeError, "a header of 18446744073709551615 bytes"),
    "header_past_the_end": (MalformedError, "a header of 5000 bytes but ends at byte 69"),
    "header_empty": (MalformedError, OPENING),
    "byte_order_mark": (MalformedError, OPENING),
    "white_space_first": (MalformedError, OPENING),
    "list": (MalformedError, OPENING),
    "not_utf8": (MalformedError, "not UTF-8 text (byte 2)"),
    "not_json": (MalformedError, f"{ODD}: 'Expecting"),
    "two_objects": (MalformedError, f"{ODD}: 'Extra data"),
    "tensor_twice": (MalformedError, "a key twice in one object"),
    "field_twice": (MalformedError, "a key twice in one object"),
    "nested_deep": (MalformedError, "nested too deep"),
    "number_endless": (MalformedError, ODD),
    "number_nan": (MalformedError, "the number NaN where only integers are allowed"),
    "side_a_fraction": (MalformedError, "the number 1.0 where only integers are allowed"),
    "entry_no_object": (MalformedError, FIELDS),
    "entry_without_dtype": (MalformedError, FIELDS),
    "entry_with_more": (MalformedError, FIELDS),
    "dtype_unknown": (MalformedError, "has the unknown dtype 'F31'"),
    "dtype_in_lower_case": (MalformedError, "has the unknown dtype 'f32'"),
    "dtype_no_text": (MalformedError, "has a dtype that is not text"),
    "shape_no_list": (MalformedError, SHAPE),
    "side_negative": (MalformedError, SHAPE),
    "side_true": (MalformedError, SHAPE),
    "dimensions_17": (MalformedError, "has 17 dimensions; the limit is 16"),
    "shape_overflows": (TooLargeError, "more values than"),
    "shape_huge_made_small": (TooLargeError, "more values than"),
    "side_beyond_64_bits": (MalformedError, "a side that is not within 0 and 9223372036854775807"),
    "half_a_byte": (MalformedError, "4 bits, which are not whole bytes"),
    "size_and_shape_differ": (MalformedError, "needs 8 bytes for its shape and dtype but claims '4'"),
    "offset_alone": (MalformedError, "not [begin, end]"),
    "offsets_turned_round": (MalformedError, "not [begin, end]"),
    "offset_negative": (MalformedError, "has a data_offsets that is not a list of natural numbers"),
    "offsets_past_64_bits": (MalformedError, "a hole before tensor 'a'"),
    "values_past_the_end": (MalformedError, "is cut off: tensor 'a' ends at byte 73 of 72"),
    "tensors_overlap": (MalformedError, "overlap: 'b' begins inside"),
    "tensors_in_one_place": (MalformedError, "overlap: 'b' begins inside"),
    "hole_at_the_start": (MalformedError, "a hole before tensor 'a'"),
    "hole_between": (MalformedError, "a hole before tensor 'b'"),
    "tail": (MalformedError, "1 bytes after its last tensor"),
    "tail_without_tensors": (MalformedError, "1 bytes after its last tensor"),
    "metadata_a_list": (MalformedError, "does not map text to text"),
    "metadata_of_numbers": (MalformedError, "does not map text to text"),
    "name_with_nul": (MalformedError, "a control character in the tensor name 'a\\x00b'"),
    "name_steers_the_terminal": (MalformedError, "a control character in the tensor name 'a\\x1b[2J'"),
    "name_empty": (MalformedError, "a tensor name of 0 bytes"),
    "name_too_long": (MalformedError, "a tensor name of 1025 bytes"),
    "name_half_a_pair": (MalformedError, "not Unicode text: '\\ud800'"),
}


@pytest.mark.must("BLB-9", "BLB-10")
@pytest.mark.parametrize("fault", FAULTS)
def test_a_hostile_header_is_refused_with_its_own_reason(fault: str) -> None:
    error, reason = FAULTS[fault]
    data = (HOSTILE / f"{fault}.bin").read_bytes()
    with pytest.raises(error) as refusal:
        parse_header(data, len(data), "evil.safetensors")
    message = str(refusal.value)
    assert type(refusal.value) is error
    assert message.startswith("evil.safetensors")
    assert reason in message
    assert len(message) < 300
    one(data)


def test_every_hostile_header_is_accounted_for() -> None:
    assert {path.stem for path in HOSTILE.glob("*.bin")} == set(FAULTS)


@pytest.mark.must("BLB-9")
def test_the_length_of_a_header_is_checked_before_its_bytes_are_asked_for() -> None:
    with pytest.raises(TooLargeError, match="the limit is 16777216"):
        header_length((MAX_JSON_BYTES + 1).to_bytes(8, "little"), 2**40, "f")
    with pytest.raises(MalformedError, match="announces a header up to byte 1008, of which 8 are there"):
        parse_header((1000).to_bytes(8, "little"), 2**40, "f")


@pytest.mark.must("BLB-9")
def test_a_memory_bomb_is_counted_before_it_is_parsed() -> None:
    data = safetensors_file(b'{"a":[' + b"[]," * (MAX_MARKS // 2) + b"0]}")
    with pytest.raises(TooLargeError, match="more than 2097152 brackets and commas"):
        parse_header(data, len(data), "f")


def test_entries_have_absolute_offsets_and_come_in_order_of_name() -> None:
    data = tensor_file({"b": ("BF16", (2, 1), b"1234"), "a": ("F4", (2,), b"5")})
    begin = len(data) - 5
    assert parse_header(data, len(data), "f") == (
        Entry("a", "F4", (2,), begin + 4, 1),
        Entry("b", "BF16", (2, 1), begin, 4),
    )


def test_empty_tensors_may_lie_anywhere_between_others() -> None:
    data = tensor_file({"a": ("F32", (0, 3), b""), "b": ("U8", (1,), b"x"), "c": ("I64", (0,), b"")})
    assert [e.size for e in parse_header(data, len(data), "f")] == [0, 1, 0]


def test_padding_and_metadata_are_accepted() -> None:
    data = safetensors_file(b'{"__metadata__":{"format":"pt","note":"two\\nlines"}}   ')
    assert parse_header(data, len(data), "f") == ()


def test_a_header_can_be_read_without_the_rest_of_the_file() -> None:
    data = tensor_file({"a": ("F32", (2,), b"12345678")})
    assert parse_header(data[:-8], len(data), "f") == parse_header(data, len(data), "f")


@settings(max_examples=100)
@given(st.binary(max_size=64))
def test_any_bytes_give_tiling_entries_or_an_error_of_ours(data: bytes) -> None:
    one(data)
    one(safetensors_file(b"{" + data))


@settings(max_examples=200)
@given(st.integers(0, 200), st.integers(0, 255))
def test_a_changed_byte_never_yields_values_outside_of_the_file(at: int, value: int) -> None:
    data = bytearray(tensor_file({"a": ("F32", (3,), b"x" * 12), "b": ("I8", (2, 2), b"yyyy")}))
    data[at % len(data)] = value
    one(bytes(data))


@pytest.mark.must("BLB-6")
@pytest.mark.parametrize(
    ("dtype", "shape", "size"),
    [("F32", (), 4), ("BF16", (3, 5), 30), ("F6_E2M3", (4,), 3), ("U8", (2**40,), 2**40), ("U8", (0, 2**63 - 1), 0)],
)
def test_byte_sizes_are_exact(dtype: str, shape: tuple[int, ...], size: int) -> None:
    assert byte_size(dtype, shape, "it") == size
