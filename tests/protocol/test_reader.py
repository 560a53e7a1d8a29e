"""The reader of binary layouts: never past the end, never before a check, three answers about versions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import MalformedError, TooLargeError, TooNewError
from protocol.field import field, number
from protocol.reader import Reader

LIMIT = 1000


def reader(data: bytes) -> Reader:
    return Reader(data, "a thing", LIMIT)


@given(st.lists(st.binary(max_size=20), max_size=5), st.integers(0, 2**64 - 1), st.text(max_size=10))
def test_what_was_written_is_read_to_the_last_byte(fields: list[bytes], value: int, text: str) -> None:
    data = field(b"thing") + b"\1" + number(len(fields), 4) + b"".join(map(field, fields))
    opened = reader(data + number(value, 8) + field(text.encode()) + bytes(64))
    opened.domain(b"thing")
    opened.version(1)
    assert [opened.field(20) for _ in range(opened.count(5, 4, "fields"))] == fields
    assert (opened.number(8), opened.text(40)) == (value, text)
    assert opened.hashes() == (bytes(32),) * 2
    opened.end()


def test_a_version_that_never_was_is_nonsense_and_one_of_the_future_is_not() -> None:
    reader(b"\2").version(2)
    with pytest.raises(TooNewError, match="a thing of version 3; this program knows 2"):
        reader(b"\3").version(2)
    for version in (b"\0", b"\1"):
        with pytest.raises(MalformedError, match=r"of version \d, which never was") as refused:
            reader(version).version(2)
        assert type(refused.value) is MalformedError


@pytest.mark.parametrize("data", [b"", b"\1", b"\4\0\0\0abc", b"\xff\0\0\0"])
def test_nothing_is_read_past_the_end(data: bytes) -> None:
    with pytest.raises(MalformedError, match=f"ends within a field, at byte {len(data)}"):
        reader(data).field(LIMIT)


def test_lengths_and_counts_are_checked_before_anything_is_made() -> None:
    with pytest.raises(TooLargeError, match="a thing of 1001 bytes; at most 1000"):
        reader(bytes(1001))
    with pytest.raises(TooLargeError, match="a field of 4294967295 bytes; at most 20"):
        reader(b"\xff" * 4).field(20)
    with pytest.raises(TooLargeError, match="claims 6 apples; at most 5"):
        reader(number(6, 4) + bytes(60)).count(5, 1, "apples")
    with pytest.raises(MalformedError, match="claims 5 apples, more than its bytes can hold"):
        reader(number(5, 4) + bytes(9)).count(5, 2, "apples")


def test_what_has_another_beginning_or_something_behind_is_refused() -> None:
    with pytest.raises(MalformedError, match="does not begin with thing"):
        reader(field(b"think")).domain(b"thing")
    with pytest.raises(MalformedError, match="2 bytes after its end"):
        reader(b"ab").end()
    with pytest.raises(MalformedError, match="a path of 33 bytes, not of whole hashes"):
        reader(bytes(33)).hashes()
    with pytest.raises(MalformedError, match="a text that is not UTF-8, before byte 5"):
        reader(field(b"\xff")).text(9)
