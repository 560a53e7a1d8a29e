"""Long lists in messages."""

from umm.listing import LISTED, inline, lines

MANY = [f"t{i}" for i in range(LISTED + 3)]


def test_short_lists_are_whole() -> None:
    assert inline(["a", "b"]) == "a, b"
    assert lines(["a", "b"]) == "  a\n  b"
    assert not inline(MANY[:LISTED]).endswith("more")


def test_of_long_lists_the_rest_is_counted() -> None:
    assert inline(MANY) == ", ".join(MANY[:LISTED]) + " and 3 more"
    assert lines(MANY).splitlines()[-2:] == [f"  {MANY[LISTED - 1]}", "  and 3 more"]
