"""Sizes as people write them."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.errors import UserError
from node.sizes import MAX_SIZE, read_size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("512", 512),
        ("512B", 512),
        ("1kB", 1000),
        ("1K", 1024),
        ("2GB", 2 * 10**9),
        ("2gb", 2 * 10**9),
        ("2GiB", 2 * 2**30),
        ("2G", 2 * 2**30),
        ("1.5 GiB", 3 * 2**29),
        ("0.5TB", 5 * 10**11),
        (" 7 MB ", 7 * 10**6),
        ("0.1GB", 10**8),
        ("0.000000001TB", 1000),
    ],
)
def test_a_size_is_a_number_and_perhaps_a_unit(text: str, size: int) -> None:
    assert read_size(text, "quota") == size


@given(st.integers(0, MAX_SIZE))
def test_every_number_of_bytes_is_read_exactly(size: int) -> None:
    assert read_size(size, "quota") == size
    assert read_size(str(size), "quota") == size


@pytest.mark.parametrize(
    "text",
    ["", "GB", "-1", "1.2.3", ".5GB", "1,5GB", "1e9", "five", "1 PB", "1GBs", "٣", "1\nGB\n2", "0x10", "nan", "9" * 20],
)
def test_anything_else_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UserError, match=r"storage\.quota is a number or a size such as 500MB or 2GiB, not "):
        read_size(text, "storage.quota")


@pytest.mark.parametrize(
    "size",
    [-1, MAX_SIZE + 1, "1048577TiB", 10**5000, -(10**5000)],
    ids=["below", "above", "with-a-unit", "far-above", "far-below"],
)
def test_what_no_disk_holds_is_refused(size: int | str) -> None:
    with pytest.raises(UserError, match=f"quota is 0 to {MAX_SIZE}"):
        read_size(size, "quota")


@given(st.text(max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(UserError):
        assert 0 <= read_size(text, "x") <= MAX_SIZE
