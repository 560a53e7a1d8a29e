"""Headers by the rules, and a corpus of those that break one."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.umm.handmade import safetensors_file, tensor_file
from umm.checkpoint.header import (
    MAX_HEADER_BYTES,
    MAX_NAME_BYTES,
    MAX_TENSORS,
    Entry,
    byte_size,
    parse_header,
)
from umm.checkpoint.strict import MAX_JSON_NODES, parse_object
from umm.errors import CheckpointError


def entry(dtype: object = "F32", shape: object = (1,), offsets: object = (0, 4), **more: object) -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets, **more}


FOUR = b"\0" * 4

HOSTILE: dict[str, tuple[bytes, str]] = {
    "an empty file": (b"", "too short"),
    "a cut prefix": (b"\x10\0\0", "too short"),
    "a header over the limit": (safetensors_file({}, length=MAX_HEADER_BYTES + 1), "the limit is"),
    "a header of 2^64 - 1 bytes": (safetensors_file({}, length=2**64 - 1), "the limit is"),
    "a header past the end": (safetensors_file({"a": entry()}, length=5000), "truncated"),
    "an empty header": (safetensors_file(b""), "does not begin with '{'"),
    "not UTF-8": (safetensors_file(b'{"\xff\xfe": 1}'), "not UTF-8"),
    "a byte order mark": (safetensors_file(b"\xef\xbb\xbf{}"), "does not begin with '{'"),
    "white space first": (safetensors_file(b" {}"), "does not begin with '{'"),
    "not JSON": (safetensors_file(b"{]"), "not valid JSON"),
    "a list": (safetensors_file([1]), "does not begin with '{'"),
    "two objects": (safetensors_file(b"{}{}"), "not valid JSON"),
    "the same tensor twice": (
        safetensors_file(b'{"a":%s,"a":%s}' % ((json.dumps(entry()).encode(),) * 2), FOUR),
        "the key 'a' twice",
    ),
    "the same field twice": (
        safetensors_file(b'{"a":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}}', FOUR),
        "the key 'dtype' twice",
    ),
    "a nesting bomb": (safetensors_file(b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"), "nested deeper"),
    "nested sixty levels": (safetensors_file(b'{"a":' + b"[" * 60 + b"]" * 60 + b"}"), "nested deeper"),
    "a memory bomb": (safetensors_file(b'{"a":[' + b"[]," * MAX_JSON_NODES + b"0]}"), "JSON values"),
    "an endless number": (safetensors_file(b'{"a":' + b"9" * 10_000 + b"}"), "not valid JSON"),
    "an entry that is no object": (safetensors_file({"a": [1]}), "exactly dtype, shape and data_offsets"),
    "an entry without dtype": (
        safetensors_file({"a": {"shape": [], "data_offsets": [0, 4]}}),
        "exactly dtype",
    ),
    "an entry with more": (safetensors_file({"a": entry(evil=1)}, FOUR), "exactly dtype"),
    "an unknown dtype": (safetensors_file({"a": entry("F31")}, FOUR), "unknown dtype 'F31'"),
    "a dtype in lower case": (safetensors_file({"a": entry("f32")}, FOUR), "unknown dtype"),
    "a dtype that is no text": (safetensors_file({"a": entry(["F32"])}, FOUR), "unknown dtype"),
    "a shape that is no list": (safetensors_file({"a": entry(shape="1")}, FOUR), "shape that is not a list"),
    "a negative side": (safetensors_file({"a": entry(shape=[-1])}, FOUR), "shape that is not a list"),
    "a side that is a fraction": (
        safetensors_file({"a": entry(shape=[1.0])}, FOUR),
        "shape that is not a list",
    ),
    "a side that is true": (safetensors_file({"a": entry(shape=[True])}, FOUR), "shape that is not a list"),
    "too many dimensions": (safetensors_file({"a": entry(shape=[1] * 17)}, FOUR), "17 dimensions"),
    "a shape that overflows": (
        safetensors_file({"a": entry(shape=[2**32, 2**32])}, FOUR),
        "impossible shape",
    ),
    "a huge shape made small": (
        safetensors_file({"a": entry(shape=[2**62, 4, 0], offsets=[0, 0])}),
        "impossible",
    ),
    "half a byte": (safetensors_file({"a": entry("F4", [1], [0, 1])}, b"\0"), "impossible shape"),
    "size and shape that differ": (safetensors_file({"a": entry(shape=[2])}, FOUR), "needs 8 bytes"),
    "one offset": (safetensors_file({"a": entry(offsets=[0])}, FOUR), "not [begin, end]"),
    "offsets turned round": (safetensors_file({"a": entry(offsets=[4, 0])}, FOUR), "not [begin, end]"),
    "a negative offset": (safetensors_file({"a": entry(offsets=[-4, 0])}, FOUR), "data_offsets that is not"),
    "offsets past 2^64": (safetensors_file({"a": entry(offsets=[2**64, 2**64 + 4])}, FOUR), "a hole"),
    "values past the end": (safetensors_file({"a": entry()}, b"\0" * 3), "truncated"),
    "tensors that overlap": (
        safetensors_file({"a": entry(), "b": entry(offsets=[2, 6])}, b"\0" * 6),
        "overlap",
    ),
    "two tensors in one place": (safetensors_file({"a": entry(), "b": entry()}, FOUR), "overlap"),
    "a hole at the start": (safetensors_file({"a": entry(offsets=[4, 8])}, b"\0" * 8), "a hole of 4 bytes"),
    "a hole between": (
        safetensors_file({"a": entry(), "b": entry(offsets=[5, 9])}, b"\0" * 9),
        "a hole of 1 bytes",
    ),
    "a tail": (safetensors_file({"a": entry()}, b"\0" * 5), "1 bytes after its last tensor"),
    "a tail without tensors": (safetensors_file({}, b"\0"), "1 bytes after its last tensor"),
    "metadata that is a list": (safetensors_file({"__metadata__": []}), "does not map text to text"),
    "metadata of numbers": (safetensors_file({"__metadata__": {"a": 1}}), "does not map text to text"),
    "a name with NUL": (safetensors_file({"a\0b": entry()}, FOUR), "control character"),
    "a name that steers the terminal": (safetensors_file({"a\x1b[2J": entry()}, FOUR), "control character"),
    "an empty name": (safetensors_file({"": entry()}, FOUR), "name of 0 bytes"),
    "a name too long": (safetensors_file({"a" * (MAX_NAME_BYTES + 1): entry()}, FOUR), "name of 1025 bytes"),
    "half a surrogate pair": (
        safetensors_file(b'{"\\ud800":' + json.dumps(entry()).encode() + b"}", FOUR),
        "Unicode",
    ),
}


@pytest.mark.parametrize(("data", "expected"), HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_header_is_refused_with_its_own_reason(data: bytes, expected: str) -> None:
    with pytest.raises(CheckpointError) as refusal:
        parse_header(data, len(data), "evil.safetensors")
    message = str(refusal.value)
    assert message.startswith("evil.safetensors")
    assert expected in message
    assert len(message) < 400


def test_a_header_of_too_many_tensors_is_refused() -> None:
    empty = b'":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}'
    data = safetensors_file(b"{" + b",".join(b'"%d' % i + empty for i in range(MAX_TENSORS + 1)) + b"}")
    with pytest.raises(CheckpointError, match="262145 tensors; the limit is 262144"):
        parse_header(data, len(data), "f")


def test_entries_have_absolute_offsets_and_come_sorted_by_name() -> None:
    data = tensor_file({"b": ("BF16", (2, 1), b"1234"), "a": ("F4", (2,), b"5")})
    begin = len(data) - 5
    assert parse_header(data, len(data), "f") == (
        Entry("a", "F4", (2,), begin + 4, 1),
        Entry("b", "BF16", (2, 1), begin, 4),
    )


def test_empty_tensors_may_lie_anywhere_between_others() -> None:
    data = tensor_file({"a": ("F32", (0, 3), b""), "b": ("U8", (1,), b"x"), "c": ("I64", (0,), b"")})
    assert [e.size for e in parse_header(data, len(data), "f")] == [0, 1, 0]


def test_padding_with_spaces_is_accepted() -> None:
    data = safetensors_file(b"{}      ")
    assert parse_header(data, len(data), "f") == ()


@given(st.binary(max_size=64))
def test_any_bytes_give_entries_or_a_checkpoint_error(data: bytes) -> None:
    whole = safetensors_file(b"{" + data)
    try:
        parse_header(whole, len(whole), "f")
    except CheckpointError as error:
        assert str(error)  # noqa: PT017 - either outcome is right


@given(st.integers(0, 200), st.integers(0, 255))
def test_one_changed_byte_never_yields_values_outside_of_the_file(at: int, value: int) -> None:
    data = bytearray(tensor_file({"a": ("F32", (3,), b"x" * 12), "b": ("I8", (2, 2), b"yyyy")}))
    data[at % len(data)] = value
    try:
        entries = parse_header(bytes(data), len(data), "f")
    except CheckpointError:
        return
    assert all(e.start > 8 and e.start + e.size <= len(data) for e in entries)


@pytest.mark.parametrize(
    ("dtype", "shape", "size"),
    [
        ("F32", (), 4),
        ("BF16", (3, 5), 30),
        ("F4", (3,), None),
        ("F6_E2M3", (4,), 3),
        ("U8", (2**63, 2), None),
    ],
)
def test_byte_sizes_are_whole_or_absent(dtype: str, shape: tuple[int, ...], size: int | None) -> None:
    assert byte_size(dtype, shape) == size


def test_infinity_in_a_config_is_kept() -> None:
    assert parse_object(b'{"time_step_limit": [0.0, Infinity]}', "config.json") == {
        "time_step_limit": [0.0, float("inf")]
    }
