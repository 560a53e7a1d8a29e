"""Names for people."""

import pytest

from protocol.identity.names import ADJECTIVES, ANIMALS, name_of
from tests.protocol.identity.vectors import GOLDEN


@pytest.mark.must("ID-9")
def test_the_words_and_their_order_are_golden() -> None:
    assert list(ADJECTIVES) == GOLDEN["adjectives"]
    assert list(ANIMALS) == GOLDEN["animals"]


@pytest.mark.parametrize("words", [ADJECTIVES, ANIMALS], ids=["adjectives", "animals"])
def test_there_is_one_short_plain_word_for_each_byte(words: tuple[str, ...]) -> None:
    assert len(set(words)) == len(words) == 256
    assert all(word.isascii() and word.isalpha() and word.islower() and 2 < len(word) < 12 for word in words)


def test_no_word_is_in_both_lists() -> None:
    assert not set(ADJECTIVES) & set(ANIMALS)


@pytest.mark.must("ID-9")
def test_a_name_is_two_words_and_a_number_of_two_or_three_digits() -> None:
    assert name_of(bytes(32)) == f"{ADJECTIVES[0]}-{ANIMALS[0]}-10"
    assert name_of(b"\xff" * 32) == f"{ADJECTIVES[255]}-{ANIMALS[255]}-205"
    assert name_of(b"\x01\x02\xdd\x03" + bytes(28)) == f"{ADJECTIVES[1]}-{ANIMALS[2]}-999"
    assert name_of(b"\x01\x02\xde\x03" + bytes(28)) == f"{ADJECTIVES[1]}-{ANIMALS[2]}-10"


@pytest.mark.must("ID-9")
def test_two_keys_may_share_a_name_and_are_still_two() -> None:
    assert name_of(bytes(32)) == name_of(bytes(31) + b"\x01")
